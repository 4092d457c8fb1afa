"""A cluster on the real API. The test is the workers: it starts, ends and kills members as it likes."""

import contextvars
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from prefect import flow, runtime
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import Abort
from prefect.states import Cancelled, Cancelling, Completed, Crashed, Failed, Running, State

import flows.cluster
from flows.cluster import cluster
from hemline.config.retrain import RetrainConfig
from hemline.errors import ConfigurationError, DeviceError
from hemline.runtime.cluster import tf_config, unintroduced
from tasks import members
from tasks.join import ADDRESS, INTRODUCTION, join
from tasks.members import Members

LOST: State = Failed(message="Flow run encountered an exception: UnavailableError: Collective ops is aborted by: ...")


class Member:
    """What its process would do, at each look at its run. lives: how often it was started."""

    def __init__(self, run: FlowRun):
        self.number, self.lives = int(run.name.rpartition(" ")[2]), 0
        self.told: list[str] = []  # TF_CONFIG, one for each life in which it was introduced

    def look(self, client: SyncPrefectClient, run: FlowRun) -> State | None:
        assert run.state
        if run.state.is_scheduled():
            self.lives += 1
            assert not run.labels.get(INTRODUCTION)  # that of a life before
            client.set_flow_run_state(run.id, Running(), force=True)
            client.update_flow_run_labels(run.id, {ADDRESS: self.address()})
        elif run.state.is_cancelling():
            return Cancelled()
        elif told := run.labels.get(INTRODUCTION):
            self.told = [*self.told[: self.lives - 1], str(told)]
            return self.trained()
        return None

    def address(self) -> str:
        return f"10.0.{self.lives}.{self.number}:1"

    def trained(self) -> State | None:
        return Completed(name="Kept", message="kept mnist 1") if self.number == 0 else Completed()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RetrainConfig:
    """Of one cluster: every call of the flow in a test is another attempt at it."""
    monkeypatch.setattr(flows.cluster, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(flows.cluster, "run_directory", lambda *of: tmp_path / "clusters" / tmp_path.name)
    monkeypatch.setattr(members, "RESUME_SECONDS", 0.0)
    monkeypatch.setattr(members, "DEPLOYMENT", f"retrain/{tmp_path.name}")
    monkeypatch.setenv("HEMLINE_ROOT", str(tmp_path))
    with get_client(sync_client=True) as client:
        client.create_deployment(client.create_flow_from_name("retrain"), name=tmp_path.name)
    return RetrainConfig(artifacts_dir=tmp_path, seed=None)


def runs_of(client: SyncPrefectClient) -> list[FlowRun]:
    name = members.DEPLOYMENT.removeprefix("retrain/")
    return client.read_flow_runs(deployment_filter=DeploymentFilter.model_validate({"name": {"any_": [name]}}))


Work = Callable[[type[Member]], dict[int, Member]]


@pytest.fixture
def workers() -> Iterator[Work]:
    """Take every run that is asked for, in a thread; gives the members by number."""
    done, known, errors = threading.Event(), dict[int, Member](), list[BaseException]()
    threads: list[threading.Thread] = []

    def work(kind: type[Member]) -> dict[int, Member]:
        def run() -> None:
            try:
                with get_client(sync_client=True) as client:
                    while not done.wait(0.1):  # a look keeps the server busy for half of that
                        for flow_run in runs_of(client):
                            member = kind(flow_run)
                            member = known.setdefault(member.number, member)
                            if flow_run.state is None or flow_run.state.is_final():
                                continue
                            if state := member.look(client, flow_run):
                                client.set_flow_run_state(flow_run.id, state, force=True)
            except BaseException as error:
                errors.append(error)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return known

    yield work
    done.set()
    for thread in threads:
        thread.join()
    assert errors == []


def places(member: Member) -> list[tuple[list[str], int]]:
    """The cluster and its own number, as it was told in each of its lives."""
    told = [json.loads(each) for each in member.told]
    return [(each["cluster"]["worker"], each["task"]["index"]) for each in told]


def test_members_are_introduced_and_it_ends_as_worker_0(config: RetrainConfig, workers: Work) -> None:
    known = workers(Member)
    state = cluster(config, 3, return_state=True)
    assert (state.type.value, state.name, state.message) == ("COMPLETED", "Kept", "kept mnist 1")
    all_of_them = ["10.0.1.0:1", "10.0.1.1:1", "10.0.1.2:1"]
    assert places(known[0]) == [(all_of_them, 0)]
    with get_client(sync_client=True) as client:
        runs = runs_of(client)
    assert len(runs) == 3
    configs = [RetrainConfig.model_validate(run.parameters["config"]) for run in runs]
    assert configs[0].seed is not None  # which each would take from its own date
    assert configs[1:] == configs[:1] * 2
    for run in runs:  # a place, and nobody else's address yet
        told = json.loads(run.job_variables["env"]["TF_CONFIG"])  # type: ignore[index]
        assert told["cluster"]["worker"] == ["", "", ""]
        assert run.name.endswith(f"worker {told['task']['index']}")


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("end", [Crashed(message="status code: -9"), LOST])
def test_if_one_is_lost_all_come_back(config: RetrainConfig, workers: Work, number: int, end: State) -> None:
    class Dies(Member):
        def trained(self) -> State | None:
            if self.lives > 1:
                return super().trained()
            return end if self.number == number else None  # waits for it for ever

    known = workers(Dies)
    assert cluster(config, 2, return_state=True).name == "Kept"
    assert [known[each].lives for each in (0, 1)] == [2, 2]
    assert places(known[0]) == [(["10.0.1.0:1", "10.0.1.1:1"], 0), (["10.0.2.0:1", "10.0.2.1:1"], 0)]
    with get_client(sync_client=True) as client:
        assert len(runs_of(client)) == 2


def test_a_loss_that_repeats_ends_it(config: RetrainConfig, workers: Work) -> None:
    class Lost(Member):
        def trained(self) -> State | None:
            return LOST

    known = workers(Lost)
    state = cluster(config.model_copy(update={"attempts": 2}), 2, return_state=True)
    assert state.is_failed()
    assert "a cluster may come back 2 times in a row" in (state.message or "")
    assert {member.lives for member in known.values()} == {3}


def test_a_refusal_ends_it_at_once_and_retry_brings_all_back(config: RetrainConfig, workers: Work) -> None:
    refused = [True]

    class Refuses(Member):
        def trained(self) -> State | None:
            if not refused:
                return super().trained()
            if self.number == 1:
                return Failed(message="Flow run encountered an exception: DatasetError: there is no room")
            return LOST

    known = workers(Refuses)
    state = cluster(config, 2, return_state=True)
    assert state.is_failed()
    assert "worker 1: Flow run encountered an exception: DatasetError: there is no room" in (state.message or "")
    assert {member.lives for member in known.values()} == {1}
    refused.clear()
    assert cluster(config, 2, return_state=True).name == "Kept"
    assert {member.lives for member in known.values()} == {2}


def test_a_member_that_a_person_cancels_cancels_all(config: RetrainConfig, workers: Work) -> None:
    class Asked(Member):
        def trained(self) -> State | None:
            return None

        def look(self, client: SyncPrefectClient, run: FlowRun) -> State | None:
            if self.number == 1 and self.lives and run.state and run.state.is_running():
                return Cancelling()
            return super().look(client, run)

    workers(Asked)
    state = cluster(config, 2, return_state=True)
    assert state.is_cancelled()
    assert (state.message or "").endswith("worker 1 was cancelled")
    with get_client(sync_client=True) as client:
        assert Counter(run.state.name for run in runs_of(client) if run.state) == {"Cancelled": 2}


def test_a_cancelled_cluster_cancels_its_members(
    config: RetrainConfig, workers: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Trains(Member):
        def trained(self) -> State | None:
            return None

    known = workers(Trains)
    look = Members.look

    def cancelled(self: Members) -> State | None:
        if sum(bool(member.told) for member in known.values()) == 2:
            raise Abort("the run was cancelled")
        return look(self)

    monkeypatch.setattr(Members, "look", cancelled)
    with pytest.raises(Abort):
        cluster(config, 2)
    with get_client(sync_client=True) as client:
        while not all(run.state and run.state.is_final() for run in runs_of(client)):
            time.sleep(0.02)
        assert {run.state.name for run in runs_of(client) if run.state} == {"Cancelled"}


def test_killed_anywhere_it_starts_nobody_twice(
    config: RetrainConfig, workers: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process ends before and after each thing that it asks of the server in turn; a member dies meanwhile."""

    class DiesOnce(Member):
        def trained(self) -> State | None:
            return Crashed() if self.lives == 1 and self.number == 1 else super().trained() if self.lives > 1 else None

    class Killed(BaseException):
        pass

    known = workers(DiesOnce)
    asked, last = 0, 0  # what this process has asked of the server, and may ask

    def counted(original: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **named: object) -> object:
            nonlocal asked
            if sys._getframe(1).f_globals["__name__"] == members.__name__:  # not the workers, nor Prefect itself
                asked += 1
                if asked > last:
                    raise Killed
            return original(*args, **named)

        return call

    monkeypatch.setattr(members, "run_deployment", counted(members.run_deployment))
    for name in ("update_flow_run_labels", "set_flow_run_state"):
        monkeypatch.setattr(SyncPrefectClient, name, counted(getattr(SyncPrefectClient, name)))
    state, killed = None, 0
    while not state:
        try:
            state = cluster(config.model_copy(update={"attempts": 1000}), 2, return_state=True)
        except Killed:
            asked, last, killed = 0, last + 1, killed + 1
    assert state
    assert killed > 2
    assert state.name == "Kept"
    with get_client(sync_client=True) as client:
        assert len(runs_of(client)) == len(known) == 2


def test_an_address_of_one_machine_alone_is_refused(config: RetrainConfig, workers: Work) -> None:
    class AtHome(Member):
        def address(self) -> str:
            return "127.0.0.1:4711" if self.number == 1 else super().address()

    workers(AtHome)
    with pytest.raises(DeviceError, match=r"of which 127.0.0.1:4711 is of one machine alone"):
        cluster(config, 2)


def test_a_run_to_go_on_with_is_refused(config: RetrainConfig) -> None:
    with pytest.raises(ConfigurationError, match="resume=runs/x"):
        cluster(config.model_copy(update={"resume": Path("runs/x")}), 2)


def test_a_member_says_where_it_is_and_waits_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.join.LOOK_SECONDS", 0.02)
    monkeypatch.setenv("TF_CONFIG", tf_config(["", ""], 1))
    told: list[str] = []

    @flow
    def member() -> str:
        this = UUID(str(runtime.flow_run.id))

        def introduce() -> None:
            with get_client(sync_client=True) as client:
                while not (address := client.read_flow_run(this).labels.get(ADDRESS)):
                    time.sleep(0.02)
                told.append(tf_config(["10.0.0.1:1", str(address)], 1))
                client.update_flow_run_labels(this, {INTRODUCTION: told[0]})

        context = contextvars.copy_context()  # where the server is
        thread = threading.Thread(target=context.run, args=(introduce,))
        thread.start()
        join()
        thread.join()
        return os.environ["TF_CONFIG"]

    assert member() == told[0]
    assert not unintroduced(told[0])
    assert json.loads(told[0])["cluster"]["worker"][1].startswith("127.0.0.1:")  # as the test's server
