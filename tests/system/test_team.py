"""A team's worst night: a sweep and a nightly run on two hosts, of which one dies; and before, what runs on them.

One Prefect server on PostgreSQL, one S3 store, two workers on each host. A host is a network namespace, with processes
and a name of its own, and has a root and a PREFECT_HOME of its own: it shares nothing with the other but the network.
What a worker's service does is done by the host's first process, which starts a worker that has ended again.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pandas as pd
import psutil
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import DeploymentFilter
from prefect.client.schemas.objects import FlowRun

from bench.postgres import postgres, programs
from flows.server import SERVER, WORKER
from hemline.config.retrain import RetrainConfig
from hemline.config.sweep import SweepConfig
from hemline.registry.champion import Registry
from hemline.storage.attempts import attempts
from hemline.storage.run_copies import fetch_attempts, fetch_run, numbers
from hemline.storage.shared import shared_at
from hemline.sweeps.study import Study
from tests.hemline.storage.s3 import machine, new_bucket, s3_server, use
from tests.system import tiny
from tests.system.conftest import ROOT, free_port, user, wait_until
from tests.system.machines import PREFECT, Host, address

pytestmark = [pytest.mark.system, pytest.mark.slow]
HERE = "10.213.8.9"  # of the server and the store
CABLES = {"east": ("10.213.8.1", "10.213.8.2"), "west": ("10.213.8.5", "10.213.8.6")}  # this end, and the host's
PATIENCE = 1200.0  # for what takes two minutes on an idle machine
EPOCHS, TRIALS = 40, 12
TRAINING = tiny.CONFIG | {"epochs": EPOCHS}
NIGHTLY = TRAINING | {"force": True, "gate": {"margin": -100, "max_class_drop": 100}}  # what is published is promoted
SWEEP = {
    "base": TRAINING,
    "space": {"groups.upper.learning_rate": {"low": 0.001, "high": 0.1, "log": True}},
    "trials": TRIALS,
    "at_once": 3,
    "pruner": "none",
}
TRAININGS = DeploymentFilter.model_validate({"name": {"any_": ["smoke", "nightly"]}})
Found = TypeVar("Found")


def wait_for(find: Callable[[], Found | None], what: str) -> Found:
    """What there is then."""
    found: list[Found] = []

    def look() -> bool:
        if each := find():
            found.append(each)
        return bool(found)

    wait_until(look, what, PATIENCE)
    return found[0]


@dataclass
class Team:
    """All of it. copy: of the store, of somebody who has not worked with it."""

    url: str
    environment: dict[str, str]
    hosts: dict[str, Host]
    copy: Path

    def client(self) -> SyncPrefectClient:
        return SyncPrefectClient(self.url)

    def begin(self, deployment: str, config: dict[str, Any]) -> FlowRun:
        with self.client() as client:
            found = client.read_deployment_by_name(deployment)
            return client.create_flow_run_from_deployment(found.id, parameters={"config": config})

    def look(self, run: FlowRun) -> FlowRun:
        with self.client() as client:
            return client.read_flow_run(run.id)

    def ended(self, run: FlowRun) -> str:
        """Waits for the state that it ends with, and returns its name; what has crashed comes back."""

        def look() -> str | None:
            state = self.look(run).state
            return state.name if state and state.is_final() and not state.is_crashed() else None

        return wait_for(look, f"the end of {run.name}")

    def trials(self) -> list[FlowRun]:
        """Every run that a sweep has asked for."""
        with self.client() as client:
            return client.read_flow_runs(
                deployment_filter=DeploymentFilter.model_validate({"name": {"any_": ["smoke"]}})
            )

    def host_of(self, run: FlowRun) -> Host | None:
        return next((host for host in self.hosts.values() if run.id in host.runs()), None)

    def directory(self, place: str, run: UUID) -> Path:
        """A run's, in the copy; what the store has of it is not here yet."""
        shared = shared_at(self.copy / place)
        assert shared
        (name,) = [each for each in shared.directories() if each.endswith(run.hex[:8])]
        return self.copy / place / name

    def attempts(self, sweep: FlowRun) -> list[int]:
        shared = shared_at(self.directory("sweeps", sweep.id))
        assert shared
        return numbers(shared)

    def fetched(self, place: str, run: UUID) -> Path:
        """The same with all that the store has."""
        directory = self.directory(place, run)
        (directory / "attempts").mkdir(parents=True, exist_ok=True)
        fetch_run(directory)
        fetch_attempts(directory, own=[])
        return directory

    def in_training(self, host: Host) -> list[UUID]:
        """Runs of the host that another can go on with, and that are far from their end."""
        with self.client() as client:
            known = client.read_flow_runs(deployment_filter=TRAININGS)
        running = {run.id for run in known if run.state_name == "Running"}
        return [run for run in host.runs() if run in running and 0 < self._epochs_in_store(run) <= EPOCHS // 2]

    def _epochs_in_store(self, run: UUID) -> int:
        try:
            shared = shared_at(self.directory("runs", run))
        except ValueError:  # it has begun a moment ago
            return 0
        assert shared
        return max((int(name.split("-")[1]) for name in shared.names("checkpoints/")), default=0)


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    if programs() is None:
        pytest.skip("no PostgreSQL on this machine (Debian: apt-get install postgresql)")
    with ExitStack() as stack:
        stack.enter_context(address(HERE))
        use(s3 := stack.enter_context(s3_server(HERE)), monkeypatch)
        bucket = new_bucket(s3)
        copy = machine(tmp_path / "copy", bucket, monkeypatch)
        url = f"http://{HERE}:{(port := free_port())}/api"
        environment = user(tmp_path) | {"PREFECT_API_URL": url, "HEMLINE_ARTIFACTS": bucket}
        of_server = SERVER | {"PREFECT_SERVER_DATABASE_CONNECTION_URL": stack.enter_context(postgres())}
        words = [*PREFECT, "server", "start", "--host", HERE, "--port", str(port)]
        log = stack.enter_context((tmp_path / "server.log").open("wb"))
        server = subprocess.Popen(words, cwd=ROOT, env=environment | of_server, stdout=log, stderr=log)
        stack.callback(server.wait, 60)
        stack.callback(server.terminate)
        team = Team(url, environment | WORKER, {}, copy)
        with team.client() as client:
            wait_until(lambda: client.api_healthcheck() is None, "starting")
        for words in (
            [*PREFECT, "work-pool", "create", "gpu", "--type", "process"],
            [*PREFECT, "deploy", "--all"],
            [sys.executable, "-m", "ops.automations"],
        ):
            done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        try:
            for name in CABLES:
                team.hosts[name] = Host(name, CABLES[name], tmp_path / name, team.environment)
            yield team
        finally:
            for host in team.hosts.values():
                host.kill()


def kill_worker_of(run: UUID, host: Host) -> None:
    """With all its runs."""
    worker = host.runs()[run].parent()
    assert worker
    for process in [worker, *worker.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def test_whatever_dies_each_trial_is_trained_once_and_all_agree_on_the_champion(team: Team, tmp_path: Path) -> None:
    first = NIGHTLY | {"epochs": 1}  # or both would make the same predictions, and the champion would be kept
    assert team.ended(team.begin("retrain/nightly", first)) == "Promoted"
    sweep = team.begin("sweep/search", SWEEP)
    wait_until(lambda: "Trained" in {run.state_name for run in team.trials()}, "the end of a trial", PATIENCE)
    host = team.host_of(sweep)
    assert host
    host.runs()[sweep.id].kill()
    wait_until(lambda: 2 in team.attempts(sweep), "the sweep's coming back", PATIENCE)
    lost = team.host_of(sweep)
    assert lost
    (left,) = (host for host in team.hosts.values() if host is not lost)
    nightly = team.begin("retrain/nightly", NIGHTLY)
    wait_for(lambda: team.host_of(nightly), "the nightly run")
    here = wait_for(lambda: team.in_training(left), "training on the host that is left")
    kill_worker_of(here[0], left)
    there = wait_for(lambda: team.in_training(lost), "training on the host that is lost")
    lost.kill()
    team.hosts[lost.name] = Host(
        lost.name, CABLES[lost.name], tmp_path / "new", team.environment
    )  # with nothing of what it had

    assert team.ended(sweep) == "Completed"
    assert team.ended(nightly) == "Promoted"
    require_each_trial_trained_once(team, sweep)
    for run in (*there, here[0]):
        require_went_on(team.fetched("runs", run))
    require_one_champion(team, nightly)


def require_each_trial_trained_once(team: Team, sweep: FlowRun) -> None:
    """A trial has one run, and that ended well once; of every epoch there is one row, and its value is the trial's."""
    directory = team.fetched("sweeps", sweep.id)
    assert len(attempts(directory)) == 3
    leaders = Study(directory, SweepConfig.model_validate(SWEEP)).leaders()
    assert sorted(leader.trial for leader in leaders) == list(range(TRIALS))
    runs = team.trials()
    assert [run.state_name for run in runs] == ["Trained"] * TRIALS
    assert {leader.flow_run for leader in leaders} == {str(run.id) for run in runs}
    parameters = {str(run.id): run.parameters["config"] for run in runs}
    for leader in leaders:
        assert leader.flow_run
        run = team.fetched("runs", UUID(leader.flow_run))
        rate = RetrainConfig.model_validate(parameters[leader.flow_run]).groups.by_name()["upper"].learning_rate
        assert rate == leader.values["groups.upper.learning_rate"]
        epochs = pd.read_csv(run / "epochs.csv")
        assert list(epochs["epoch"]) == list(range(1, EPOCHS + 1))
        assert leader.val_accuracy == pytest.approx(epochs["val_accuracy"].iloc[-1], abs=1e-4)
        *before, last = attempts(run)
        assert (last.ended, last.refused, last.failed) == (True, "", "")
        assert not any(each.ended for each in before)  # they were killed
    assert (directory / "best.yaml").exists()


def require_went_on(run: Path) -> None:
    """The last attempt began where the store's newest checkpoint was, and trained what was left of the epochs."""
    last = attempts(run)[-1]
    assert last.number > 1
    timing = pd.read_csv(run / "timing.csv")
    trained = list(timing[(timing["attempt"] == last.number) & (timing["phase"] == "steps")]["epoch"])
    first = EPOCHS + 1 - len(trained)
    assert first > 1
    assert trained == list(range(first, EPOCHS + 1))
    assert f"(attempt {last.number}) after: " in (run / "run.log").read_text()


def require_one_champion(team: Team, nightly: FlowRun) -> None:
    """By the store, by each host, and after a person on one of them has changed it."""
    registry = Registry(team.copy, "mnist")
    assert registry.versions() == ["1", "2"]
    assert registry.verified("2").flow_run.id == str(nightly.id)
    assert [entry.champion_after for entry in registry.entries()] == ["1", "2"]
    for name, version in zip(team.hosts, ("1", "2"), strict=True):
        back = ["--name", "mnist", "--reason", f"tried on {name}"]
        team.hosts[name].hemline("rollback", *back, *([] if version == "1" else [version]))
        assert registry.champion() == version
        said = [host.hemline("versions", "--name", "mnist") for host in team.hosts.values()]
        assert [[row["version"] for row in rows if "champion" in row["standing"]] for rows in said] == [
            [version]
        ] * len(said)
