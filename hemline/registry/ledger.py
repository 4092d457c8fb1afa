"""The ledger of decisions about model versions: a file that only grows, a line of JSON for each.

    ledger = Ledger(artifacts / "registry" / "fashion_mnist")
    with ledger.locked():
        ledger.append(Entry(at=now, by="ada@laptop", decision="promoted", version="8", ...))
    ledger.entries()[-1].champion_after     # '8'

A line counts once it has its end: one that a killed writer began is not read, and the next writer cuts it off.

It is a chain: each line ends with the SHA-256 of the ledger up to it, and champion.json, written after it, repeats how
many lines there are and the last one's digest. So a line that was changed, moved or taken out is noticed.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from hemline.errors import RegistryError
from hemline.records.run import Measurements, Verdict
from hemline.storage import files
from hemline.storage.files import storage_errors, sync
from hemline.storage.locks import locked

LOCK = "ledger.lock"
Action = Literal[Verdict, "rolled back", "protected", "unprotected"]  # from being pruned


class Entry(BaseModel):
    """A line of the ledger."""

    model_config = ConfigDict(extra="forbid")

    at: datetime  # UTC
    by: str  # a flow run's name and id, or user@host
    decision: Action
    version: str  # the one decided about
    champion_before: str | None
    champion_after: str | None
    reason: str
    measurements: Measurements  # behind a verdict; empty for a person's decision
    # SHA-256 of the version's manifest, since its number could come to mean another model; null if it was not verified.
    manifest: str | None
    digest: str | None = None  # SHA-256 of all lines before and of this one up to here; early ones were written without

    @property
    def moves(self) -> bool:
        """Whether another version became the champion by it."""
        return self.champion_after != self.champion_before


class Ledger:
    """The file ledger.jsonl of a directory, beside the alias champion.json."""

    def __init__(self, directory: Path):
        self.directory, self.path, self.alias = directory, directory / "ledger.jsonl", directory / "champion.json"

    def entries(self) -> list[Entry]:
        """Oldest first. Raises RegistryError if a line is not as it was written. Waits for nobody."""
        known, digest = self._known_end()  # first: who writes appends a line, then says so
        entries, lines = list[Entry](), self._whole_lines().split(b"\n")[:-1]
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
        return entries

    def append(self, entry: Entry) -> Entry:
        """Writes a line, and waits until it is on disk. Returns the entry with its digest. Needs the lock."""
        lines = self._whole_lines()
        digest = hashlib.sha256(lines + entry.model_dump_json(exclude={"digest"}).encode()[:-1]).hexdigest()
        entry = entry.model_copy(update={"digest": digest})
        with storage_errors(self.path), files.permission(), self.path.open("ab") as file:  # O_APPEND
            file.truncate(len(lines))  # cuts off what a killed writer began
            file.write(entry.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        sync(self.directory)
        return entry

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

    def _whole_lines(self) -> bytes:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return b""
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
        yield entry.model_copy(update={"digest": digest})
