"""After the server was away: what its automations did not hear, they hear now.

    python -m ops.recover                               # `make up` does it once its server answers

A machine that was switched off leaves runs that say *Running* and work no more, and runs that crashed when nobody was
there to bring them back. The event of each one's state is sent again, and ops/automations.py does the rest: a run
that is alive gives a sign within a minute, any other comes back.
"""

from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.events import emit_event
from prefect.events.worker import EventsWorker

DAYS = 7.0  # what crashed earlier is old news
AGAIN = {"RUNNING": "heartbeat", "PENDING": "Pending", "CANCELLING": "Cancelling", "CRASHED": "Crashed"}


def unheard() -> list[FlowRun]:
    """The runs whose end, or whose return, the automations may have missed."""
    with get_client(sync_client=True) as client:
        of_hemline = FlowRunFilter.model_validate(
            {"tags": {"all_": ["hemline"]}, "state": {"type": {"any_": [*AGAIN]}}}
        )
        runs = client.read_flow_runs(flow_run_filter=of_hemline)
    old = datetime.now(UTC) - timedelta(days=DAYS)
    return [run for run in runs if run.state and (run.state.type != "CRASHED" or run.state.timestamp > old)]


def main() -> None:
    """Sends the events, and says for which runs."""
    for run in unheard():
        assert run.state
        emit_event(
            event=f"prefect.flow-run.{AGAIN[run.state.type.value]}",
            resource={"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.name": run.name},
            related=[{"prefect.resource.id": "prefect.tag.hemline", "prefect.resource.role": "tag"}],
        )
        print(f"{run.name} was {run.state.name} when the server stopped; it is looked after")
    EventsWorker.instance().drain()


if __name__ == "__main__":
    main()
