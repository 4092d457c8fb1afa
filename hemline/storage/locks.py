"""Locks between processes: one kind, for the ledger, a run's directory and the preparation of data.

    with locked(registry / "ledger.lock"):              # waits for whoever holds it
        ...
    with locked(run / "run.lock", wait=0.5): ...        # BlockingIOError if it is still held after half a second
    is_locked(run / "run.lock")                         # looks, and holds nothing

A lock ends with its process, however that ends; its empty file stays. flock and not lockf: it keeps out threads
of one process too, and Linux makes it a byte-range lock on NFS, where it holds between machines.
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
    """Nobody else is inside for the same path. Makes the file; its directory must be there.

    wait: seconds after which to give up with BlockingIOError, 0 for one try; None waits for ever.
    """
    with storage_errors(path):
        file = path.open("a")
    with file:
        if wait is None:
            fcntl.flock(file, fcntl.LOCK_EX)
        else:
            _try_until(file.fileno(), time.monotonic() + wait)
        yield


def is_locked(path: Path) -> bool:
    """Whether a process holds this lock. Makes nothing and keeps nothing locked."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _try_until(descriptor: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(PAUSE)
