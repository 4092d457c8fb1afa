"""A run's directory in the store that machines share, so that it can go on on another one.

    with uploading(directory, 2, has_all=True) as uploads:      # None where artifacts are not shared
        ...                                             # each file of the run that appears is in the store soon after
    fetch_run(directory)                                # what other machines have left there

Files are sent by a thread, one after the other in the order in which they appeared: a checkpoint comes after the tables
of its epochs. A store that is away is asked again until the run ends, and then for PATIENCE; training does not wait.
What could not be sent stays here, and the next attempt on this machine begins by sending it.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hemline.errors import StorageError
from hemline.storage import files
from hemline.storage.shared import Shared, shared_at

LOOK_SECONDS = 10.0  # between two looks whether another attempt has begun
AGAIN_SECONDS = 5.0  # after which a store that was away is asked again
PATIENCE = 600.0  # seconds that the end of a run waits for a store that is away
ATTEMPTS = "attempts/"
TRIALS = "trials/"  # of a sweep; lines that are in the store alone (hemline.sweeps.journal)
LOG = "run.log"
GROWING = (LOG, "timing.csv")  # which do not appear, but grow

log = logging.getLogger(__name__)


class Uploads(threading.Thread):
    """Sends what appears in a run's directory. superseded: the number of an attempt that was begun after this one."""

    def __init__(self, directory: Path, shared: Shared, number: int, has_all: bool):
        super().__init__(name="uploads", daemon=True)
        self.directory, self.shared, self.number = directory, shared, number
        self._left = has_all  # something may be: what else is here is older than what is there
        self.superseded: int | None = None
        self._queue: queue.Queue[Path] = queue.Queue()
        self._ending = threading.Event()
        self._error = StorageError(
            f"the shared store must be reachable. Received: {directory.name} was not sent in time. What was computed "
            "stays on this machine, and the next attempt sends it."
        )
        self._directories: set[Path] = set()  # of which the store has files; checkpoints do not stay
        self.watch()

    def appeared(self, path: Path) -> None:
        """Returns at once. path: a file or directory; one that is not of the run is left alone."""
        if path.is_relative_to(self.directory):
            self._queue.put(path)

    def watch(self) -> None:
        """Removes from the store, too, what of the directories that are here is removed from now on."""
        self._directories.update(path for path in self.directory.rglob("*") if path.is_dir())

    def run(self) -> None:
        """Until `end`, and then until all is sent."""
        while self._left and not self._try(self._catch_up):
            time.sleep(AGAIN_SECONDS)
        looked = time.monotonic()
        while not (self._ending.is_set() and self._queue.empty()):
            try:
                path = self._queue.get(timeout=0.2)
            except queue.Empty:
                path = None
            look = time.monotonic() - looked > LOOK_SECONDS
            while not self._try(self._go_on, path, look):
                time.sleep(AGAIN_SECONDS)
            looked = time.monotonic() if look else looked
        while not self._try(self._go_on, None, False):
            time.sleep(AGAIN_SECONDS)

    def end(self) -> None:
        """Waits until all is sent. Raises StorageError if the store stays away."""
        for name in GROWING:
            if (self.directory / name).exists():
                self.appeared(self.directory / name)
        self._ending.set()
        self.join(PATIENCE)
        if self.is_alive():
            raise self._error

    def _catch_up(self) -> None:
        """Finds what an earlier attempt could not send: the store was away, or its process was killed."""
        there = {each.name: each.bytes for each in self.shared.objects("") if not each.name.startswith(TRIALS)}
        self._directories.update(self.directory / Path(name).parent for name in there)
        missing = []
        for path in self.directory.rglob("*"):
            name = path.relative_to(self.directory).as_posix()
            if path.is_file() and not f"/{name}".startswith((f"/{ATTEMPTS}", "/run.lock")) and "/." not in f"/{name}":
                with suppress(FileNotFoundError):  # an old checkpoint is removed meanwhile
                    about = path.stat()
                    if there.get(name) != about.st_size:
                        missing.append((about.st_mtime_ns, path))
        for _, path in sorted(missing):  # as they appeared
            self._queue.put(path)
        self._left = False

    def _go_on(self, path: Path | None, look: bool) -> None:
        if look:
            newest = max(numbers(self.shared), default=self.number)
            self.superseded = newest if newest > self.number else None
        if self.superseded is None:
            if path:
                self._send(path)
            self._remove_old()

    def _try(self, do: Callable[..., None], *of: object) -> bool:
        try:
            do(*of)
            return True
        except StorageError as error:
            self._error = error
            log.warning("%s", error)
            return False

    def _send(self, path: Path) -> None:
        self._directories.add(path if path.is_dir() else path.parent)  # the file's may be gone before its turn comes
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            with suppress(FileNotFoundError):  # an old checkpoint is removed while it is sent
                if file.is_file():
                    self.shared.upload(file, file.relative_to(self.directory).as_posix())

    def _remove_old(self) -> None:
        for old in [each for each in self._directories - {self.directory} if not each.exists()]:
            name = old.relative_to(self.directory).as_posix()
            self.shared.delete([f"{name}/{file}" for file in self.shared.names(f"{name}/")])
            self._directories.remove(old)


@contextmanager
def uploading(directory: Path, number: int, has_all: bool) -> Iterator[Uploads | None]:
    """Sends what appears while the block runs. number: of the attempt. has_all: what is here is the newest there is."""
    if not (shared := shared_at(directory)):
        yield None
        return
    uploads = Uploads(directory, shared, number, has_all)
    uploads.start()
    before, files.appeared = files.appeared, uploads.appeared
    try:
        uploads.appeared(directory / "config.json")
        yield uploads
    finally:
        files.appeared = before
        uploads.end()


def numbers(shared: Shared) -> list[int]:
    """Those of the attempts that the store knows of. shared: a run's directory."""
    return [int(name.removesuffix(".json")) for name in shared.names(ATTEMPTS)]


def begin(directory: Path, number: int, content: bytes) -> None:
    """Makes this attempt the newest one for every machine. Raises Taken if another has that number."""
    if shared := shared_at(directory):
        shared.create(f"{ATTEMPTS}{number}.json", content)


def fetch_attempts(directory: Path, own: Collection[int]) -> None:
    """Brings the attempts at a run to what the other machines say of them. own: those of this one."""
    if shared := shared_at(directory):
        for number in set(numbers(shared)).difference(own):
            shared.download(f"{ATTEMPTS}{number}.json", directory / f"{ATTEMPTS}{number}.json")


def fetch_configuration(directory: Path) -> None:
    """Brings config.json of a run here, if any machine has begun it."""
    if shared := shared_at(directory):
        with suppress(FileNotFoundError):
            shared.download("config.json", directory / "config.json")


def withdraw(path: Path) -> None:
    """Removes a run, or a directory in it, from the store."""
    if shared := shared_at(path):
        shared.delete(list(shared.names("")))


def fetch_run(directory: Path) -> None:
    """Brings all files of a run here, over those that this machine has of it."""
    if shared := shared_at(directory):
        before, files.appeared = files.appeared, Path  # where they come from, they are
        try:
            for name in shared.names(""):
                if name == LOG and (directory / LOG).exists():
                    _fetch_log(shared, directory / LOG)
                elif not name.startswith((ATTEMPTS, TRIALS)):
                    shared.download(name, directory / name)
        finally:
            files.appeared = before


def _fetch_log(shared: Shared, path: Path) -> None:
    """Puts what others have logged before what is here. In place: this process has the file open, and appends to it."""
    lines = shared.read(LOG).splitlines(keepends=True)
    known = set(lines)
    with path.open("r+b") as file:
        lines += [line for line in file.readlines() if line not in known]
        file.seek(0)
        file.writelines(lines)
