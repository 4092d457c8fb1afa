"""As its operator has it: server, worker, deployments, runs, artifacts, and what happens when things end early."""

import json
from pathlib import Path
from uuid import UUID

import pandas as pd
import pytest
from prefect.client.schemas.filters import ArtifactFilter, DeploymentFilter, TaskRunFilter
from prefect.client.schemas.objects import FlowRun

from hemline.registry import versions
from hemline.registry.champion import Registry
from tests.system import tiny
from tests.system.conftest import Installation, free_port, user, wait_until

pytestmark = pytest.mark.system


def newest_run(installation: Installation, deployment: str) -> FlowRun:
    with installation.client() as client:
        of_deployment = DeploymentFilter.model_validate({"name": {"any_": [deployment]}})
        runs = client.read_flow_runs(deployment_filter=of_deployment)
    return max(runs, key=lambda run: run.created.timestamp() if run.created else 0)


def run_directory(installation: Installation, flow_run: UUID) -> Path:
    (directory,) = (installation.root / "artifacts" / "runs").glob(f"*-{flow_run.hex[:8]}")
    return directory


@pytest.fixture(scope="module")
def smoke(installation: Installation) -> FlowRun:
    """`prefect deployment run 'retrain/smoke' --watch`, from a directory that has nothing to do with it."""
    done = installation.run("-m", "prefect", "deployment", "run", "retrain/smoke", "--watch")
    assert done.returncode == 0, done.stdout + done.stderr
    return newest_run(installation, "smoke")


@pytest.fixture(scope="module")
def joined(installation: Installation, smoke: FlowRun) -> FlowRun:
    """The same again from a terminal: `hemline retrain --epochs 1 --force true`, where PREFECT_API_URL is not set."""
    words = ["-m", "flows.command", "retrain", "--epochs", "1", "--force", "true"]
    earlier = len(installation.log.read_text())
    done = installation.run(*words, cwd=Path(__file__).parents[2], environment=user(installation.root))
    assert done.returncode == 0, done.stdout + done.stderr
    # Since then: a busy server that starts may find its own database locked.
    assert "database is locked" not in done.stdout + done.stderr + installation.log.read_text()[earlier:]
    with installation.client() as client:
        (run,) = [run for run in client.read_flow_runs() if run.deployment_id is None]
    return run


def test_smoke_completes_and_leaves_a_verified_model(installation: Installation, smoke: FlowRun) -> None:
    assert smoke.state
    assert smoke.state.is_completed()
    assert smoke.name == f"fashion_mnist mlp {smoke.expected_start_time:%Y-%m-%d}"

    manifest = versions.verify(installation.root / "artifacts" / "models" / "fashion_mnist" / "1")
    assert manifest.flow_run.id == str(smoke.id)
    assert manifest.evaluation.accuracy > 0.8  # one epoch
    directory = run_directory(installation, smoke.id)
    assert len(pd.read_csv(directory / "epochs.csv")) == 1
    assert (directory / "report.html").exists()


def test_the_noise_of_starting_is_in_the_runs_log(installation: Installation, smoke: FlowRun) -> None:
    noise = "This TensorFlow binary is optimized"
    assert noise in (run_directory(installation, smoke.id) / "run.log").read_text()
    assert noise not in installation.log.read_text()


def test_the_ui_has_tables_and_a_report(installation: Installation, smoke: FlowRun) -> None:
    with installation.client() as client:
        of_run = ArtifactFilter.model_validate({"flow_run_id": {"any_": [str(smoke.id)]}})
        found = {artifact.key: artifact for artifact in client.read_artifacts(artifact_filter=of_run)}
    assert {"epochs", "layer-norm-parity", "report"} <= set(found)
    (epoch,) = json.loads(str(found["epochs"].data))
    assert epoch["epoch"] == 1


def test_a_run_from_a_terminal_is_in_the_ui_with_its_tasks(
    installation: Installation, smoke: FlowRun, joined: FlowRun
) -> None:
    """Its temporary server used the database of the running one: it was shown without tasks."""
    with installation.client() as client:
        tasks = [
            client.read_task_runs(
                task_run_filter=TaskRunFilter.model_validate({"flow_run_id": {"any_": [str(run.id)]}})
            )
            for run in (smoke, joined)
        ]
    assert {task.task_key for task in tasks[1]} == {task.task_key for task in tasks[0]}
    assert {task.state_name for task in tasks[1]} <= {"Completed", "Cached"}


def test_a_better_model_is_promoted_and_no_other(installation: Installation, joined: FlowRun, proofs: Path) -> None:
    """The first run was promoted for want of a champion. Then the same again, a worse one, a better one, a rollback."""
    registry = Registry(installation.root / "artifacts", "fashion_mnist")
    assert registry.entries()[-1].reason.startswith("kept fashion_mnist 1: challenger 2 makes the same predictions")
    for changes, sentence in (
        ({"recipe": "chapter-listing"}, "kept fashion_mnist 1: challenger 3 is "),
        ({"recipe": "best-mlp", "validation": 5000}, "promoted fashion_mnist 4 over 1: challenger 4 is "),
    ):
        config = json.dumps({"config": {"epochs": 1, "device": "auto"} | changes})
        done = installation.run("-m", "prefect", "deployment", "run", "retrain/smoke", "--params", config, "--watch")
        assert done.returncode == 0, done.stdout + done.stderr
        assert registry.entries()[-1].reason.startswith(sentence)
    assert [entry.decision for entry in registry.entries()] == ["promoted", "kept", "kept", "promoted"]
    run = newest_run(installation, "smoke")
    assert registry.entries()[-1].by == f"{run.name} ({run.id})"
    proved = installation.root / "artifacts" / "proofs"  # earlier, and taken by all: a run that proves again writes
    assert {path.name: path.read_text() for path in proved.iterdir()} == {
        path.name: path.read_text() for path in proofs.iterdir()
    }

    words = ["rollback/champion", "--param", "reason=to see that it works", "--watch"]
    done = installation.run("-m", "prefect", "deployment", "run", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert registry.champion() == "1"


def test_the_scheduler_plans_the_nightly_run(installation: Installation) -> None:
    """With SQLAlchemy 2.1 the server of Prefect 3.8 logs an error here and plans nothing, for ever."""
    nightly = DeploymentFilter.model_validate({"name": {"any_": ["nightly"]}})

    def planned() -> list[FlowRun]:
        with installation.client() as client:
            return client.read_flow_runs(deployment_filter=nightly)

    wait_until(lambda: bool(planned()), "planning a nightly run")
    assert {run.expected_start_time.hour for run in planned() if run.expected_start_time} == {2}
    assert "bulk DML" not in installation.log.read_text()


def test_a_cancelled_run_stops_and_keeps_its_finished_epochs(installation: Installation) -> None:
    tiny.prepare(installation.root)  # which keeps one processor busy and not all of them
    parameters = json.dumps(tiny.CONFIG | {"epochs": 10_000, "data_dir": str(installation.root / "data")})
    done = installation.run("-m", "prefect", "deployment", "run", "retrain/smoke", "--param", f"config={parameters}")
    assert done.returncode == 0, done.stdout + done.stderr
    run = newest_run(installation, "smoke")
    runs = installation.root / "artifacts" / "runs"
    wait_until(lambda: any(runs.glob(f"*-{run.id.hex[:8]}/epochs.csv")), "the first epoch")
    assert installation.run("-m", "prefect", "flow-run", "cancel", str(run.id)).returncode == 0

    def ended() -> bool:
        with installation.client() as client:
            state = client.read_flow_run(run.id).state
        return bool(state and state.is_final())

    wait_until(ended, "cancelling")
    with installation.client() as client:
        state = client.read_flow_run(run.id).state
        of_run = TaskRunFilter.model_validate({"flow_run_id": {"any_": [str(run.id)]}})
        tasks = client.read_task_runs(task_run_filter=of_run)
    assert state
    assert state.is_cancelled()
    assert [task.name for task in tasks if task.state and task.state.is_running()] == []
    directory = run_directory(installation, run.id)
    epochs, iterations = pd.read_csv(directory / "epochs.csv"), pd.read_parquet(directory / "iterations.parquet")
    assert list(epochs["epoch"]) == list(range(1, len(epochs) + 1))
    assert iterations["epoch"].max() in (len(epochs), len(epochs) + 1)  # one table is written before the other
    assert not (installation.root / "artifacts" / "models" / "mnist").exists()


def test_a_parameter_out_of_bounds_is_refused_when_it_is_asked_for(installation: Installation) -> None:
    parameters = json.dumps({"epochs": 0})
    done = installation.run("-m", "prefect", "deployment", "run", "retrain/smoke", "--param", f"config={parameters}")
    assert done.returncode != 0
    assert "0 is less than the minimum of 1" in done.stdout + done.stderr


def test_a_port_in_use_is_refused_before_anything_starts(installation: Installation) -> None:
    done = installation.run("-m", "ops.up", "--port", str(installation.port), cwd=Path(__file__).parents[2])
    assert done.returncode == 1
    assert f"must be free. Received: port {installation.port}" in done.stderr
    assert "make up ARGS=" in done.stderr
    assert done.stdout == ""


def test_a_second_server_for_the_same_database_is_refused(installation: Installation) -> None:
    done = installation.run("-m", "ops.up", "--port", str(free_port()), cwd=Path(__file__).parents[2])
    assert done.returncode == 1
    assert f"Received: a second one, beside {installation.address}/api." in done.stderr
    assert done.stdout == ""
