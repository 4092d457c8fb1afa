"""Locks between processes: one kind, for the ledger, a run's directory and the preparation of data.

    with locked(registry / "ledger.lock"): ...          # waits for whoever holds it
    with locked(run / "run.lock", wait=0.5): ...        # BlockingIOError if it is still held after half a second
    is_locked(run / "run.lock")                         # looks, and holds nothing

A lock ends with its process; its empty file stays. flock and not lockf: it excludes threads of one process too, and
Linux makes it a byte-range lock on NFS, where it holds between machines.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hemline.storage.files import storage_errors

PAUSE = 0.1  # seconds between two tries


@contextmanager
def locked(path: Path, wait: float | None = None) -> Iterator[None]:
    """Makes the file, in a directory that is there, and holds its lock until the block ends.

    wait: seconds after which to give up with BlockingIOError, 0 for one try; None waits for ever.
    """
    with storage_errors(path):
        file = path.open("a")
    with file:
        deadline = time.monotonic() + (wait or 0)
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX if wait is None else fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(PAUSE)
        yield


def is_locked(path: Path) -> bool:
    """Whether a process holds this lock. Makes no file."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
