"""A cluster of two machines: two network namespaces with a cable between them, a real server, a worker on each.

Tiny data. One member is killed in the middle: both come back, and end with the weights of a cluster that was left
alone.
"""

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
from tests.system.machines import network

pytestmark = [pytest.mark.system, pytest.mark.slow]
COORDINATORS = "coordinators"  # a queue of their own, so that each machine has room for one member and takes one
HERE, THERE = "10.213.7.1", "10.213.7.2"
CONFIG = tiny.CONFIG | {"epochs": 40, "force": True}


@dataclass
class Machines:
    """The one with the server here, the other beyond the cable. root: HEMLINE_ROOT, which both mount."""

    url: str
    root: Path

    def client(self) -> SyncPrefectClient:
        return SyncPrefectClient(self.url)

    def members(self, cluster: FlowRun) -> list[FlowRun]:
        """By number: the first is begun first. Their names are alike once they run."""
        begun = FlowRunFilter.model_validate({"parent_flow_run_id": {"any_": [cluster.id]}})
        with self.client() as client:
            return sorted(client.read_flow_runs(flow_run_filter=begun), key=lambda run: str(run.created))

    def directory(self, run: FlowRun) -> Path:
        (found,) = self.root.glob(f"artifacts/*/*-{run.id.hex[:8]}")
        return found


@pytest.fixture
def namespace() -> Iterator[str]:
    with network(HERE, THERE) as name:
        yield name


@pytest.fixture
def machines(namespace: str, tmp_path: Path) -> Iterator[Machines]:
    tiny.prepare(tmp_path)
    url = f"http://{HERE}:{(port := free_port())}/api"
    environment = user(tmp_path) | {"PREFECT_API_URL": url, "TFDS_DATA_DIR": str(tmp_path / "data")}
    prefect, beyond = [sys.executable, "-m", "prefect", "--no-prompt"], ["ip", "netns", "exec", namespace]
    with ExitStack() as stack:

        def begin(name: str, *words: str) -> None:
            """Until the test ends."""
            log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            home = {"PREFECT_HOME": str(tmp_path / name), "PREFECT_WORKER_QUERY_SECONDS": "2"}
            started = subprocess.Popen(words, cwd=ROOT, env=environment | home, stdout=log, stderr=subprocess.STDOUT)
            stack.callback(started.wait, 60)
            stack.callback(started.terminate)

        begin("server", *prefect, "server", "start", "--host", HERE, "--port", str(port))
        machines = Machines(url, tmp_path)
        with machines.client() as client:
            wait_until(lambda: client.api_healthcheck() is None, "starting")
        for words in (
            [*prefect, "work-pool", "create", "gpu", "--type", "process"],
            [*prefect, "work-queue", "create", COORDINATORS, "--pool", "gpu"],
            [*prefect, "deploy", "--all"],
            [sys.executable, "-m", "ops.automations"],
        ):
            done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        stack.callback(lambda: [run.kill() for run in runs_of(url)])
        worker = [*prefect, "worker", "start", "--pool", "gpu", "--limit", "1", "--work-queue"]
        begin("coordinators", *worker, COORDINATORS)
        begin("here", *worker, "default")
        begin("there", *beyond, *worker, "default")
        yield machines


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
    published = machines.root.glob("artifacts/models/mnist/[0-9]*")
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
    third = f"artifacts/clusters/*-{members[1].id.hex[:8]}/iterations.parquet/epoch-00003.parquet"
    wait_until(lambda: any(machines.root.glob(third)), "three epochs")
    process_of(machines, members[1]).kill()
    assert wait_until_ended(machines, second).state_name in ("Promoted", "Kept")
    assert [len(attempts(machines.directory(each))) for each in members] == [2, 2]
    assert attempts(machines.directory(members[1]))[1].after == "killed by SIGKILL"
    assert "resumed at epoch" in (machines.directory(members[0]) / "run.log").read_text()
    for ours, theirs in zip(weights(machines, first), weights(machines, second), strict=True):
        np.testing.assert_array_equal(ours, theirs)
