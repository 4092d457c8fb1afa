"""After the server was away: what its automations did not hear, they hear now.

    python -m ops.recover                               # `make up` does it once its server answers

A machine that was switched off leaves runs that say *Running* and work no more, and runs that crashed when nobody was
there to bring them back. The event of each one's state is sent again, and ops/automations.py does the rest: a run
that is alive gives a sign within a minute, any other comes back.

An event keeps its id, which is its state's: for a quarter of an hour Prefect holds an event back until it has seen the
one before it, and a server that has started has seen none. So those before it are sent too, under a name that nothing
waits for: a run that crashed, or ended, while the server was starting would come back, or be told of, 15 minutes late.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.events import emit_event
from prefect.events.worker import EventsWorker

from ops.automations import FLOWS

DAYS = 7.0  # what crashed earlier is old news
ENDED_HOURS = 1.0  # before: of what ended so lately the message may not have been sent
BEFORE = 5  # states of a run, at the most, that it may have passed through while the server was starting
OPEN = ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING", "CRASHED"]


def unheard(now: datetime) -> list[tuple[FlowRun, str]]:
    """The runs whose next event matters, and whose last one the automations may have missed; each with its flow."""
    with get_client(sync_client=True) as client:
        of_hemline = FlowFilter.model_validate({"name": {"any_": FLOWS["prefect.resource.name"]}})
        still_open = FlowRunFilter.model_validate({"state": {"type": {"any_": OPEN}}})
        lately = now - timedelta(hours=ENDED_HOURS)
        ended = FlowRunFilter.model_validate({"state": {"type": {"not_any_": OPEN}}, "end_time": {"after_": lately}})
        runs = [
            run
            for wanted in (still_open, ended)
            for run in client.read_flow_runs(flow_filter=of_hemline, flow_run_filter=wanted)
        ]
        flows = {flow_id: client.read_flow(flow_id).name for flow_id in {run.flow_id for run in runs}}
    old = now - timedelta(days=DAYS)
    heard = [run for run in runs if run.state and run.state.is_crashed() and run.state.timestamp < old]
    return [(run, flows[run.flow_id]) for run in runs if run not in heard]


def send(run: FlowRun, flow: str, event: str, event_id: UUID | None = None) -> None:
    """An event of a run, as Prefect sends them."""
    related = [{"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"} for tag in run.tags]
    of_flow = {"prefect.resource.id": f"prefect.flow.{run.flow_id}", "prefect.resource.role": "flow"}
    emit_event(
        event=f"prefect.flow-run.{event}",
        resource={"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.name": run.name},
        related=[*related, of_flow | {"prefect.resource.name": flow}],
        id=event_id,
    )


def main() -> None:
    """Sends the events, and says for which runs it matters."""
    with get_client(sync_client=True) as client:
        for run, flow in unheard(datetime.now(UTC)):
            *before, state = sorted(client.read_flow_run_states(run.id), key=lambda state: state.timestamp)
            for earlier in before[-BEFORE:]:
                send(run, flow, "heard", earlier.id)
            send(run, flow, str(state.name), state.id)
            if state.is_running():
                send(run, flow, "heartbeat")  # from here on the next one is waited for
            if not state.is_scheduled() and (not state.is_final() or state.is_crashed()):
                print(f"{run.name} was {state.name} when the server stopped; it is looked after", flush=True)
    EventsWorker.instance().wait_until_empty()


if __name__ == "__main__":
    main()
