"""The ledger of decisions about model versions: a file that only grows, a line of JSON for each.

    ledger = Ledger(artifacts / "registry")
    with ledger.locked():
        ledger.append(Entry(at=now, by="ada@laptop", decision="promoted", version="0008", ...))
    ledger.entries()[-1].champion_after     # '0008'

A line counts once it has its end: one that a killed writer began is not read, and the next writer cuts it off.
"""

import os
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from hemline.errors import RegistryError
from hemline.records.run import Measurements, Verdict
from hemline.storage import files
from hemline.storage.files import storage_errors, sync
from hemline.storage.locks import locked

LOCK = "ledger.lock"
Action = Literal[Verdict, "rolled back", "protected", "unprotected"]  # from being pruned


class Entry(BaseModel):
    """A line of the ledger."""

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

    @property
    def moves(self) -> bool:
        """Whether another version became the champion by it."""
        return self.champion_after != self.champion_before


class Ledger:
    """The file ledger.jsonl of a directory."""

    def __init__(self, directory: Path):
        self.directory, self.path = directory, directory / "ledger.jsonl"

    def entries(self) -> list[Entry]:
        """Oldest first. Raises RegistryError if a line is not as it was written. Waits for nobody."""
        entries = []
        for number, line in enumerate(self._whole_lines().splitlines(), start=1):
            try:
                entries.append(Entry.model_validate_json(line))
            except ValidationError as error:
                raise RegistryError(
                    f"every line of the ledger must be an entry. Received: {self.path}, line {number}: "
                    f"{line[:80]!r}. Restore that line from a backup; nothing is decided meanwhile."
                ) from error
        return entries

    def append(self, entry: Entry) -> None:
        """Writes a line, and waits until it is on disk. Needs the lock."""
        with files.permission(), self.path.open("ab") as file:  # O_APPEND
            file.truncate(len(self._whole_lines()))  # cuts off what a killed writer began
            file.write(entry.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        sync(self.directory)

    def locked(self, wait: float | None = None) -> AbstractContextManager[None]:
        """Nobody else appends or deletes a version meanwhile. wait: seconds, see `hemline.storage.locks.locked`."""
        with storage_errors(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
        return locked(self.directory / LOCK, wait)

    def _whole_lines(self) -> bytes:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return b""
        return content[: content.rfind(b"\n") + 1]
