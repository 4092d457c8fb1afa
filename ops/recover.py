"""After the server was away: what its automations did not hear, they hear now.

    python -m ops.recover                               # `make up` does it once its server answers

A machine that was switched off leaves runs that say *Running* and work no more, and runs that crashed when nobody was
there to bring them back. The event of each one's state is sent again, and ops/automations.py does the rest: a run
that is alive gives a sign within a minute, any other comes back.

An event keeps its id, which is its state's: for a quarter of an hour Prefect holds an event back until it has seen the
one before it, and a server that has started has seen none.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.events import emit_event
from prefect.events.worker import EventsWorker

DAYS = 7.0  # what crashed earlier is old news
OPEN = ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING", "CRASHED"]


def unheard(now: datetime) -> list[FlowRun]:
    """The runs whose next event matters, and whose last one the automations may have missed."""
    with get_client(sync_client=True) as client:
        of_hemline = FlowRunFilter.model_validate({"tags": {"all_": ["hemline"]}, "state": {"type": {"any_": OPEN}}})
        runs = client.read_flow_runs(flow_run_filter=of_hemline)
    old = now - timedelta(days=DAYS)
    return [run for run in runs if run.state and (not run.state.is_crashed() or run.state.timestamp > old)]


def send(run: FlowRun, event: str, event_id: UUID | None = None) -> None:
    """An event of a run, as Prefect sends them."""
    emit_event(
        event=f"prefect.flow-run.{event}",
        resource={"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.name": run.name},
        related=[{"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"} for tag in run.tags],
        id=event_id,
    )


def main() -> None:
    """Sends the events, and says for which runs it matters."""
    for run in unheard(datetime.now(UTC)):
        assert run.state
        send(run, str(run.state.name), run.state.id)
        if run.state.is_running():
            send(run, "heartbeat")  # from here on the next one is waited for
        if not run.state.is_scheduled():
            print(f"{run.name} was {run.state.name} when the server stopped; it is looked after", flush=True)
    EventsWorker.instance().wait_until_empty()


if __name__ == "__main__":
    main()
