"""An object store that several machines share, with what makes it safe for that: writes that depend on what is there.

    remote = Remote("s3://models/hemline")              # or gs, az; credentials as each cloud's own tools find them
    remote.create("ledger/000012", line)                # Taken, if another machine was first
    content, tag = remote.read("champion.json")
    remote.replace("champion.json", new, tag)           # Stale, if it has changed since it was read
    remote.upload(path, "models/shoes/8/model.keras")
    remote.download("models/shoes/8/model.keras", path)

A store answers late, twice, with an error after it has done what was asked, or not at all. obstore itself asks again
after a 5xx, after a connection that was cut, and after the time-out of a request that reads. A write that depends on
what is there is not repeated after a time-out, since it may have been carried out: this module looks, and it is refused
only if what is there is not what was to be written. An upload or a deletion is repeated. A large file goes in pieces,
each a request with a time limit of its own: so it may take long, and is not begun anew.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError, NotSupportedError, PreconditionError
from obstore.store import from_url

from hemline.errors import StorageError
from hemline.storage.files import Taken, whole_file

if TYPE_CHECKING:
    from obstore import GetOptions

PIECE = 5 * 2**20  # bytes of a file in one request; S3 takes no smaller ones
AT_ONCE = 2  # pieces of a file that are sent side by side: more would all be late on a slow line
TIMEOUT = timedelta(seconds=60)  # of a request with its body: a piece needs 175 kB/s
# obstore's: how often, and for how long, it asks again. Less than 5 minutes, for which a request's credentials hold. A
# store that is away for longer fails the step, which can be retried.
TRIES, PATIENCE = 10, timedelta(seconds=180)
AGAIN, PAUSE_SECONDS = 3, 0.2  # the same, of what obstore does not repeat


class Stale(Exception):
    """Another writer has replaced it since it was read."""


class Object(NamedTuple):
    """What a store says of what it holds."""

    name: str
    bytes: int
    changed: datetime


class Remote:
    """A prefix of a bucket. Keys are relative to it."""

    def __init__(self, url: str):
        self.url = url
        plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")  # a server on loopback
        self._store = from_url(
            url,
            client_options={"allow_http": plain, "timeout": TIMEOUT, "connect_timeout": timedelta(seconds=5)},
            retry_config={"max_retries": TRIES, "retry_timeout": PATIENCE},
        )

    def require_conditional_writes(self) -> None:
        """Raises StorageError for a store on which two machines could not agree, or that cannot be reached."""
        key, wrong = f".probe-{uuid4().hex}", ""
        try:
            self.create(key, b"1")
            with suppress(Taken):
                self.create(key, b"2")
                wrong = "a second writer created what was there"
            _, tag = self.read(key)
            self.replace(key, b"3", tag)
            with suppress(Stale):
                self.replace(key, b"4", tag)
                wrong = wrong or "a stale writer replaced what had changed"
            self.delete(key)
        except NotSupportedError as error:
            wrong = str(error)
        if wrong:
            raise StorageError(
                "a shared store must have conditional writes, or two machines could both be the first. Received: "
                f"{self.url}, where {wrong}. Take S3, Google Cloud Storage, Azure Blob Storage, MinIO or another store "
                "that has them; or a file system that the machines share."
            )

    def create(self, key: str, content: bytes) -> None:
        """Raises Taken if there is something else already."""
        if not self._write(key, content, before=None):
            raise Taken(f"{self.url}/{key} was made by another writer")

    def replace(self, key: str, content: bytes, tag: str) -> None:
        """Raises Stale unless the tag is still that of what is there."""
        if not self._write(key, content, before=tag):
            raise Stale(f"{self.url}/{key} was replaced by another writer")

    def _write(self, key: str, content: bytes, before: str | None) -> bool:
        """Whether this is there now. before: the tag of what it may replace; None if there must be nothing."""
        with self._reachable(key, writes=True):
            for last in _tries():
                try:
                    obstore.put(self._store, key, content, mode={"e_tag": before} if before else "create")
                    break
                except (AlreadyExistsError, PreconditionError, GenericError):
                    found, tag = self._found(key)  # this writer may have been first, and not have heard of it
                    if found == content or tag != before:
                        return found == content
                    if last:
                        raise
        return True

    def _found(self, key: str) -> tuple[bytes | None, str | None]:
        try:
            return self.read(key)
        except FileNotFoundError:
            return None, None

    def read(self, key: str) -> tuple[bytes, str]:
        """The content, and a tag that changes with it. Raises FileNotFoundError."""
        with self._reachable(key):
            found = obstore.get(self._store, key)
            return found.bytes().to_bytes(), str(found.meta["e_tag"])

    def upload(self, path: Path, key: str) -> None:
        """Writes a file; it appears whole. Raises FileNotFoundError if there is no such file here."""
        for last in _tries():
            with path.open("rb") as file, self._reachable(key, writes=True):
                try:
                    obstore.put(self._store, key, file, chunk_size=PIECE, max_concurrency=AT_ONCE)
                    break
                except (BaseError, FileNotFoundError):  # of an upload that had ended, and the answer was lost
                    if last:
                        raise

    def download(self, key: str, path: Path) -> None:
        """Writes a file; it appears whole. Raises FileNotFoundError."""
        with whole_file(path) as temporary, self._reachable(key), temporary.open("wb") as file:
            found = obstore.get(self._store, key)
            if (size := found.meta["size"]) <= PIECE:
                file.write(found.bytes())
                return
            for begin in range(0, size, PIECE):  # of one object: another writer may replace it meanwhile
                piece: GetOptions = {"range": (begin, min(begin + PIECE, size)), "if_match": found.meta["e_tag"]}
                file.write(obstore.get(self._store, key, options=piece).bytes())

    def objects(self, prefix: str, after: str | None = None) -> Iterator[Object]:
        """All under a prefix, in the order of their keys. after: only those behind it."""
        with self._reachable(prefix):
            for some in obstore.list(self._store, prefix, offset=after):
                yield from (Object(each["path"], each["size"], each["last_modified"]) for each in some)

    def directories(self, prefix: str) -> list[str]:
        """What is before the next / of keys under a prefix."""
        with self._reachable(prefix):
            return list(obstore.list_with_delimiter(self._store, prefix)["common_prefixes"])

    def delete(self, *keys: str) -> None:
        """Removes what is there of these."""
        for last in _tries() if keys else ():
            with self._reachable(keys[0], writes=True):
                try:
                    with suppress(FileNotFoundError):
                        obstore.delete(self._store, list(keys))
                    break
                except BaseError:
                    if last:
                        raise

    @contextmanager
    def _reachable(self, key: str, writes: bool = False) -> Iterator[None]:
        """Raises StorageError for a store that cannot be reached or says no; writes: also for one that is not there."""
        try:
            yield
        except NotSupportedError:  # an answer that is asked for
            raise
        except (BaseError, FileNotFoundError) as error:
            if isinstance(error, FileNotFoundError) and not writes:
                raise FileNotFoundError(f"{self.url}/{key} is not there") from error
            raise StorageError(
                f"the shared store must be reachable. Received: {self.url}/{key}: {_first_line(error)}. What was "
                "written before is whole; look at its address and credentials, and start the run again."
            ) from error


def _tries() -> Iterator[bool]:
    """Of what is done until it succeeds: whether this is the last one."""
    for number in range(AGAIN):
        time.sleep(PAUSE_SECONDS if number else 0)
        yield number == AGAIN - 1


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
