"""A run of the Docker pool, from a real worker to the processes that it asks for: told to end, killed, cancelled.

Its command, its environment and its worker are the pool's own; processes stand in for containers.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from prefect.states import Cancelling

from flows import server
from hemline.storage.attempts import Attempt, attempts
from tests.hemline.storage.s3 import CREDENTIALS, new_bucket, s3_server
from tests.system import tiny
from tests.system.conftest import ROOT, Installation, wait_until
from tests.system.pools import Engine, pools, stop

pytestmark = [pytest.mark.system, pytest.mark.slow]
EPOCHS = 150


@dataclass
class Pool:
    """A server, an engine and a worker between them. volume: HEMLINE_ROOT of all containers."""

    server: Installation
    engine: Engine
    volume: Path

    def begin(self) -> UUID:
        """A run; returns once it has trained two epochs."""
        with self.server.client() as client:
            deployment = client.read_deployment_by_name("retrain/docker").id
            config = tiny.CONFIG | {"epochs": EPOCHS, "force": True}
            run = client.create_flow_run_from_deployment(deployment, parameters={"config": config}).id
        wait_until(lambda: any(len(table.read_text().splitlines()) > 2 for table in self.tables(run)), "two epochs")
        return run

    def tables(self, run: UUID) -> list[Path]:
        return list(self.volume.glob(f"shared/*/runs/*-{run.hex[:8]}/epochs.csv"))

    def attempts(self, run: UUID) -> list[Attempt]:
        (table,) = self.tables(run)
        return attempts(table.parent)

    def state(self, run: UUID) -> str:
        with self.server.client() as client:
            found = client.read_flow_run(run).state
        return found.type.value if found else ""


@pytest.fixture(scope="module")
def pool(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    volume, directory = tmp_path_factory.mktemp("volume"), tmp_path_factory.mktemp("engine")
    tiny.prepare(volume)
    with ExitStack() as stack:
        address = stack.enter_context(s3_server())
        here = stack.enter_context(pools(tmp_path_factory.mktemp("server"), programs, new_bucket(address)))
        assert here.run("-m", "ops.automations", cwd=ROOT).returncode == 0
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        image = {"PATH": path, "PYTHONPATH": str(ROOT), "HEMLINE_ROOT": str(volume), "HOME": str(volume)}
        engine = Engine(image | CREDENTIALS | {"AWS_ENDPOINT_URL": address}, directory)
        host = stack.enter_context(engine.serving())
        log = stack.enter_context((directory / "worker.log").open("wb"))
        environment = here.environment | server.WORKER | {"DOCKER_HOST": host, "PYTHONPATH": str(ROOT)}
        words = [str(programs / "python"), "-m", "prefect", "worker", "start", "--pool", "docker", "--type", "docker"]
        worker = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
        stack.callback(server.stop, worker)
        yield Pool(here, engine, volume)


def test_a_container_that_is_stopped_leaves_a_checkpoint_and_the_next_one_goes_on(pool: Pool) -> None:
    run = pool.begin()
    container = pool.engine.containers[-1]
    stop(container)
    (first,) = pool.attempts(run)
    assert (first.ended, first.place) == (True, "train")  # by itself, in time
    wait_until(lambda: pool.state(run) == "COMPLETED", "the end of the run")
    assert pool.engine.containers[-1] is not container
    _, second = pool.attempts(run)
    assert (second.after, second.crashes) == ("stopped by SIGTERM", 0)
    (table,) = pool.tables(run)
    assert len(table.read_text().splitlines()) == EPOCHS + 1


def test_a_container_that_is_killed_is_noticed_by_its_worker(pool: Pool) -> None:
    run = pool.begin()
    pool.engine.containers[-1].kill()
    wait_until(lambda: pool.state(run) == "COMPLETED", "the end of the run")
    _, second = pool.attempts(run)
    assert (second.after, second.crashes) == ("killed by SIGKILL", 1)


def test_a_cancelled_run_is_cancelled_and_not_crashed(pool: Pool) -> None:
    run = pool.begin()
    with pool.server.client() as client:
        client.set_flow_run_state(run, Cancelling())
    wait_until(lambda: pool.engine.containers[-1].poll() is not None, "the end of the container")
    wait_until(lambda: pool.state(run) not in ("RUNNING", "CANCELLING"), "the end of the run")
    assert pool.state(run) == "CANCELLED"
    (first,) = pool.attempts(run)
    assert first.ended
