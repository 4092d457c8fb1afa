"""Every decision about a name's versions, as the ledger had them at one moment, and what follows from them.

    decisions = registry.decisions()        # reads and verifies the ledger, once; pass it on
    decisions.champion                      # '8'
    decisions.succession()                  # ['6', '8']: what rollbacks walk back through
    decisions.champion_at(datetime(2026, 3, 1, tzinfo=UTC))     # '7'
    decisions.reigns(monday, tuesday)       # [Reign('7', since=..., until=...), Reign('8', since=..., until=None)]

Nothing here reads a file: who needs several answers reads the ledger once, and all of them are of the same moment.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from hemline.records.run import Measurements, Verdict

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


@dataclass(frozen=True)
class Reign:
    """A time in production."""

    champion: str
    since: datetime  # UTC
    until: datetime | None  # None: still


@dataclass(frozen=True)
class Decisions:
    """Those of a ledger that was read and verified as a whole."""

    entries: list[Entry]  # oldest first
    content: bytes = b""  # the ledger's lines: what the next one's digest goes on from

    @property
    def champion(self) -> str | None:
        """The version in production."""
        return self.entries[-1].champion_after if self.entries else None

    def champion_at(self, when: datetime) -> str | None:
        """The version that was in production at a moment; one without a zone is in UTC."""
        moment = when if when.tzinfo else when.replace(tzinfo=UTC)
        before = [entry.champion_after for entry in self.entries if entry.at <= moment]
        return before[-1] if before else None

    def reigns(self, begin: datetime, end: datetime) -> list[Reign]:
        """Of all that were champions at `begin` or became it before `end`, oldest first."""
        moves = [entry for entry in self.entries if entry.moves]
        ends = [entry.at for entry in moves[1:]] + [None]
        every = (Reign(str(move.champion_after), move.at, until) for move, until in zip(moves, ends, strict=True))
        of_then = (reign for reign in every if reign.until is None or reign.until > begin)
        return [reign for reign in of_then if reign.since <= begin or reign.since < end]

    def succession(self) -> list[str]:
        """The champions that rollbacks walk back through, the present one last; without those that were rolled back."""
        champions: list[str] = []
        for entry in self.entries:
            while entry.decision == "rolled back" and entry.version in champions:
                champions.pop()
            if entry.moves:
                champions.append(entry.version)
        return champions

    def waiting(self) -> list[str]:
        """Versions that need a person's approval and have no answer yet, oldest first; a new champion ends them."""
        waiting: list[str] = []
        for entry in self.entries:
            if entry.moves:
                waiting.clear()
            if entry.decision == "needs approval":
                waiting.append(entry.version)
            elif entry.decision == "kept" and entry.version in waiting:
                waiting.remove(entry.version)
        return waiting

    def protected(self) -> set[str]:
        """Versions that must not be pruned, whatever their age."""
        latest = {entry.version: entry.decision for entry in self.entries if "protected" in entry.decision}
        return {version for version, decision in latest.items() if decision == "protected"}

    def manifests(self, version: str) -> set[str]:
        """SHA-256 of the manifest that the number stood for, of each decision that verified it: one, if all is well."""
        return {entry.manifest for entry in self.entries if entry.version == version and entry.manifest}
