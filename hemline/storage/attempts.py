"""Attempts at one run: never two at once, not for ever, and each knows how the one before it ended.

    with attempt(directory, owner=flow_run_id, after="killed by SIGKILL") as this:
        reached("train")                                # where a crash will have been
        resumed("epoch 3")                              # 'resumed at epoch 3 (attempt 2) after: killed by SIGKILL'

The lease on a run is a lock, which ends with its process. A process that was only stopped, or is cut off on another
machine, may wake up; so each attempt also has a number, and every write asks first whether there is a higher one.
Each number is a file in the run's directory, `attempts/2.json`, which its attempt alone writes.
"""

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil
from pydantic import BaseModel

from hemline.errors import AttemptError, CheckpointError, HemlineError, StorageError, SupersededError
from hemline.storage import files, run_copies
from hemline.storage.files import Taken
from hemline.storage.locks import locked
from hemline.storage.runs import SEEDS, lease

LIMIT = 5  # crashes in a row
FIRST_DELAY = 15.0  # seconds before the third attempt in a row; each later one waits four times as long
CLOCK_SECONDS = 0.5  # the start of a process is counted from the machine's, which is known to a clock's adjustment
GIVEN_UP = 15.0  # seconds that a predecessor has to end


class Attempt(BaseModel):
    """A process that worked on a run."""

    number: int
    owner: str  # the flow run
    host: str
    pid: int
    started: float  # when that process was, in seconds: another may have the same number later
    began: datetime
    after: str = ""  # how the attempt before it ended; empty for the first
    crashed: str = ""  # where that attempt crashed, if it did
    crashes: int = 0  # in a row, before this attempt
    place: str = "the start"  # what it does: the step it has reached
    ended: bool = False  # by itself: with a result, a refusal, a signal that it heeded
    refused: str = ""  # the refusal, if it ended with one
    failed: str = ""  # any other error, if it ended with one
    directory: str = ""  # the run's, on that machine
    has_all: bool = True  # whether all of the run is there; else what is in the shared store is newer

    @property
    def alive(self) -> psutil.Process | None:
        """Its process, if it is one of this machine and still there."""
        if self.host == platform.node() and self.pid != os.getpid():
            with suppress(psutil.Error):
                process = psutil.Process(self.pid)
                if abs(process.create_time() - self.started) < CLOCK_SECONDS:
                    return process
        return None


def attempts(directory: Path) -> list[Attempt]:
    """All attempts at a run, oldest first."""
    return [Attempt.model_validate_json(file.read_bytes()) for file in _numbers(directory)]


@contextmanager
def attempt(
    directory: Path, owner: str, after: str = "", limit: int = LIMIT, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Attempt]:
    """Holds the run until the block ends. No other process writes to it meanwhile.

    owner: the flow run. If it is the one that made the last attempt, the server has given the run to this process, and
    the other must go. after: how that attempt ended, if the server knows.
    Raises CheckpointError if the run is another's, AttemptError if it crashes again and again.
    """
    with ExitStack() as stack:
        earlier = _fetched(directory)
        if earlier and not earlier[-1].ended and earlier[-1].owner == owner:
            _end_process(earlier[-1])  # first: one that was stopped while it wrote holds a lock
            this = _begin(directory, owner, after)  # from here on one on another machine cannot write
            with suppress(CheckpointError):  # of another machine, and cut off from it: its number keeps it from writing
                stack.enter_context(lease(directory, wait=GIVEN_UP))
        else:
            stack.enter_context(lease(directory))
            this = _begin(directory, owner, after)
        uploads = stack.enter_context(_fenced(directory, this))
        try:
            if uploads and not this.has_all:
                run_copies.fetch_run(directory)
                uploads.watch()
                this.has_all = True
                _write(directory, this)
            _require_progress(attempts(directory), limit)
            if this.crashes > 1:
                sleep(FIRST_DELAY * 4 ** (this.crashes - 2))
            yield this
        except HemlineError as error:
            this.refused = str(error)
            raise
        except Exception as error:
            this.failed = f"{type(error).__name__}: {error}"
            raise
        finally:
            this.ended = True
            with suppress(SupersededError, StorageError):  # a full disk has been said already
                _write(directory, this)


def _begin(directory: Path, owner: str, after: str) -> Attempt:
    """The next number, and with it the right to write."""
    (directory / "attempts").mkdir(exist_ok=True)
    try:
        with locked(directory / "attempts" / "lock", wait=GIVEN_UP):
            earlier = attempts(directory)  # of other machines as far as they were fetched: else the number is taken
            this = Attempt(
                number=len(earlier) + 1,
                owner=owner,
                host=platform.node(),
                pid=os.getpid(),
                started=psutil.Process().create_time(),
                began=datetime.now(UTC),
                directory=str(directory.resolve()),
            )
            if earlier:
                last = earlier[-1]
                this.has_all = last.has_all and is_of(directory, last)
                this.after = after or ("its end" if last.ended else "its process ended")
                if not last.ended:
                    this.crashed = f"{last.place}, {_newest_checkpoint(directory)}"
                    this.crashes = last.crashes + 1
            run_copies.begin(directory, this.number, _json(this))
            _write(directory, this)
    except Taken:  # a machine that shares the store was faster
        _fetched(directory)
        return _begin(directory, owner, after)
    except BlockingIOError as error:
        raise CheckpointError(
            f"only one process may write a run. Received: {directory}, which a process that does not answer is "
            "writing. End that process, then start again."
        ) from error
    return this


def _require_progress(all_attempts: list[Attempt], limit: int) -> None:
    """Raises AttemptError after a crash that repeats where it was, or too many in a row."""
    *_, before, this = [None, *all_attempts]
    assert this
    if not this.crashed or not before:
        return
    crash = f"attempt {before.number} was {this.after} in {this.crashed}"
    remedy = "Find what ends it there (memory? run.log has the last lines); Retry goes on from the checkpoint."
    if (before.crashed, before.after) == (this.crashed, this.after):
        raise AttemptError(
            f"a run must get past where it crashed. Received: {crash}, where attempt {before.number - 1} was "
            f"{this.after} too. {remedy}"
        )
    if this.crashes >= limit:
        raise AttemptError(
            f"a run may crash {limit} times in a row. Received: {this.crashes} crashes; {crash}. {remedy}"
        )


def _end_process(last: Attempt) -> None:
    if process := last.alive:
        with suppress(psutil.Error):
            process.kill()
            process.wait(GIVEN_UP)


@contextmanager
def _fenced(directory: Path, this: Attempt) -> Iterator[run_copies.Uploads | None]:
    """While the block runs, every write of this process asks whether the run is still its."""

    uploads: run_copies.Uploads | None = None

    @contextmanager
    def newest() -> Iterator[None]:
        with locked(directory / "attempts" / "lock"):
            if (number := (uploads and uploads.superseded) or len(_numbers(directory))) != this.number:
                raise SupersededError(
                    f"only the newest attempt may write. Received: attempt {this.number} of {directory}, which "
                    f"attempt {number} has taken over. Nothing is to be done: that one goes on."
                )
            yield

    before, files.permission = files.permission, newest
    current.append((directory, this))
    try:
        with run_copies.uploading(directory, this.number, this.has_all) as uploads:
            yield uploads
    finally:
        current.pop()
        files.permission = before


current: list[tuple[Path, Attempt]] = []  # of this process: at most one, but in tests


def reached(place: str) -> None:
    """Notes which step the attempt has come to, so that the next attempt can say where this one crashed."""
    if current:
        directory, this = current[-1]
        this.place = place
        _write(directory, this)


def resumed(where: str) -> str:
    """'resumed at epoch 3 (attempt 2) after: killed by SIGKILL'."""
    if not current or not current[-1][1].after:
        return f"resumed at {where}"
    _, this = current[-1]
    return f"resumed at {where} (attempt {this.number}) after: {this.after}"


def _numbers(directory: Path) -> list[Path]:
    return sorted((directory / "attempts").glob("[0-9]*.json"), key=lambda path: int(path.stem))


def _write(directory: Path, this: Attempt) -> None:
    with files.whole_file(directory / "attempts" / f"{this.number}.json") as temporary:
        temporary.write_bytes(_json(this))


def _json(this: Attempt) -> bytes:
    return this.model_dump_json().encode() + b"\n"


def _fetched(directory: Path) -> list[Attempt]:
    """All attempts, with those that other machines have made."""
    run_copies.fetch_attempts(directory, own=[each.number for each in attempts(directory) if is_of(directory, each)])
    return attempts(directory)


def is_of(directory: Path, other: Attempt) -> bool:
    """Whether the attempt worked in this directory of this machine."""
    return (other.host, other.directory or str(directory.resolve())) == (platform.node(), str(directory.resolve()))


def _newest_checkpoint(directory: Path) -> str:
    newest = max((directory / "checkpoints").glob("epoch-*"), default=None)
    if several := list(directory.glob(f"{SEEDS}/*/checkpoints/epoch-*")):  # which train side by side
        newest = max(several, key=lambda path: path.stat().st_mtime_ns)
    if newest is None:
        return "before the first checkpoint"
    return f"after checkpoint {str(newest.relative_to(directory)).removeprefix('checkpoints/')}"
