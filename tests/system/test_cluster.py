"""A cluster of two machines: two network namespaces with a cable between them, a real server, a worker on each.

Tiny data. One member is killed in the middle: both come back, and end with the weights of a cluster that was left
alone.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
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
from tests.system import tiny
from tests.system.conftest import ROOT, free_port, user, wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]
HERE, THERE = "10.213.7.1", "10.213.7.2"
CONFIG = tiny.CONFIG | {"epochs": 100, "force": True}


@dataclass
class Machines:
    """The one with the server and worker here, the other beyond the cable. roots: HEMLINE_ROOT of each."""

    url: str
    roots: list[Path]
    environment: dict[str, str]

    def client(self) -> SyncPrefectClient:
        return SyncPrefectClient(self.url)

    def members(self, cluster: FlowRun) -> list[FlowRun]:
        """By number."""
        named = FlowRunFilter.model_validate({"name": {"like_": f"{cluster.name} worker"}})
        with self.client() as client:
            return sorted(client.read_flow_runs(flow_run_filter=named), key=lambda run: run.name)

    def directory(self, run: FlowRun) -> Path:
        (found,) = [path for root in self.roots for path in root.glob(f"artifacts/*/*-{run.id.hex[:8]}")]
        return found


def ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True, capture_output=True, text=True)


@pytest.fixture
def namespace() -> Iterator[str]:
    """Another machine's network, reached by THERE; this one is reached from it by HERE."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("a network namespace needs root and ip (Debian: apt-get install iproute2)")
    name, near, far = f"hemline{os.getpid()}", f"hn{os.getpid()}", f"hf{os.getpid()}"
    try:
        ip(f"netns add {name}")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespace can be made here: {error.stderr}")
    try:
        ip(f"link add {near} type veth peer name {far} netns {name}")
        ip(f"address add {HERE}/30 dev {near}")
        ip(f"link set {near} up")
        ip(f"-n {name} address add {THERE}/30 dev {far}")
        ip(f"-n {name} link set {far} up")
        ip(f"-n {name} link set lo up")
        yield name
    finally:
        ip(f"netns del {name}")


@pytest.fixture
def machines(namespace: str, tmp_path: Path) -> Iterator[Machines]:
    roots = [tmp_path / "here", tmp_path / "there"]
    url = f"http://{HERE}:{(port := free_port())}/api"
    environment = user(roots[0]) | {"PREFECT_API_URL": url, "PREFECT_WORKER_QUERY_SECONDS": "2"}
    for root in roots:
        root.mkdir()
        tiny.prepare(root)
    beyond = ["ip", "netns", "exec", namespace]
    prefect = [sys.executable, "-m", "prefect", "--no-prompt"]
    with ExitStack() as stack:

        def begin(words: list[str], root: Path) -> None:
            """Until the test ends, with the runs that it has begun."""
            of_root = environment | {"HEMLINE_ROOT": str(root), "PREFECT_HOME": str(root / "prefect")}
            of_root["TFDS_DATA_DIR"] = str(root / "data")
            log = stack.enter_context((root / f"{words[-1].strip('/')}.log").open("wb"))
            started = subprocess.Popen(words, cwd=ROOT, env=of_root, stdout=log, stderr=subprocess.STDOUT)
            stack.callback(started.wait, 60)
            stack.callback(started.send_signal, signal.SIGTERM)

        begin([*prefect, "server", "start", "--host", HERE, "--port", str(port)], roots[0])
        machines = Machines(url, roots, environment)
        with machines.client() as client:
            wait_until(lambda: client.api_healthcheck() is None, "starting")
        for words in (
            [*prefect, "work-pool", "create", "gpu", "--type", "process"],
            [*prefect, "deploy", "--all"],
            [sys.executable, "-m", "ops.automations"],
        ):
            done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        stack.callback(lambda: [run.kill() for run in runs_of(url)])
        # Here the coordinator and a member, there the other: neither worker has room for more.
        begin([*prefect, "worker", "start", "--pool", "gpu", "--limit", "2", "--name", "here"], roots[0])
        begin([*beyond, *prefect, "worker", "start", "--pool", "gpu", "--limit", "1", "--name", "there"], roots[1])
        yield machines


def run(machines: Machines) -> FlowRun:
    with machines.client() as client:
        deployment = client.read_deployment_by_name("cluster/retrain")
        made = client.create_flow_run_from_deployment(deployment.id, parameters={"config": CONFIG, "workers": 2})
    wait_until(lambda: len(machines.members(look(machines, made))) == 2, "starting the members")
    return look(machines, made)


def look(machines: Machines, made: FlowRun) -> FlowRun:
    with machines.client() as client:
        return client.read_flow_run(made.id)


def wait_until_ended(machines: Machines, made: FlowRun) -> FlowRun:
    wait_until(lambda: bool((state := look(machines, made).state) and state.is_final()), "ending")
    return look(machines, made)


def weights(machines: Machines, made: FlowRun) -> list[np.ndarray]:
    """Of the version that the cluster's first member has published."""
    first = machines.members(made)[0]
    published = [path for root in machines.roots for path in root.glob("artifacts/models/mnist/*")]
    (found,) = [path for path in published if versions.verify(path).flow_run.id == str(first.id)]
    values: list[np.ndarray] = versions.load(found)[0].get_weights()
    return values


def process_of(machines: Machines, member: FlowRun) -> psutil.Process:
    (found,) = [each for each in runs_of(machines.url) if each.environ()["PREFECT__FLOW_RUN_ID"] == str(member.id)]
    return found


def test_if_a_member_is_killed_both_come_back_and_end_with_the_same_weights(machines: Machines) -> None:
    first = run(machines)
    assert wait_until_ended(machines, first).state_name == "Promoted"
    hosts = [str(each.labels["hemline.address"]).partition(":")[0] for each in machines.members(first)]
    assert sorted(hosts) == [HERE, THERE]

    second = run(machines)
    members = machines.members(second)
    tables = "iterations.parquet/epoch-00003.parquet"
    wait_until(lambda: all(list(r.glob(f"artifacts/*/*/{tables}")) for r in machines.roots), "training")
    wait_until(lambda: (machines.directory(members[1]) / tables).exists(), "three epochs")
    process_of(machines, members[1]).kill()
    assert wait_until_ended(machines, second).state_name in ("Promoted", "Kept")
    assert [len(attempts(machines.directory(each))) for each in members] == [2, 2]
    assert attempts(machines.directory(members[1]))[1].after == "killed by SIGKILL"
    assert "resumed at epoch" in (machines.directory(members[0]) / "run.log").read_text()
    for ours, theirs in zip(weights(machines, first), weights(machines, second), strict=True):
        np.testing.assert_array_equal(ours, theirs)
