"""A sweep on the real API. The test is the worker: it ends runs as it likes, and shows their epochs."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import DeploymentFilter
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import Abort
from prefect.states import Cancelled, Completed, Failed, Running, State

import flows.sweep
from flows.sweep import sweep
from hemline.config.retrain import RetrainConfig
from hemline.config.sweep import SweepConfig
from hemline.sweeps.study import Study

Answer = Callable[[SyncPrefectClient, FlowRun], State | None]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepConfig:
    monkeypatch.setattr(flows.sweep, "LOOK_SECONDS", 0.05)
    monkeypatch.setenv("HEMLINE_ROOT", str(tmp_path))
    with get_client(sync_client=True) as client:
        flow = client.create_flow_from_name("retrain")
        client.create_deployment(flow, name=tmp_path.name)
    return SweepConfig.model_validate(
        {
            "artifacts_dir": tmp_path,
            "deployment": f"retrain/{tmp_path.name}",
            "space": {"groups.upper.learning_rate": {"low": 0.01, "high": 0.3}, "epochs": [2, 3]},
            "trials": 6,
            "at_once": 2,
        }
    )


def runs_of(config: SweepConfig, client: SyncPrefectClient) -> list[FlowRun]:
    of = DeploymentFilter.model_validate({"name": {"any_": [config.deployment.removeprefix("retrain/")]}})
    return client.read_flow_runs(deployment_filter=of)


@pytest.fixture
def worker(config: SweepConfig) -> Iterator[Callable[[Answer], None]]:
    """Takes every run that is asked for, in a thread; the most at once is in `most`."""
    done = threading.Event()
    threads: list[threading.Thread] = []

    def work(answer: Answer) -> None:
        def run() -> None:
            with get_client(sync_client=True) as client:
                while not done.is_set():
                    for flow_run in runs_of(config, client):
                        if flow_run.state and not flow_run.state.is_final() and (state := answer(client, flow_run)):
                            client.set_flow_run_state(flow_run.id, state, force=True)
                    time.sleep(0.05)

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield work
    done.set()
    for thread in threads:
        thread.join()


def show(client: SyncPrefectClient, flow_run: FlowRun, *accuracies: float) -> None:
    """As `tasks.train` does."""
    rows = [{"epoch": number, "val_accuracy": each} for number, each in enumerate(accuracies, start=1)]
    client.create_artifact(ArtifactCreate(key="epochs", type="table", data=json.dumps(rows), flow_run_id=flow_run.id))


def rate_of(flow_run: FlowRun) -> float:
    return float(flow_run.parameters["config"]["groups"]["upper"]["learning_rate"])


def trains(client: SyncPrefectClient, flow_run: FlowRun) -> State | None:
    """The higher the rate, the better; half of the epochs are seen under way."""
    RetrainConfig.model_validate(flow_run.parameters["config"])  # what `retrain` would take
    show(client, flow_run, rate_of(flow_run) / 2, rate_of(flow_run))
    return Completed(name="Trained")


def study_of(config: SweepConfig) -> Study:
    (directory,) = (config.artifacts_path / "sweeps").iterdir()
    return Study(directory, config)


def test_the_best_is_a_recipe(config: SweepConfig, worker: Callable[[Answer], None]) -> None:
    worker(trains)
    path = sweep(config)
    assert path
    leaders = study_of(config).leaders()
    assert [each.state for each in leaders] == ["trained"] * 6
    accuracies = [each.val_accuracy for each in leaders]
    assert accuracies == sorted(accuracies, reverse=True)  # type: ignore[type-var]
    best = RetrainConfig(recipe=str(path))
    assert best.groups.by_name()["upper"].learning_rate == pytest.approx(leaders[0].val_accuracy)
    assert not best.only_train
    assert (path.parent / "leaderboard.html").exists()


def test_no_more_at_once_than_said(config: SweepConfig, worker: Callable[[Answer], None]) -> None:
    under_way: list[int] = []

    def slow(client: SyncPrefectClient, flow_run: FlowRun) -> State | None:
        """None ends before another is under way, but the last."""
        runs = runs_of(config, client)
        under_way.append(sum(bool(run.state and not run.state.is_final()) for run in runs))
        return trains(client, flow_run) if under_way[-1] > 1 or len(runs) == config.trials else None

    worker(slow)
    sweep(config)
    assert max(under_way) == 2


def test_what_fails_does_not_end_it(config: SweepConfig, worker: Callable[[Answer], None]) -> None:
    first: list[UUID] = []

    def mostly(client: SyncPrefectClient, flow_run: FlowRun) -> State | None:
        first.append(flow_run.id)
        return Failed(message="no room") if flow_run.id == first[0] else trains(client, flow_run)

    worker(mostly)
    assert sweep(config)
    assert [each.state for each in study_of(config).leaders()] == ["trained"] * 5 + ["failed"]


def test_a_hopeless_trial_is_cancelled_while_it_trains(config: SweepConfig, worker: Callable[[Answer], None]) -> None:
    """After the four that its median is of; by its own epochs so far, which it shows as it goes on."""
    fifth: list[UUID] = []

    def answer(client: SyncPrefectClient, flow_run: FlowRun) -> State | None:
        if flow_run.state and flow_run.state.is_cancelling():
            return Cancelled()
        if sum(bool(run.state and run.state.is_completed()) for run in runs_of(config, client)) < 4:
            return trains(client, flow_run)
        fifth.append(flow_run.id)
        if flow_run.id != fifth[0]:
            return trains(client, flow_run)
        if fifth.count(flow_run.id) == 1:
            show(client, flow_run, 0.001)  # and it goes on
        return None

    worker(answer)
    assert sweep(config)
    leaders = study_of(config).leaders()
    assert [each.state for each in leaders] == ["trained"] * 5 + ["pruned"]
    assert (leaders[-1].flow_run, leaders[-1].val_accuracy, leaders[-1].epochs) == (str(fifth[0]), 0.001, 1)


@pytest.mark.parametrize("goes_on_at", ["the same machine", "another machine"])
def test_killed_anywhere_it_starts_and_counts_nothing_twice(
    goes_on_at: str,
    config: SweepConfig,
    worker: Callable[[Answer], None],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    """Its process ends after each of its first steps in turn: asked, started, noted, ended."""
    worker(trains)
    if goes_on_at == "another machine":
        config = config.model_copy(update={"artifacts_dir": request.getfixturevalue("bucket")})
    monkeypatch.setattr(
        flows.sweep, "run_directory", lambda config, *of: config.artifacts_path / "sweeps" / tmp_path.name
    )

    class Killed(BaseException):
        pass

    for number, (name, after) in enumerate(list(product(("ask", "note", "tell"), (False, True))) * 2):
        if goes_on_at == "another machine":
            monkeypatch.setenv("HEMLINE_ROOT", str(tmp_path / f"host-{number}"))
        original = getattr(Study, name)

        def dies(self: Study, *args: object, original: Callable[..., object] = original, after: bool = after) -> object:
            if after:
                original(self, *args)
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(Study, name, dies)
            with pytest.raises(Killed):
                sweep(config)
    assert sweep(config)
    with get_client(sync_client=True) as client:
        runs = runs_of(config, client)
    leaders = study_of(config).leaders()
    assert len(runs) == len(leaders) == 6
    assert {each.flow_run for each in leaders} == {str(run.id) for run in runs}


def test_a_cancelled_sweep_cancels_its_runs(
    config: SweepConfig, worker: Callable[[Answer], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancels(client: SyncPrefectClient, flow_run: FlowRun) -> State | None:
        return Running() if flow_run.state and flow_run.state.is_scheduled() else None

    worker(cancels)

    def look(self: object) -> None:
        with get_client(sync_client=True) as client:
            if sum(bool(run.state and run.state.is_running()) for run in runs_of(config, client)) == 2:
                raise Abort("cancelled")

    monkeypatch.setattr("tasks.trials.Trials.look", look)
    with pytest.raises(Abort):
        sweep(config)
    with get_client(sync_client=True) as client:
        assert {run.state.type.value for run in runs_of(config, client) if run.state} == {"CANCELLING"}
