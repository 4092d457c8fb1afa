"""Approval, rollback and prune as flows: what a person says, and what is written down."""

import json
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.artifacts import Artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter

from flows.approval import Approval, ask
from flows.prune import prune
from flows.rollback import rollback
from hemline.config.retrain import RetrainConfig
from hemline.errors import RegistryError
from hemline.records.run import Decision
from hemline.registry.champion import Registry
from hemline.registry.prune import Retention
from tests.hemline.registry.published import RECORD, make_version

OTHER = RECORD.model_copy(update={"config": RetrainConfig(name="other")})


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """1 is the champion, 2 waits."""
    made = Registry(tmp_path, "tiny")
    for _ in range(2):
        make_version(tmp_path)
    made.promote("1", by="ada@laptop", reason="the first")
    return made


def waiting(champion: str) -> Decision:
    return Decision(
        verdict="needs approval",
        champion=champion,
        challenger="2",
        sentence=f"needs approval to replace tiny {champion}: challenger 2 is 1.00 points better; promotion is manual",
        measurements={"examples": 100, "accuracy": 0.75, "latency_ms": 0.5, "size_mb": 1.5},
    )


def answer(name: str, form: dict[str, Any]) -> None:
    """As the form on the paused run's page does."""
    of_name = FlowRunFilter.model_validate({"name": {"any_": [name]}, "state": {"type": {"any_": ["PAUSED"]}}})
    with get_client(sync_client=True) as client:
        for _ in range(240):
            if paused := client.read_flow_runs(flow_run_filter=of_name):
                assert client.resume_flow_run(paused[0].id, run_input=form).status.value == "ACCEPT"
                return
            time.sleep(0.5)


def final_state(name: str) -> str:
    with get_client(sync_client=True) as client:
        (run,) = client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate({"name": {"any_": [name]}}))
    assert run.state
    return run.state.type.value


@pytest.mark.parametrize(
    ("form", "sentence", "champion"),
    [
        (
            {"promote": True, "comment": "looked at the mistakes"},
            "promoted tiny 2: approved (looked at the mistakes); ",
            "2",
        ),
        ({"promote": False}, "kept tiny 1: not approved (no comment); ", "1"),
        (None, "kept tiny 1: not approved (nobody answered within 0.001 hours); ", "1"),
    ],
    ids=["yes", "no", "nobody"],
)
def test_an_answer_decides(
    form: dict[str, Any] | None, sentence: str, champion: str, registry: Registry, request: pytest.FixtureRequest
) -> None:
    name = request.node.name

    @flow(name="waits", flow_run_name=name)
    def waits() -> Decision:
        return ask(waiting("1"), registry, hours=0.001 if form is None else 1)

    person = threading.Thread(target=answer, args=(name, form))
    if form:
        person.start()
    decision = waits()
    if form:
        person.join()
    assert decision.sentence.startswith(sentence)
    assert registry.champion() == champion
    assert final_state(name) == "COMPLETED"  # also where nobody answered
    entry = registry.entries()[-1]
    assert (entry.reason, entry.by.partition(" ")[0]) == (decision.sentence, name)


def test_every_attempt_asks_anew(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: Prefect gave a run that was retried the answer to its earlier question."""
    keys = []

    def answered(wait_for_input: type[Approval], key: str, **waiting: float) -> Approval:
        keys.append(key)
        return Approval()

    monkeypatch.setattr("flows.approval.pause_flow_run", answered)

    @flow(name="waits")
    def waits() -> Decision:
        return ask(waiting("1"), registry, hours=1)

    waits()
    waits()
    assert len(set(keys)) == 2


def test_an_approval_of_what_is_no_longer_asked_keeps_the_champion(registry: Registry) -> None:
    make_version(registry.artifacts)

    @flow(name="waits", flow_run_name="overtaken")
    def waits() -> Decision:
        return ask(waiting("1"), registry, hours=1)

    def overtake() -> None:
        registry.promote("3", by="ada@laptop", reason="meanwhile")
        answer("overtaken", {"promote": True})

    person = threading.Thread(target=overtake)
    person.start()
    decision = waits()
    person.join()
    assert decision.sentence.startswith("kept tiny 3: another champion was made during the approval")
    assert registry.champion() == "3"


def test_rollback_writes_its_reason_down(registry: Registry, tmp_path: Path) -> None:
    registry.promote("2", by="ada@laptop", reason="better")
    make_version(tmp_path, record=OTHER)
    with pytest.raises(RegistryError, match=r"a name must be given where there are several models. Received: none of "):
        rollback(reason="shirts are not recognised", artifacts_dir=str(tmp_path))
    assert rollback(reason="shirts are not recognised", name="tiny", artifacts_dir=str(tmp_path)) == "1"
    entry = registry.entries()[-1]
    assert (entry.decision, entry.reason, registry.champion()) == ("rolled back", "shirts are not recognised", "1")
    with pytest.raises(RegistryError, match="reason must not be empty"):
        rollback(reason=" ", to="2", name="tiny", artifacts_dir=str(tmp_path))


def test_prune_looks_first(registry: Registry, tmp_path: Path) -> None:
    make_version(tmp_path)
    for _ in range(2):
        make_version(tmp_path, record=OTHER)
    retention = Retention(keep_versions=1, keep_days=0)
    size = prune(retention, name="tiny", artifacts_dir=str(tmp_path))
    assert prune(retention, artifacts_dir=str(tmp_path)) > size  # of both
    assert size > 0
    assert registry.versions() == ["1", "2", "3"]
    assert prune(retention, delete=True, name="tiny", artifacts_dir=str(tmp_path)) == size
    assert Registry(tmp_path, "other").versions() == ["1", "2"]
    assert registry.versions() == ["1", "3"]  # the champion, and the newest
    shown = Artifact.get("pruned")
    assert shown
    assert not isinstance(shown, Coroutine)
    assert [(row["what"], row["name"]) for row in json.loads(str(shown.data))] == [("version", "tiny")]
