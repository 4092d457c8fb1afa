"""What happens to a run: FAULTS has each by its name, what it does to the lane, and how often it is drawn.

    FAULTS["flow killed"].strike(scene)

A fault returns when it is over, not when the run has recovered.
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

from hemline.storage.attempts import attempts
from ops.chaos.lane import Lane, wait_until

LOCKED_SECONDS = 10.0
CANCEL_SECONDS = 10.0
LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], timeout=60)
connection.execute("BEGIN EXCLUSIVE")
time.sleep(float(sys.argv[2]))
"""


@dataclass
class Scene:
    """A run, and where it takes place."""

    lane: Lane
    run: UUID
    root: Path  # of this round alone: artifacts/ and data/
    random: Random

    @property
    def directory(self) -> Path | None:
        """The run's own, once it is there."""
        return next(iter((self.root / "artifacts" / "runs").glob(f"*-{self.run.hex[:8]}")), None)

    @property
    def process(self) -> psutil.Process | None:
        """The newest, if it has not ended."""
        return next(reversed(self.lane.processes(self.run)), None)

    def signal(self, number: signal.Signals) -> psutil.Process | None:
        if process := self.process:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        return process

    def ended(self) -> State | None:
        """Its state, if nobody will change that any more."""
        state = self.lane.state(self.run)
        return state if state and state.is_final() and not state.is_crashed() else None

    def retry(self) -> None:
        """As a person does on the run's page."""
        self.lane.client.set_flow_run_state(self.run, Scheduled(), force=True)


def flow_killed(scene: Scene) -> None:
    scene.signal(signal.SIGKILL)


def flow_terminated(scene: Scene) -> None:
    """As by a redeployment."""
    scene.signal(signal.SIGTERM)


def both_killed(scene: Scene) -> None:
    """As by a machine that is switched off; another worker comes up."""
    scene.lane.kill(scene.lane.worker)
    scene.signal(signal.SIGKILL)
    time.sleep(scene.random.uniform(0, 10))
    scene.lane.start_worker()


def worker_killed(scene: Scene) -> None:
    scene.lane.kill(scene.lane.worker)
    time.sleep(scene.random.uniform(0, 10))
    scene.lane.start_worker()


def flow_stopped(scene: Scene) -> None:
    """It stands still until another process has taken its run over, and then wakes up."""
    stopped = scene.signal(signal.SIGSTOP)
    wait_until(lambda: scene.ended() or scene.process != stopped, "taking a stopped run over")
    taken = lambda: scene.directory and attempts(scene.directory)[-1].pid != getattr(stopped, "pid", 0)  # noqa: E731
    wait_until(lambda: scene.ended() or taken(), "taking a stopped run over")
    with suppress(psutil.NoSuchProcess):
        if stopped:
            stopped.send_signal(signal.SIGCONT)


def server_killed(scene: Scene) -> None:
    scene.lane.kill(scene.lane.server)
    time.sleep(scene.random.uniform(5, 30))
    scene.lane.start_server()


def disk_full(scene: Scene) -> None:
    """Then somebody makes room, and retries what has failed for want of it."""
    filler = scene.root / "artifacts" / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(2**16))
    time.sleep(scene.random.uniform(2, 20))
    filler.unlink()


def checkpoint_corrupted(scene: Scene) -> None:
    """While it is dead, a bit changes in the newest checkpoint."""
    scene.signal(signal.SIGKILL)
    if scene.directory and (newest := sorted(scene.directory.glob("checkpoints/epoch-*"))):
        _flip(scene.random.choice(sorted(newest[-1].iterdir())), scene.random)


def data_corrupted(scene: Scene) -> None:
    """While it is dead, a bit changes in the decoded data."""
    scene.signal(signal.SIGKILL)
    _flip(scene.random.choice(sorted((scene.root / "data" / "decoded").glob("*/*"))), scene.random)


def database_locked(scene: Scene) -> None:
    database = scene.lane.root / "prefect" / "prefect.db"
    subprocess.run([sys.executable, "-c", LOCK, str(database), str(LOCKED_SECONDS)], check=True)


def cancelled(scene: Scene) -> None:
    """By a person, who retries it later."""
    scene.lane.client.set_flow_run_state(scene.run, State(type=StateType.CANCELLING))
    wait_until(scene.ended, "cancelling", pause=0.2, seconds=CANCEL_SECONDS)
    wait_until(lambda: not scene.process, "the end of a cancelled process")
    if (state := scene.ended()) and state.is_cancelled():
        scene.retry()


def _flip(path: Path, random: Random) -> None:
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    inode = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(inode.st_atime_ns, inode.st_mtime_ns))


@dataclass(frozen=True)
class Fault:
    """What happens, and how often it is drawn."""

    strike: Callable[[Scene], None]
    weight: int
    of: tuple[str, ...] = ("retrain",)  # flows
    again: bool = False  # whether it may come as a second one


EVERY = ("retrain", "rollback", "prune")
FAULTS = {
    "flow killed": Fault(flow_killed, 7, EVERY, again=True),
    "flow terminated": Fault(flow_terminated, 5, EVERY, again=True),
    "flow and worker killed": Fault(both_killed, 3, EVERY),
    "worker killed": Fault(worker_killed, 4, EVERY, again=True),
    "flow stopped, taken over, woken": Fault(flow_stopped, 2),
    "server killed": Fault(server_killed, 6, EVERY, again=True),
    "disk full": Fault(disk_full, 3),
    "checkpoint corrupted": Fault(checkpoint_corrupted, 3),
    "data corrupted": Fault(data_corrupted, 2),
    "database locked for 10 s": Fault(database_locked, 3, EVERY),
    "cancelled, then retried": Fault(cancelled, 5, EVERY),
}
