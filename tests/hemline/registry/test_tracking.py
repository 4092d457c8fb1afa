"""A real MLflow on SQLite gets everything once; one that is down, slow, broken or absent costs a warning."""

import importlib.util
import logging
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from hemline.config.nested import flat
from hemline.config.retrain import RetrainConfig
from hemline.records.run import ClassScore, Decision, FlowRun, ModelVersion, Record
from hemline.registry import tracking
from hemline.registry.tracking import NAME, SETTINGS, send, track
from hemline.registry.versions import publish, verify
from tests.hemline.conftest import FinishedRun
from tests.hemline.registry.published import RECORD, make_version


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables take seconds to make."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)  # it makes a directory for the files of runs there
        MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """MLflow makes the same wherever it is called."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def address(migrated: Path, tmp_path: Path) -> str:
    shutil.copy(migrated, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def client(address: str, tmp_path: Path) -> MlflowClient:
    client = MlflowClient(address)
    client.create_experiment(NAME, artifact_location=(tmp_path / "mlflow-artifacts").as_uri())
    return client


KEPT = Decision(verdict="kept", champion=None, challenger="1", sentence="s", measurements={})


def rows(client: MlflowClient) -> dict[str, int]:
    """Of every table, so that nothing is there twice."""
    with sqlite3.connect(client.tracking_uri.removeprefix("sqlite:///")) as database:
        tables = ("runs", "params", "metrics", "tags", "model_versions", "registered_models", "experiments")
        return {table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}


def only_run(client: MlflowClient) -> Any:
    experiment = client.get_experiment_by_name(NAME)
    assert experiment
    (run,) = client.search_runs([experiment.experiment_id])
    return run


def champion(client: MlflowClient) -> str:
    return client.get_model_version_by_alias("hemline-tiny", "champion").tags["hemline.version"]


def of_flow_run(number: int, **changes: Any) -> Record:
    return RECORD.model_copy(update={"flow_run": FlowRun(id=f"id-{number}", name=f"run {number}"), **changes})


def make_versions(artifacts: Path, count: int) -> list[Path]:
    """Small ones, each of a flow run of its own."""
    return [
        artifacts / "models" / "tiny" / make_version(artifacts, record=of_flow_run(number)) for number in range(count)
    ]


def test_a_run_is_there_with_all_it_is(
    finished: FinishedRun, client: MlflowClient, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    version = publish(tmp_path, finished.record, finished.trained.directory)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    decision = Decision(verdict="promoted", champion=None, challenger="1", sentence="s", measurements={})
    track(version, decision)
    track(version, decision)  # in processes of its own, both times

    run = only_run(client)
    assert (run.info.run_name, run.info.status) == (finished.record.flow_run.name, "FINISHED")
    assert run.data.tags["hemline.flow_run"] == finished.record.flow_run.id
    assert run.data.params["groups.lower.optimizer"] == "adam"
    assert run.data.params.keys() == flat(finished.record.config.model_dump(mode="json")).keys()
    history = client.get_metric_history(run.info.run_id, "val_accuracy")
    assert [(metric.step, metric.value) for metric in history] == [
        (row["epoch"], row["val_accuracy"]) for row in finished.record.epochs
    ]
    assert run.data.metrics["test_accuracy"] == finished.evaluation.accuracy
    assert champion(client) == "1"
    downloaded = mlflow.artifacts.download_artifacts("models:/hemline-tiny@champion", tracking_uri=address)
    assert verify(Path(downloaded)) == verify(version.path)


def test_twice_is_once(client: MlflowClient, tmp_path: Path) -> None:
    (path,) = make_versions(tmp_path, 1)
    send(client, path, "1")
    before = rows(client)
    send(client, path, "1")
    assert rows(client) == before


@pytest.mark.parametrize("dies_in", ["log_batch", "log_artifacts", "set_terminated", "create_model_version"])
def test_one_that_died_is_finished_by_the_next(
    client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    (path,) = make_versions(tmp_path, 1)
    with monkeypatch.context() as dying:
        does = getattr(MlflowClient, dies_in)

        def do_and_die(*args: Any, **named: Any) -> None:
            does(*args, **named)
            raise KeyboardInterrupt

        dying.setattr(MlflowClient, dies_in, do_and_die)
        with pytest.raises(KeyboardInterrupt):
            send(client, path, "1")
    send(client, path, "1")
    assert (only_run(client).info.status, champion(client)) == ("FINISHED", "1")
    assert (rows(client)["runs"], rows(client)["model_versions"]) == (1, 1)
    assert len(client.get_metric_history(only_run(client).info.run_id, "val_accuracy")) == 1


def test_the_alias_stands_where_the_champion_is(client: MlflowClient, tmp_path: Path) -> None:
    first, second, third = make_versions(tmp_path, 3)
    send(client, first, None)
    with pytest.raises(MlflowException, match="champion"):
        champion(client)
    send(client, second, "2")
    assert champion(client) == "2"
    send(client, third, "1")  # kept, after a rollback that MLflow did not see
    assert champion(client) == "1"
    send(client, third, "99")  # which MLflow never saw
    assert champion(client) == "1"


def test_models_of_two_names_have_each_a_champion(client: MlflowClient, tmp_path: Path) -> None:
    config = RetrainConfig(name="other")
    tiny, other = (make_version(tmp_path, record=of_flow_run(n, **of)) for n, of in ((1, {}), (2, {"config": config})))
    assert tiny == other == "1"
    send(client, tmp_path / "models" / "tiny" / "1", "1")
    send(client, tmp_path / "models" / "other" / "1", None)
    assert champion(client) == "1"
    with pytest.raises(MlflowException, match="champion"):
        client.get_model_version_by_alias("hemline-other", "champion")


def test_a_second_version_of_the_same_flow_run_is_registered(client: MlflowClient, tmp_path: Path) -> None:
    """A run that was killed between publishing and its end publishes again."""
    for _ in range(2):
        send(client, tmp_path / "models" / "tiny" / make_version(tmp_path, record=of_flow_run(1)), None)
    assert (rows(client)["runs"], rows(client)["model_versions"]) == (1, 2)


def test_limits_of_mlflow_are_kept(client: MlflowClient, tmp_path: Path) -> None:
    """More parameters than a call takes, a value and a key too long, and signs that a key must not have."""
    group = {"layers": ["hidden_*"], "optimizer": "adam", "learning_rate": 1e-3}
    groups: dict[str, Any] = {f"group {number}": group for number in range(20)}
    groups |= {"a/../b*": group, 300 * "x": group, "long": group | {"layers": ["y" * 7000]}}
    record = of_flow_run(
        1,
        config=RetrainConfig(name="tiny", groups=groups),
        epochs=[{"epoch": n, "val_accuracy": 0.5} for n in range(1, 300)],
    )
    classes = {"T-shirt/top": ClassScore(examples=70, precision=1, recall=0.5, f1=2 / 3)}
    record.evaluation = record.evaluation.model_copy(update={"classes": classes})
    make_version(tmp_path, record=record)
    send(client, tmp_path / "models" / "tiny" / "1", None)
    params = only_run(client).data.params
    assert len(params) > 200
    assert any(name.endswith("xxx.optimizer") for name in params)
    assert params["groups.a_.._b_.optimizer"] == "adam"
    assert max(map(len, params)) == 250
    assert max(map(len, params.values())) == 6000
    assert "recall of T-shirt_top" in only_run(client).data.metrics
    assert len(client.get_metric_history(only_run(client).info.run_id, "val_accuracy")) == 299


def test_the_experiments_name_may_be_given(
    client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "shoes")
    (path,) = make_versions(tmp_path, 1)
    send(client, path, None)
    assert client.get_experiment_by_name("shoes") is not None
    experiment = client.get_experiment_by_name(NAME)
    assert experiment
    assert client.search_runs([experiment.experiment_id]) == []


# --- what must not happen to a run


@pytest.fixture
def version(tmp_path: Path) -> ModelVersion:
    (path,) = make_versions(tmp_path, 1)
    return ModelVersion(
        name="tiny",
        version="1",
        path=path,
        run=tmp_path,
        dataset=RECORD.dataset,
        device=RECORD.device,
        val_accuracy=0.5,
        test_accuracy=0.5,
    )


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Processes that would have been started."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **options: calls.append({"command": command, **options}))
    return calls


def warned(caplog: pytest.LogCaptureFixture) -> str:
    (record,) = [record for record in caplog.records if record.name == "hemline.registry.tracking"]
    assert record.levelno == logging.WARNING
    return record.getMessage()


@pytest.mark.parametrize("address", [None, ""])
def test_without_an_address_nothing_happens(
    version: ModelVersion, calls: list[Any], monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if address is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    track(version, KEPT)
    assert calls == []


def test_without_mlflow_a_warning_says_how_to_get_it(
    version: ModelVersion, calls: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    track(version, KEPT)
    assert calls == []
    assert "pip install" in warned(caplog)


def test_mlflow_is_not_imported_here() -> None:
    code = "import sys, hemline.registry.tracking; print([m for m in sys.modules if m.startswith('mlflow')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("verdict", "before", "champion"), [("promoted", "0", "1"), ("kept", "0", "0"), ("kept", None, "")]
)
def test_the_process_has_bounds_and_says_nothing_to_its_maker(
    version: ModelVersion,
    calls: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    verdict: Any,
    before: str | None,
    champion: str,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    track(version, KEPT.model_copy(update={"verdict": verdict, "champion": before}))
    (call,) = calls
    assert call["command"] == [sys.executable, "-m", "hemline.registry.tracking", str(version.path), champion]
    assert call["timeout"] == tracking.SECONDS
    assert call["env"].items() >= SETTINGS.items()


def test_its_settings_are_mlflows_and_stop_telemetry() -> None:
    code = (
        "from mlflow import environment_variables as e; from mlflow.telemetry.utils import is_telemetry_disabled\n"
        "print(e.MLFLOW_HTTP_REQUEST_TIMEOUT.get(), e.MLFLOW_HTTP_REQUEST_MAX_RETRIES.get(), is_telemetry_disabled(),"
        " e.MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.get())"
    )
    done = subprocess.run([sys.executable, "-c", code], env=SETTINGS, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["10", "1", "True", "False"]


def test_an_address_that_is_dead_costs_a_warning(
    version: ModelVersion, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With one retry of a refused connection; and the password is not in the log."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:secret@127.0.0.1:9")
    track(version, KEPT)
    assert "Connection refused" in warned(caplog)
    assert "secret" not in caplog.text


def test_one_that_hangs_is_killed(
    version: ModelVersion, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(tracking, "SECONDS", 0.05)  # less than Python takes to start
    track(version, KEPT)
    assert "it took longer than 0.05 s" in warned(caplog)


def test_a_version_that_does_not_verify_is_not_sent(
    client: MlflowClient, version: ModelVersion, address: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    (version.path / "model.keras").write_bytes(b"other weights")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    track(version, KEPT)
    assert "model.keras was changed" in warned(caplog)
    assert rows(client)["runs"] == 0


def test_no_process_can_be_started(
    version: ModelVersion, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(tracking.sys, "executable", "/nowhere/python")
    track(version, KEPT)
    assert "No such file" in warned(caplog)
