"""A cluster of two machines, a real server, a worker on each.

They are two network namespaces with a cable between them and one file system; or two roots with an object store between
them, which needs no root. Tiny data. One member is killed in the middle: both come back, and end with the weights of a
cluster that was left alone.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun

from hemline.registry import versions
from hemline.storage.attempts import attempts
from ops.up import runs_of
from tests.hemline.storage.s3 import machine
from tests.system import tiny
from tests.system.conftest import ROOT, free_port, user, wait_until
from tests.system.machines import network

pytestmark = [pytest.mark.system, pytest.mark.slow]
COORDINATORS = "coordinators"  # a queue of their own, so that each machine has room for one member and takes one
HERE, THERE = "10.213.7.1", "10.213.7.2"
CONFIG = tiny.CONFIG | {"epochs": 40, "force": True}


@dataclass
class Machines:
    """url: of their server. artifacts: of each; one directory, if both mount it."""

    url: str
    artifacts: list[Path]

    def client(self) -> SyncPrefectClient:
        return SyncPrefectClient(self.url)

    def members(self, cluster: FlowRun) -> list[FlowRun]:
        """By number: the first is begun first. Their names are alike once they run."""
        begun = FlowRunFilter.model_validate({"parent_flow_run_id": {"any_": [cluster.id]}})
        with self.client() as client:
            return sorted(client.read_flow_runs(flow_run_filter=begun), key=lambda run: str(run.created))

    def directory(self, run: FlowRun) -> Path:
        """Where its last attempt was: there its log has the lines of all."""
        found = [path for place in self.artifacts for path in place.glob(f"*/*-{run.id.hex[:8]}/run.log")]
        return max(found, key=lambda path: path.stat().st_size).parent


@pytest.fixture
def namespace() -> Iterator[str]:
    with network(HERE, THERE) as name:
        yield name


@pytest.fixture(params=["a file system", "a store"])
def machines(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    """What the two share, beside the server."""
    if request.param == "a file system":
        beyond = ["ip", "netns", "exec", request.getfixturevalue("namespace")]
        tiny.prepare(tmp_path)
        with up(HERE, tmp_path, {"here": ([], tmp_path), "there": (beyond, tmp_path)}) as url:
            yield Machines(url, [tmp_path / "artifacts"])
        return
    bucket = request.getfixturevalue("bucket")
    roots = {name: tmp_path / name for name in ("here", "there")}
    copies = [machine(root, bucket, monkeypatch) for root in roots.values()]
    for root in roots.values():
        tiny.prepare(root)
    monkeypatch.setenv("HEMLINE_ARTIFACTS", bucket)
    with up("127.0.0.1", tmp_path / "server", {name: ([], root) for name, root in roots.items()}) as url:
        yield Machines(url, copies)


@contextmanager
def up(host: str, root: Path, workers: dict[str, tuple[Sequence[str], Path]]) -> Iterator[str]:
    """The address of a server, with all deployments on it. workers: words before each one's command, its HEMLINE_ROOT.

    root: that of the server, and of the worker that starts no member.
    """
    root.mkdir(exist_ok=True)
    url = f"http://{host}:{(port := free_port())}/api"
    prefect = [sys.executable, "-m", "prefect", "--no-prompt"]

    def environment(root: Path) -> dict[str, str]:
        return user(root) | {"PREFECT_API_URL": url, "TFDS_DATA_DIR": str(root / "data")}

    with ExitStack() as stack:

        def begin(name: str, words: Sequence[str], of: Path = root) -> None:
            """Until the test ends."""
            log = stack.enter_context((root / f"{name}.log").open("wb"))
            home = {"PREFECT_HOME": str(root / f"prefect-{name}"), "PREFECT_WORKER_QUERY_SECONDS": "2"}
            started = subprocess.Popen(
                words, cwd=ROOT, env=environment(of) | home, stdout=log, stderr=subprocess.STDOUT
            )
            stack.callback(started.wait, 60)
            stack.callback(started.terminate)

        begin("server", [*prefect, "server", "start", "--host", host, "--port", str(port)])
        with SyncPrefectClient(url) as client:
            wait_until(lambda: client.api_healthcheck() is None, "starting")
        for words in (
            [*prefect, "work-pool", "create", "gpu", "--type", "process"],
            [*prefect, "work-queue", "create", COORDINATORS, "--pool", "gpu"],
            [*prefect, "deploy", "--all"],
            [sys.executable, "-m", "ops.automations"],
        ):
            done = subprocess.run(words, cwd=ROOT, env=environment(root), capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        stack.callback(lambda: [run.kill() for run in runs_of(url)])
        worker = [*prefect, "worker", "start", "--pool", "gpu", "--limit", "1", "--work-queue"]
        begin("coordinators", [*worker, COORDINATORS])
        for name, (before, of) in workers.items():
            begin(name, [*before, *worker, "default"], of)
        yield url


def run(machines: Machines) -> FlowRun:
    with machines.client() as client:
        deployment = client.read_deployment_by_name("cluster/retrain")
        parameters = {"config": CONFIG, "workers": 2}
        made = client.create_flow_run_from_deployment(
            deployment.id, parameters=parameters, work_queue_name=COORDINATORS
        )
    wait_until(lambda: len(machines.members(made)) == 2, "starting the members")
    return made


def look(machines: Machines, made: FlowRun) -> FlowRun:
    with machines.client() as client:
        return client.read_flow_run(made.id)


def wait_until_ended(machines: Machines, made: FlowRun) -> FlowRun:
    wait_until(lambda: bool((state := look(machines, made).state) and state.is_final()), "ending")
    return look(machines, made)


def weights(machines: Machines, made: FlowRun) -> list[np.ndarray]:
    """Of the version that the cluster's first member has published."""
    first = machines.members(made)[0]
    published = [path for place in machines.artifacts for path in place.glob("models/mnist/[0-9]*")]
    found = next(path for path in published if versions.verify(path).flow_run.id == str(first.id))
    values: list[np.ndarray] = versions.load(found)[0].get_weights()
    return values


def process_of(machines: Machines, member: FlowRun) -> psutil.Process:
    (found,) = [each for each in runs_of(machines.url) if each.environ()["PREFECT__FLOW_RUN_ID"] == str(member.id)]
    return found


def test_if_a_member_is_killed_both_come_back_and_end_with_the_same_weights(machines: Machines) -> None:
    first = run(machines)
    assert wait_until_ended(machines, first).state_name == "Promoted"
    hosts = [str(each.labels["hemline.address"]).partition(":")[0] for each in machines.members(first)]
    places = {machines.directory(each).parents[1] for each in machines.members(first)}
    if len(machines.artifacts) == 1:
        assert sorted(hosts) == [HERE, THERE]
    else:
        assert places == set(machines.artifacts)

    second = run(machines)
    members = machines.members(second)
    third = f"clusters/*-{members[1].id.hex[:8]}/iterations.parquet/epoch-00003.parquet"
    wait_until(lambda: any(path for place in machines.artifacts for path in place.glob(third)), "three epochs")
    process_of(machines, members[1]).kill()
    assert wait_until_ended(machines, second).state_name in ("Promoted", "Kept")
    assert [len(attempts(machines.directory(each))) for each in members] == [2, 2]
    assert attempts(machines.directory(members[1]))[1].after == "killed by SIGKILL"
    assert "resumed at epoch" in (machines.directory(members[0]) / "run.log").read_text()
    for ours, theirs in zip(weights(machines, first), weights(machines, second), strict=True):
        np.testing.assert_array_equal(ours, theirs)
