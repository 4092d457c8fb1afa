"""The ledger of decisions about model versions: a file that only grows, a line of JSON for each.

    ledger = Ledger(artifacts / "registry" / "fashion_mnist")
    with ledger.locked():
        decisions = ledger.read()
        decisions = ledger.append(Entry(at=now, by="ada@laptop", decision="promoted", ...), after=decisions)
    decisions.champion      # '8'

A line counts once it has its end: one that a killed writer began is not read, and the next writer cuts it off.

It is a chain: each line ends with the SHA-256 of the ledger up to it, and champion.json, written after it, repeats how
many lines there are and the last one's digest. So a line that was changed, moved or taken out is noticed. A new line's
digest goes on from the bytes that were verified, and the line is refused if others are in the file by then. 5,000 lines
are read and verified in 0.04 s.

Of machines that share a store (hemline.storage.shared) the first to create the object of the next number has written
that line. The file is this machine's copy of them.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from pydantic import ValidationError

from hemline.errors import RegistryError, StorageError
from hemline.registry.decisions import Decisions, Entry
from hemline.storage import files
from hemline.storage.files import storage_errors, sync
from hemline.storage.locks import locked
from hemline.storage.shared import shared_at

LOCK = "ledger.lock"
LINES = "ledger/"  # in a shared store: an object for each line, by its number


class Ledger:
    """The file ledger.jsonl of a directory, beside the alias champion.json."""

    def __init__(self, directory: Path):
        self.directory, self.path, self.alias = directory, directory / "ledger.jsonl", directory / "champion.json"
        self.shared = shared_at(directory)

    def read(self) -> Decisions:
        """All of it, verified. Raises RegistryError if a line is not as it was written. Waits for nobody."""
        known, digest = self._known_end()  # first: who writes appends a line, then says so
        content = self._pulled(_whole_lines(self._bytes()))
        entries, lines = list[Entry](), content.split(b"\n")[:-1]
        try:
            for entry in _chain(lines):
                entries.append(entry)
        except ValueError as error:
            number, line = len(entries) + 1, lines[len(entries)][:80]
            raise RegistryError(
                f"every line of the ledger must be as it was written. Received: {self.path}, line {number}: {line!r}, "
                f"{error}. Restore that line from a backup, or one above it; nothing is decided meanwhile."
            ) from error
        cut = len(entries) < known
        if cut or (known > 0 and entries[known - 1].digest != digest):
            what = f"line {len(entries) + 1} is gone" if cut else f"line {known} or one above it was changed"
            raise RegistryError(
                f"the ledger must hold what {self.alias.name} says it held. Received: {self.path}, where {what}. "
                f"Restore it from a backup; or, if {self.alias.name} is what was changed, remove that: it is made anew."
            )
        return Decisions(entries, content)

    def append(self, entry: Entry, after: Decisions) -> Decisions:
        """Writes a line after those that were read, and waits until it is on disk. Needs the lock, from the reading on.

        Returns them with the entry, which has its digest now. Raises Taken if another machine has written that line.
        """
        before = after.content
        digest = hashlib.sha256(before + entry.model_dump_json(exclude={"digest"}).encode()[:-1]).hexdigest()
        entry = entry.model_copy(update={"digest": digest})
        line = entry.model_dump_json().encode() + b"\n"
        if self.shared:
            self.shared.write_line(LINES, len(after.entries) + 1, line)
        self._extend(before, line)
        return Decisions([*after.entries, entry], before + line)

    def locked(self, wait: float | None = None) -> AbstractContextManager[None]:
        """Nobody else appends or deletes a version meanwhile. wait: seconds, see `hemline.storage.locks.locked`."""
        with storage_errors(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
        return locked(self.directory / LOCK, wait)

    def _known_end(self) -> tuple[int, str]:
        """How many lines there are at least, by champion.json, and the last one's digest; 0 if it does not say."""
        try:
            end = json.loads(self.alias.read_bytes())["ledger"]
            return int(end["lines"]), end["digest"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return 0, ""

    def _bytes(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""

    def _pulled(self, content: bytes) -> bytes:
        """The lines, with those that other machines have added since."""
        if not self.shared:
            return content
        new = b"".join(self.shared.lines(LINES, after=content.count(b"\n")))
        if new:  # who holds the lock writes them anyway; a reader without permission to write is still answered
            with suppress(BlockingIOError, StorageError), self.locked(wait=0):
                self._extend(content, new)
        return content + new

    def _extend(self, before: bytes, new: bytes) -> None:
        """Appends to the lines that were read, of which a copy may still lack some. Waits until it is on disk."""
        with storage_errors(self.path), files.permission(), self.path.open("a+b") as file:  # O_APPEND
            file.seek(0)
            there = _whole_lines(file.read())
            if there != before and not (self.shared and before.startswith(there)):
                raise RegistryError(
                    f"the ledger must stay as it was read until a line is appended. Received: {self.path} of "
                    f"{len(there):,} bytes, which had {len(before):,}. Decide again."
                )
            file.truncate(len(there))  # cuts off what a killed writer began
            file.write(before[len(there) :] + new)
            file.flush()
            os.fsync(file.fileno())
        sync(self.directory)


def _whole_lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]


def _chain(lines: Sequence[bytes]) -> Iterator[Entry]:
    """The entries with their digests, up to a line that does not follow from those before: there it is a ValueError."""
    ledger, champion, chained = hashlib.sha256(), None, False
    for line in lines:
        try:
            entry = Entry.model_validate_json(line)
        except ValidationError as error:
            raise ValueError("which is no entry") from error
        end = f',"digest":"{entry.digest}"}}'.encode() if entry.digest else b""
        ledger.update(line.removesuffix(end))
        digest, chained = ledger.hexdigest(), chained or entry.digest is not None
        if chained and entry.digest != digest:
            raise ValueError("whose digest is not that of the ledger up to it")
        if entry.champion_before != champion:
            raise ValueError(f"and {champion} was the champion before it")
        champion = entry.champion_after
        ledger.update(end + b"\n")
        yield entry if entry.digest else entry.model_copy(update={"digest": digest})
