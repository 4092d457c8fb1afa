"""What happens to a run: FAULTS has each by its name, what it does, and how often it is drawn.

FAULTS["flow killed"].strike(scene)                 # returns when the fault is over, not when the run has recovered
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import UUID

import psutil
from prefect.client.schemas.objects import State, StateType
from prefect.states import Scheduled

from hemline.storage.attempts import Attempt, attempts
from ops.chaos.lane import Lane, wait_until

CANCEL_SECONDS = 10.0
LOCK = """
import sqlite3, sys, time
sqlite3.connect(sys.argv[1], timeout=60).execute("BEGIN EXCLUSIVE")
time.sleep(10)
"""


@dataclass
class Scene:
    """A run, and where it takes place. root: of this round alone, with artifacts/ and data/."""

    lane: Lane
    run: UUID
    root: Path
    random: Random

    @property
    def directory(self) -> Path | None:
        """The run's own, once it is there."""
        return next(self.root.glob(f"artifacts/runs/*-{self.run.hex[:8]}"), None)

    @property
    def attempts(self) -> list[Attempt]:
        """Oldest first."""
        return attempts(self.directory) if self.directory else []

    @property
    def process(self) -> psutil.Process | None:
        """The newest, if it has not ended."""
        return self.lane.process(self.run)

    def signal(self, number: signal.Signals) -> int:
        """Sends it to the process, and returns that one's number; 0 if there is none."""
        with suppress(psutil.NoSuchProcess):
            if process := self.process:
                process.send_signal(number)
                return process.pid
        return 0

    def ended(self, after: State | None = None) -> State | None:
        """Its state, if nobody will change that any more. after: another one."""
        state = self.lane.state(self.run)
        if state is None or (after and state.id == after.id):
            return None
        return state if state.is_final() and not state.is_crashed() else None

    def retry(self) -> None:
        """As a person does on the run's page."""
        self.lane.client.set_flow_run_state(self.run, Scheduled(), force=True)


def _flow_killed(scene: Scene) -> None:
    scene.signal(signal.SIGKILL)


def _flow_terminated(scene: Scene) -> None:
    scene.signal(signal.SIGTERM)


def _worker_killed(scene: Scene) -> None:
    scene.lane.kill(scene.lane.worker)
    time.sleep(scene.random.uniform(0, 10))
    scene.lane.start_worker()


def _both_killed(scene: Scene) -> None:
    """As by a machine that is switched off."""
    scene.lane.kill(scene.lane.worker)
    scene.signal(signal.SIGKILL)
    time.sleep(scene.random.uniform(0, 10))
    scene.lane.start_worker()


def _flow_stopped(scene: Scene) -> None:
    """It stands still until another process has taken its run over, and then wakes up."""
    stopped = scene.signal(signal.SIGSTOP)
    wait_until(lambda: scene.ended() or (scene.attempts and scene.attempts[-1].pid != stopped), "taking it over")
    with suppress(ProcessLookupError):
        os.kill(stopped, signal.SIGCONT)


def _server_killed(scene: Scene) -> None:
    scene.lane.kill(scene.lane.server)
    time.sleep(scene.random.uniform(5, 30))
    scene.lane.start_server()


def _disk_full(scene: Scene) -> None:
    filler = scene.root / "artifacts" / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(2**16))
    time.sleep(scene.random.uniform(2, 20))
    filler.unlink()


def _checkpoint_corrupted(scene: Scene) -> None:
    """While it is dead, a bit changes in the newest checkpoint."""
    scene.signal(signal.SIGKILL)
    if newest := sorted(scene.root.glob("artifacts/runs/*/checkpoints/epoch-*")):
        _flip(scene.random.choice(sorted(newest[-1].iterdir())), scene.random)


def _data_corrupted(scene: Scene) -> None:
    """While it is dead, a bit changes in the decoded data."""
    scene.signal(signal.SIGKILL)
    _flip(scene.random.choice(sorted(scene.root.glob("data/decoded/*/*"))), scene.random)


def _database_locked(scene: Scene) -> None:
    database = str(scene.lane.root / "prefect" / "prefect.db")
    subprocess.run([sys.executable, "-c", LOCK, database], check=True)


def _cancelled(scene: Scene) -> None:
    """By a person, who retries it as soon as it says *Cancelled*."""
    scene.lane.client.set_flow_run_state(scene.run, State(type=StateType.CANCELLING))
    wait_until(lambda: not scene.process, "the end of a cancelled process", pause=0.2, seconds=CANCEL_SECONDS)
    if wait_until(scene.ended, "cancelling", pause=0.2).is_cancelled():
        scene.retry()


def _flip(path: Path, random: Random) -> None:
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.write_bytes(content)


@dataclass(frozen=True)
class Fault:
    """What happens, how often it is drawn, whether to any flow, and whether it may come second in a round."""

    strike: Callable[[Scene], None]
    weight: int
    any_flow: bool = True
    second: bool = False


FAULTS = {
    "flow killed": Fault(_flow_killed, 7, second=True),
    "flow terminated": Fault(_flow_terminated, 5, second=True),
    "worker killed": Fault(_worker_killed, 4, second=True),
    "flow and worker killed": Fault(_both_killed, 3),
    "flow stopped, taken over, woken": Fault(_flow_stopped, 2, any_flow=False),
    "server killed, started 5 to 30 s later": Fault(_server_killed, 6, second=True),
    "disk full, room made, retried if it failed": Fault(_disk_full, 3, any_flow=False),
    "killed, checkpoint corrupted": Fault(_checkpoint_corrupted, 3, any_flow=False),
    "killed, data corrupted": Fault(_data_corrupted, 2, any_flow=False),
    "database locked for 10 s": Fault(_database_locked, 3),
    "cancelled within 10 s, then retried": Fault(_cancelled, 5),
}
DISK, CHECKPOINT, DATA = list(FAULTS)[6:9]
