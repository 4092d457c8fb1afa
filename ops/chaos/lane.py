"""A machine of its own, for rounds and for ops/history.py: a root with server, worker, deployments and automations.

    with Lane(root) as lane:
        run = lane.run("retrain/smoke", {"config": {...}})
        lane.kill(lane.worker)                          # only ever what it has started

One thread must open it and start what it starts: Linux ends server and worker with that thread.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import psutil
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import State

from flows.attempt import AWAY
from flows.server import HOST, SERVER, WORKER, start, stop, wait_until_healthy
from hemline.config.paths import CHECKOUT
from ops.up import POOL, POOL_LIMIT, runs_of

T = TypeVar("T")
PATIENCE = 900.0  # seconds for anything: what takes longer has not happened
DEPLOYMENTS = ("smoke", "champion", "look")  # none of them has a schedule


def wait_until(look: Callable[[], T | None], what: str, pause: float = 0.5, seconds: float = PATIENCE) -> T:
    """What it sees, once that is something."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} must happen within {seconds:.0f} s. It did not.")
        time.sleep(pause)
    return seen


class Lane:
    """A root, and what works on it."""

    def __init__(self, root: Path):
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.port = probe.getsockname()[1]
        root.mkdir(parents=True)
        self.root, self.url, self._log = root, f"http://{HOST}:{self.port}/api", (root / "lane.log").open("ab")
        others = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TF"))}
        self.environment = (
            others
            | SERVER
            | WORKER
            | {
                "HEMLINE_ROOT": str(root),
                "PREFECT_HOME": str(root / "prefect"),
                "PREFECT_API_URL": self.url,
                "PREFECT_UI_URL": self.url.removesuffix("/api"),
            }
        )

    def __enter__(self) -> "Lane":
        self.start_server()
        self.client = SyncPrefectClient(self.url).__enter__()
        self.client.create_work_pool(WorkPoolCreate(name=POOL, type="process", concurrency_limit=POOL_LIMIT))
        self._command("-m", "prefect", "--no-prompt", "deploy", *(f"--name={name}" for name in DEPLOYMENTS))
        self._command("-m", "ops.automations")
        self.start_worker()
        return self

    def __exit__(self, *error: object) -> None:
        stop(self.worker)
        for process in runs_of(self.url):
            process.kill()
        stop(self.server)
        self.client.__exit__(None, None, None)
        self._log.close()

    def start_server(self) -> None:
        """As `make up` does, and what waits for it is looked after."""
        words = ["prefect", "server", "start", "--host", HOST, "--port", str(self.port)]
        self.server = start(words, self.environment, self._log)
        wait_until_healthy(self.url, self.server)
        self._command("-m", "ops.recover")

    def start_worker(self) -> None:
        """The only one, so the one before must have ended."""
        words = ["prefect", "worker", "start", "--pool", POOL, "--type", "process"]
        self.worker = start(words, self.environment, self._log)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """By SIGKILL."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def run(self, deployment: str, parameters: dict[str, Any]) -> UUID:
        """Asks for a run, as a person does."""
        there = self.client.read_deployment_by_name(deployment)
        return self.client.create_flow_run_from_deployment(there.id, parameters=parameters).id

    def state(self, run: UUID) -> State | None:
        """None while the server is away."""
        with suppress(*AWAY):
            return self.client.read_flow_run(run).state
        return None

    def states(self, run: UUID) -> list[State]:
        """Oldest first."""
        return sorted(self.client.read_flow_run_states(run), key=lambda state: state.timestamp)

    def process(self, run: UUID) -> psutil.Process | None:
        """A run's, the newest if it has several, without what they have started themselves."""
        found: dict[int, psutil.Process] = {}
        for process in runs_of(self.url):
            with suppress(psutil.Error):
                if process.environ().get("PREFECT__FLOW_RUN_ID") == str(run):
                    found[process.pid] = process
        with suppress(psutil.Error):  # one has just ended
            own = [process for process in found.values() if process.ppid() not in found]
            return max(own, key=psutil.Process.create_time, default=None)
        return self.process(run)

    def _command(self, *words: str) -> None:
        command, log = [sys.executable, *words], self._log
        subprocess.run(command, env=self.environment, cwd=CHECKOUT, stdout=log, stderr=log, check=True)
