"""What a server is told again when it has started: which events, under which ids, in which order."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import pytest
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Completed, Crashed, Pending, Running, Scheduled

from ops import recover

START = datetime.now(UTC) - timedelta(minutes=5)


def passed_through(*states: State) -> list[State]:
    """A second apart."""
    return [state.model_copy(update={"timestamp": START + timedelta(seconds=n)}) for n, state in enumerate(states)]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Gives a function: what is sent of a run with these states, as (event, id)."""

    def of(states: list[State]) -> list[tuple[str, Any]]:
        run = FlowRun(id=uuid4(), flow_id=uuid4(), name="a-run", state=states[-1], tags=["hemline"])
        sent: list[tuple[str, Any]] = []

        def read_flow_runs(flow_filter: Any, flow_run_filter: FlowRunFilter) -> list[FlowRun]:
            ended = flow_run_filter.end_time is not None
            return [run] if ended == (states[-1].type == "COMPLETED") else []

        client = Mock(read_flow_runs=read_flow_runs, read_flow_run_states=lambda run_id: states[::-1])
        client.read_flow.return_value.name = "retrain"
        monkeypatch.setattr(recover, "get_client", lambda sync_client: nullcontext(client))
        monkeypatch.setattr(recover, "emit_event", lambda **event: sent.append((event["event"], event["id"])))
        monkeypatch.setattr(recover, "EventsWorker", Mock())
        recover.main()
        return sent

    return of


def test_a_run_that_crashed_while_the_server_was_starting_comes_back_at_once(told: Any) -> None:
    """Its crash was held back for a quarter of an hour, until the server had seen the state before it, which it never
    did: only the crash was sent again, which the server took for the one it had."""
    scheduled, pending, crashed = passed_through(Scheduled(), Pending(), Crashed())
    heard = [("prefect.flow-run.heard", scheduled.id), ("prefect.flow-run.heard", pending.id)]
    assert told([scheduled, pending, crashed]) == [*heard, ("prefect.flow-run.Crashed", crashed.id)]


def test_a_run_that_ended_just_before_the_server_did_is_told_of(told: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Its event was in the server's memory alone, and so was the message."""
    running, promoted = passed_through(Running(), Completed(name="Promoted"))
    assert told([running, promoted])[-1] == ("prefect.flow-run.Promoted", promoted.id)
    assert capsys.readouterr().out == ""  # there is nothing to look after


def test_of_a_run_that_works_the_next_heartbeat_is_waited_for(told: Any) -> None:
    (running,) = passed_through(Running())
    assert told([running]) == [("prefect.flow-run.Running", running.id), ("prefect.flow-run.heartbeat", None)]
