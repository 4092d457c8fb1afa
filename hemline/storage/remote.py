"""An object store that several machines share, with what makes it safe for that: writes that depend on what is there.

    remote = Remote("s3://models/hemline")              # or gs, az; credentials as each cloud's own tools find them
    remote.create("ledger/000012", line)                # Taken, if another machine was first
    content, tag = remote.read("champion.json")
    remote.replace("champion.json", new, tag)           # Stale, if it has changed since it was read
    remote.upload(path, "models/shoes/8/model.keras")
    remote.download("models/shoes/8/model.keras", path)

A store answers late, twice, or with an error after it has done what was asked (obstore tries again by itself). So a
refusal is only one if what is there is not what was to be written.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, NotSupportedError, PreconditionError
from obstore.store import from_url

from hemline.errors import StorageError
from hemline.storage.files import Taken, whole_file

PIECE = 8 * 2**20  # bytes of a file that are in memory at a time
# Of one request, with all that is tried again. A server that is away for longer fails the step, which can be retried.
TRIES, TIMEOUT, PATIENCE = 10, timedelta(seconds=30), timedelta(seconds=120)


class Stale(Exception):
    """Another writer has replaced it since it was read."""


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
        try:
            with self._reachable(key):
                obstore.put(self._store, key, content, mode="create")
        except (AlreadyExistsError, PreconditionError) as error:
            if self.read(key)[0] != content:  # or this writer was first, and did not hear of it
                raise Taken(f"{self.url}/{key} was made by another writer") from error

    def read(self, key: str) -> tuple[bytes, str]:
        """The content, and a tag that changes with it. Raises FileNotFoundError."""
        with self._reachable(key):
            found = obstore.get(self._store, key)
            return found.bytes().to_bytes(), str(found.meta["e_tag"])

    def replace(self, key: str, content: bytes, tag: str) -> None:
        """Raises Stale unless the tag is still that of what is there."""
        try:
            with self._reachable(key):
                obstore.put(self._store, key, content, mode={"e_tag": tag})
        except PreconditionError as error:
            if self.read(key)[0] != content:
                raise Stale(f"{self.url}/{key} was replaced by another writer") from error

    def upload(self, path: Path, key: str) -> None:
        """Writes a file; it appears whole."""
        with self._reachable(key):
            obstore.put(self._store, key, path, chunk_size=PIECE)

    def download(self, key: str, path: Path) -> None:
        """Writes a file; it appears whole. Raises FileNotFoundError."""
        with whole_file(path) as temporary, self._reachable(key), temporary.open("wb") as file:
            for piece in obstore.get(self._store, key).stream(min_chunk_size=PIECE):
                file.write(piece)

    def names(self, prefix: str, after: str | None = None) -> Iterator[str]:
        """Keys under a prefix, in their order. after: only those behind it."""
        with self._reachable(prefix):
            for some in obstore.list(self._store, prefix, offset=after):
                yield from (entry["path"] for entry in some)

    def delete(self, *keys: str) -> None:
        """Removes what is there of these."""
        if keys:
            with suppress(FileNotFoundError), self._reachable(keys[0]):
                obstore.delete(self._store, list(keys))

    @contextmanager
    def _reachable(self, key: str) -> Iterator[None]:
        """Raises StorageError for a store that cannot be reached or says no."""
        try:
            yield
        except (AlreadyExistsError, PreconditionError, NotSupportedError):  # answers that are asked for
            raise
        except (NotFoundError, FileNotFoundError) as error:
            raise FileNotFoundError(f"{self.url}/{key} is not there") from error
        except BaseError as error:
            raise StorageError(
                f"the shared store must be reachable. Received: {self.url}/{key}: {_first_line(error)}. What was "
                "written before is whole; look at its address and credentials, and start the run again."
            ) from error


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
