"""The morning page in the UI and on disk: however a run ends, and no error of it is the run's."""

import logging
from pathlib import Path
from uuid import UUID

import pytest
from prefect.artifacts import Artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import Artifact as ArtifactResponse
from prefect.settings import PREFECT_UI_URL, temporary_settings

from flows import retrain as retrain_module
from flows.prune import prune
from flows.retrain import retrain
from hemline.config.retrain import RetrainConfig
from hemline.registry.champion import Registry
from hemline.registry.prune import Retention
from tasks import production
from tasks.production import key_of, show_production
from tests.flows.test_retrain import flow_run_id
from tests.hemline.registry.nights import Nights


def shown(name: str) -> ArtifactResponse:
    found = Artifact.get(key_of(name))
    assert isinstance(found, ArtifactResponse)
    return found


def page(directory: Path) -> str:
    return (directory / "index.html").read_text()


@pytest.mark.parametrize(
    ("name", "key"),
    [("fashion_mnist", "production-fashion-mnist"), ("My.Shoes-2", "production-my-shoes-2"), ("a_", "production-a")],
)
def test_a_key_is_of_small_letters_and_dashes(name: str, key: str) -> None:
    assert key_of(name) == key


def test_every_end_of_a_run_is_shown(config: RetrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    where = config.artifacts_path
    first = retrain(config, return_state=True)
    artifact = shown("mnist")
    assert artifact.flow_run_id == flow_run_id(first)
    assert str(artifact.description).startswith("Nothing needs you. Promoted ")
    assert "<strong>Promoted</strong>" in page(where)
    with temporary_settings({PREFECT_UI_URL: "http://hemline.example:4200"}):
        second = retrain(config, return_state=True)
    assert second.name == "Unchanged"
    assert f"http://hemline.example:4200/runs/flow-run/{flow_run_id(second)}" in str(shown("mnist").data)
    assert "hemline.example" not in page(where)

    refused = retrain(RetrainConfig(**(config.model_dump() | {"device": "gpu"})), return_state=True)
    assert refused.is_failed()
    assert "1 thing needs you. Refused " in str(shown("mnist").description)

    def bug(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(retrain_module, "check_model", bug)
    assert retrain(config.model_copy(update={"force": True}), return_state=True).is_failed()
    assert "Failed " in str(shown("mnist").description)
    assert "ZeroDivisionError: a bug" in page(where)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(retrain_module, "check_model", interrupted)
    with pytest.raises(KeyboardInterrupt):
        retrain(config.model_copy(update={"force": True}), return_state=True)
    assert "<strong>Unfinished</strong>" in page(where)  # by the flow's hook
    assert "Unfinished " in str(shown("mnist").description)


def test_a_page_that_cannot_be_made_fails_no_run_and_is_logged(
    config: RetrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    (config.artifacts_path / "index.html").mkdir()
    state = retrain(config, return_state=True)
    assert state.name == "Promoted"
    (log,) = config.artifacts_path.glob("runs/*/run.log")
    assert "the morning page is not up to date" in log.read_text()
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(UUID(str(flow_run_id(state)))).state_name == "Promoted"


def test_a_hook_of_a_run_without_a_directory_shows_nothing(
    config: RetrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is cancelled before it begins."""

    class FlowRun:
        id, parameters = UUID(int=7), {"config": config.model_dump(mode="json")}

    production.show_after(flow=None, flow_run=FlowRun(), state=None)  # type: ignore[arg-type]
    assert not (config.artifacts_path / "index.html").exists()


def test_a_decision_and_a_prune_show_it_of_their_names(tmp_path: Path) -> None:
    nights = Nights(tmp_path, "pruned-one")
    nights.judged("promoted")
    other = Nights(tmp_path, "pruned-two")
    other.number = 40
    other.judged("promoted")
    prune(Retention(), artifacts_dir=str(tmp_path))
    assert "Promoted 2026-11-02" in str(shown("pruned-one").description)
    assert "Promoted 2026-12-12" in str(shown("pruned-two").description)
    show_production(tmp_path, "pruned-one", logging.getLogger("test"), wait=False)
    assert Registry(tmp_path, "pruned-one").champion() == "1"
