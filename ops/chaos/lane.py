"""A machine for the rounds: a root of its own, with server, worker, deployments and automations on it.

    with Lane(root) as lane:
        run = lane.run("retrain/smoke", {"config": {...}})
        lane.kill(lane.worker)                          # only ever what it has started

One process or thread must use it: Linux ends server and worker with the thread that has started them.
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

import httpx
import psutil
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import PrefectHTTPStatusError

from flows.server import HOST, start, stop, wait_until_healthy
from hemline.config.paths import CHECKOUT
from ops.up import POOL, create_pool

T = TypeVar("T")
PATIENCE = 600.0  # for anything: what takes longer has not happened
DEPLOYMENTS = ("smoke", "champion", "look")  # none of them has a schedule


class Lane:
    """A root, and what works on it."""

    def __init__(self, root: Path):
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.port = probe.getsockname()[1]
        self.root, self.address = root, f"http://{HOST}:{self.port}"
        root.mkdir(parents=True, exist_ok=True)
        self._log = (root / "lane.log").open("ab")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "TF_", "TFDS_"))} | {
            "HEMLINE_ROOT": str(root),
            "PREFECT_HOME": str(root / "prefect"),
            "PREFECT_API_URL": f"{self.address}/api",
            "PREFECT_UI_URL": self.address,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }

    def __enter__(self) -> "Lane":
        self.start_server()
        self.client = SyncPrefectClient(f"{self.address}/api").__enter__()
        create_pool(self.environment)
        self.command("-m", "prefect", "--no-prompt", "deploy", *(f"--name={name}" for name in DEPLOYMENTS))
        self.command("-m", "ops.automations")
        self.start_worker()
        return self

    def __exit__(self, *error: object) -> None:
        stop(self.worker)
        for process in self._processes(lambda variables: variables.get("HEMLINE_ROOT") == str(self.root)):
            if process.pid != self.server.pid:
                process.kill()
        stop(self.server)
        self.client.__exit__(None, None, None)
        self._log.close()

    def start_server(self) -> None:
        """As `make up` does, and what waits for it is looked after."""
        words = ["prefect", "server", "start", "--host", HOST, "--port", str(self.port)]
        self.server = start(words, self.environment, self._log)
        wait_until_healthy(f"{self.address}/api", self.server)
        self.command("-m", "ops.recover")

    def start_worker(self) -> None:
        words = ["prefect", "worker", "start", "--pool", POOL, "--type", "process"]
        self.worker = start(words, self.environment, self._log)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def command(self, *words: str) -> None:
        """A command of this machine's user."""
        command = [sys.executable, *words]
        subprocess.run(
            command, env=self.environment, cwd=CHECKOUT, stdout=self._log, stderr=subprocess.STDOUT, check=True
        )

    def run(self, deployment: str, parameters: dict[str, Any]) -> FlowRun:
        """Asks for a run, as a person does."""
        there = self.client.read_deployment_by_name(deployment)
        return self.client.create_flow_run_from_deployment(there.id, parameters=parameters)

    def state(self, run: UUID) -> State | None:
        """None while the server is away."""
        with suppress(httpx.HTTPError, PrefectHTTPStatusError):
            return self.client.read_flow_run(run).state
        return None

    def states(self, run: UUID) -> list[State]:
        """Oldest first."""
        return sorted(self.client.read_flow_run_states(run), key=lambda state: state.timestamp)

    def processes(self, run: UUID) -> list[psutil.Process]:
        """Those of a run, the newest last, without what they have started themselves."""
        found = self._processes(lambda variables: variables.get("PREFECT__FLOW_RUN_ID") == str(run))
        pids = {process.pid for process in found}
        return [process for process in found if process.ppid() not in pids]

    def _processes(self, wanted: Callable[[dict[str, str]], bool]) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and wanted(process.environ()):
                    found.append((process.create_time(), process.pid, process))
        return [process for _, _, process in sorted(found)]


def wait_until(look: Callable[[], T], what: str, pause: float = 0.5, seconds: float = PATIENCE) -> T:
    """What it sees, once that is something."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} must happen within {seconds:.0f} s. It did not.")
        time.sleep(pause)
    return seen
