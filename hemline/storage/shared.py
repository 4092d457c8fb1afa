"""Artifacts that several machines share: each has a directory that is a copy, and an object store has the truth.

    artifacts = artifacts_at("s3://models/hemline")     # HEMLINE_ROOT/shared/s3-models-hemline-1f0c0a9b
    shared = shared_at(artifacts / "registry" / "shoes")        # None in a directory that is no copy
    shared.create("champion", b"8")                     # keys are relative to the directory, here registry/shoes
    shared.write_line("ledger/", 12, line)              # Taken, if another machine has written line 12
    with one_look(): ...                                # lists nothing twice

A copy knows its store by a file in it, so whoever is given a directory needs no address. What is in a copy may be
removed at any time, but for what a run is writing there; it is fetched again.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hemline.config.paths import SHARED
from hemline.storage import files
from hemline.storage.files import Taken
from hemline.storage.remote import Object, Remote, Stale

NUMBER = "{:09}"  # of a line, as its object's name ends
AT_ONCE = 16  # lines that are read side by side: a store takes as long for one as for several
TRIED = ".shared-tried"  # in a copy: its store was found to have conditional writes
Listed = dict[tuple[str, str, str | None], list[Object]]  # by address of the store, prefix and what it was listed after
_listed = ContextVar[Listed | None]("listed", default=None)


@dataclass(frozen=True)
class Shared:
    """A directory of a copy, in its store."""

    remote: Remote
    prefix: str

    def key(self, name: str) -> str:
        """The store's own key."""
        return f"{self.prefix}/{name}" if self.prefix != "." else name

    def create(self, name: str, content: bytes) -> None:
        """Raises Taken if there is something else already."""
        self.remote.create(self.key(name), content)

    def read(self, name: str) -> bytes:
        """Raises FileNotFoundError."""
        return self.remote.read(self.key(name))[0]

    def objects(self, prefix: str, after: str | None = None) -> Iterator[Object]:
        """Those below a prefix such as 'ledger/', by names without it. after: only those behind it."""
        begin = self.key(prefix)
        for each in _objects(self.remote, begin, None if after is None else begin + after):
            yield each._replace(name=each.name.removeprefix(begin))

    def names(self, prefix: str, after: str | None = None) -> Iterator[str]:
        """Their names alone."""
        return (each.name for each in self.objects(prefix, after))

    def directories(self) -> list[str]:
        """Those in this one, without what is in them."""
        return [key.removeprefix(self.key("")) for key in self.remote.directories(self.key(""))]

    def write_line(self, prefix: str, number: int, line: bytes) -> None:
        """Writes a line of what only grows, an object for each. Raises Taken if another has written that number."""
        with files.permission():
            self.create(prefix + NUMBER.format(number), line)

    def lines(self, prefix: str, after: int) -> list[bytes]:
        """Those behind a number, in their order."""
        names = self.names(prefix, after=NUMBER.format(after))
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return list(threads.map(lambda name: self.read(prefix + name), names))

    def put_newer(self, name: str, content: bytes, is_newer: Callable[[bytes, bytes], bool]) -> None:
        """Writes the content unless what is there is as new. is_newer: of two contents."""
        while True:
            with suppress(Taken, Stale):
                try:
                    there, tag = self.remote.read(self.key(name))
                except FileNotFoundError:
                    return self.create(name, content)
                return self.remote.replace(self.key(name), content, tag) if is_newer(content, there) else None

    def upload(self, path: Path, name: str) -> None:
        """Writes a file; it appears whole."""
        self.remote.upload(path, self.key(name))

    def download(self, name: str, path: Path) -> None:
        """Writes a file here; it appears whole."""
        self.remote.download(self.key(name), path)

    def delete(self, names: list[str]) -> None:
        """Removes what is there of these."""
        self.remote.delete(*map(self.key, names))


@contextmanager
def one_look() -> Iterator[None]:
    """What this thread lists until the block ends is as it was when it was first listed. For who decides nothing."""
    token = _listed.set({} if (outer := _listed.get()) is None else outer)
    try:
        yield
    finally:
        _listed.reset(token)


def _objects(remote: Remote, prefix: str, after: str | None) -> Iterator[Object]:
    """prefix: up to a slash."""
    if (listed := _listed.get()) is None:
        return remote.objects(prefix.rstrip("/"), after)
    for (url, of_more, behind), found in listed.items():
        if (url, behind) == (remote.url, after) and prefix.startswith(of_more):
            return (each for each in found if each.name.startswith(prefix))
    listed[remote.url, prefix, after] = found = list(remote.objects(prefix.rstrip("/"), after))
    return iter(found)


def shared_at(path: Path) -> Shared | None:
    """What a path of a copy is in its store; None if it is in no copy."""
    for directory in (path, *path.parents):
        if (directory / SHARED).is_file():
            return Shared(_remote(directory), path.relative_to(directory).as_posix())
    return None


@cache
def _remote(copy: Path) -> Remote:
    """Raises StorageError for a store that cannot be shared safely, before anything is written to it."""
    remote = Remote((copy / SHARED).read_text())
    if not (tried := copy / TRIED).exists():
        remote.require_conditional_writes()
        tried.touch()
    return remote
