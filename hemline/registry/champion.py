"""Which version of a model is in production, since when and why: an alias, and a ledger that only grows.

    registry = Registry(artifacts, "fashion_mnist")     # each name has its own
    registry.champion()                                             # '8'
    registry.rollback(by=person(), reason="shirts are not recognised any more")
    registry.champion_at(datetime(2026, 3, 1, tzinfo=UTC))          # '7'

The ledger is the truth. registry/<name>/champion.json repeats where it ends, and serving/<name> holds the champion, for
whoever serves models; both are written afterwards, and repaired whenever they say something else. The alias moves only
to a version that verifies. 20 processes that promote at once leave 20 lines and one champion, in 0.5 s on 2 cores.
"""

import getpass
import json
import logging
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, time
from functools import partial, partialmethod
from pathlib import Path
from typing import Any, Literal

from hemline.config.names import is_name
from hemline.errors import ChampionChangedError, RegistryError, StorageError, VersionError
from hemline.records.run import Decision, Measurements
from hemline.registry.ledger import Action, Entry, Ledger
from hemline.registry.served import Served
from hemline.registry.versions import MANIFEST, Manifest, numbered, verify
from hemline.storage.files import sha256_of, write_json
from hemline.storage.runs import MODELS, REGISTRY

log = logging.getLogger(__name__)

Expected = str | Literal["any"] | None  # the champion that a decision was made against; 'any' does not care

utc_now = partial(datetime.now, UTC)


def person() -> str:
    """Whoever is at the terminal, as user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{platform.node()}"


def names(artifacts: Path) -> list[str]:
    """Of all models that have a version or a ledger."""
    found = {path.name for place in (MODELS, REGISTRY) for path in (artifacts / place).glob("[!.]*") if path.is_dir()}
    return sorted(filter(is_name, found))


def registries(artifacts: Path, name: str | None) -> list["Registry"]:
    """That of this name, which must be there; or all."""
    known = names(artifacts)
    if name is None:
        return [Registry(artifacts, each) for each in known]
    if name not in known:
        there = f"There are {', '.join(known)}." if known else "Publish a version first: there is none yet."
        raise RegistryError(f"name must be that of a model in {artifacts / MODELS}. Received: name={name!r}. {there}")
    return [Registry(artifacts, name)]


def registry_of(artifacts: Path, name: str | None) -> "Registry":
    """That of this name; or the only one there is."""
    found = registries(artifacts, name)
    if not found:
        where = artifacts / MODELS
        raise RegistryError(f"there must be a model. Received: {where}, where there is none. Publish a version first.")
    if len(found) > 1:
        known = ", ".join(registry.name for registry in found)
        remedy = "Say which: --name NAME in a terminal, `name` of a deployment."
        raise RegistryError(f"a name must be given where there are several models. Received: none of {known}. {remedy}")
    return found[0]


class Registry:
    """The versions of a model's name under `artifacts`, their champion and their ledger."""

    def __init__(self, artifacts: Path, name: str, now: Callable[[], datetime] = utc_now):
        self.artifacts, self.name, self.now = artifacts, name, now
        self.models, self.directory = artifacts / MODELS / name, artifacts / REGISTRY / name
        self.ledger, self.served = Ledger(self.directory), Served(artifacts, name)
        self.alias = self.ledger.alias

    def versions(self) -> list[str]:
        """Every version there is, oldest first."""
        return numbered(self.models)

    def entries(self) -> list[Entry]:
        """The ledger, oldest first."""
        return self.ledger.entries()

    def champion(self) -> str | None:
        """The version in production. Repairs champion.json and what is served on the way."""
        entries = self.entries()
        champion = entries[-1].champion_after if entries else None
        if self._read_alias() != self._alias(entries) or not self.served.is_at(champion):
            # Who holds the lock will write it anyway; a reader without permission to write is still answered.
            with suppress(BlockingIOError, StorageError), self.ledger.locked(wait=0):
                self._write_alias()
        return champion

    def champion_at(self, when: datetime) -> str | None:
        """The version that was in production at a moment; one without a zone is in UTC."""
        moment = when if when.tzinfo else when.replace(tzinfo=UTC)
        before = [entry.champion_after for entry in self.entries() if entry.at <= moment]
        return before[-1] if before else None

    def champions_on(self, day: date) -> list[str]:
        """The versions that were in production on a day (UTC): the one at its start and any that followed."""
        start = self.champion_at(datetime.combine(day, time.min, UTC))
        moved = [entry.champion_after for entry in self.entries() if entry.moves and entry.at.date() == day]
        return [version for version in [start, *moved] if version is not None]

    def succession(self) -> list[str]:
        """The champions that rollbacks walk back through, the present one last; without those that were rolled back."""
        champions: list[str] = []
        for entry in self.entries():
            while entry.decision == "rolled back" and entry.version in champions:
                champions.pop()
            if entry.moves:
                champions.append(entry.version)
        return champions

    def protected(self) -> set[str]:
        """Versions that must not be pruned, whatever their age."""
        latest = {entry.version: entry.decision for entry in self.entries() if "protected" in entry.decision}
        return {version for version, decision in latest.items() if decision == "protected"}

    def path(self, version: str) -> Path:
        """The directory of a version that is there. Raises RegistryError if it is not."""
        if version not in (known := self.versions()):
            some = f"There are {', '.join(known[-5:])}." if known else "Publish one first: there is none yet."
            raise RegistryError(f"version must be one in {self.models}. Received: version={version!r}. {some}")
        return self.models / version

    def verified(self, version: str) -> Manifest:
        """Its manifest, if it is whole and the model that the ledger means by this number."""
        path = self.path(version)
        manifest = verify(path)
        digest = sha256_of(path / MANIFEST)
        meant = {entry.manifest or digest for entry in self.entries() if entry.version == version}
        if (manifest.config.name, manifest.version) != (self.name, version) or meant - {digest}:
            raise VersionError(
                f"a version must be the model that was published by its number. Received: {path}, which holds another "
                "one. Put the old one back from a backup, or take another version.",
                problem="another model is in its place",
            )
        return manifest

    def record(self, decision: Decision, by: str) -> Entry:
        """Writes a verdict down; a promoted version becomes the champion. ChampionChangedError: compare again."""
        verdict, version, reason = decision.verdict, decision.challenger, decision.sentence
        return self._write(verdict, version, by, reason, decision.champion, decision.measurements)

    def rollback(self, by: str, reason: str, to: str | None = None) -> Entry:
        """Makes an earlier version the champion again: `to`, or the champion before this one."""
        champions = self.succession()
        if to is None and len(champions) < 2:
            now = f"{champions[-1]} is the first" if champions else "there is none yet"
            raise RegistryError(
                f"a rollback needs an earlier champion. Received: {now}. Name a version, or promote one."
            )
        if to is not None and self.path(to).name not in {entry.champion_after for entry in self.entries()}:
            raise RegistryError(
                f"a rollback goes to a former champion. Received: version={to!r}, which never was one. Promote it "
                "instead."
            )
        return self._write("rolled back", to or champions[-2], by, reason, champions[-1] if champions else None)

    def _write(
        self,
        decision: Action,
        version: str,
        by: str,
        reason: str,
        expected: Expected = "any",
        measurements: Measurements | None = None,
    ) -> Entry:
        for name, text in (("by", by), ("reason", reason)):
            if not text.strip():
                raise RegistryError(f"{name} must not be empty. Received: {name}={text!r}. Say it in a sentence.")
        manifest, moves = self.path(version) / MANIFEST, decision in ("promoted", "rolled back")
        if decision != "unprotected":  # a broken version can be unprotected too
            self.verified(version)  # takes as long as its files are large, so without the lock
        with self.ledger.locked():
            entries = self.entries()
            before = entries[-1].champion_after if entries else None
            if expected not in ("any", before):
                raise ChampionChangedError(
                    f"the champion must still be the one that was decided against. Received: {expected}, and it is "
                    f"{before} now. Decide again."
                )
            if moves and version == before:
                raise RegistryError(
                    f"the champion must be another version. Received: version={version!r}, which is it already. "
                    "Name another, or leave it."
                )
            self.path(version)  # pruned meanwhile? From here on a prune waits for the lock
            entry = Entry(
                at=self.now().astimezone(UTC),
                by=by,
                decision=decision,
                version=version,
                champion_before=before,
                champion_after=version if moves else before,
                reason=reason,
                measurements=measurements or {},
                manifest=sha256_of(manifest) if decision != "unprotected" else None,
            )
            entry = self.ledger.append(entry)
            self._write_alias()
        return entry

    # A person's own decisions: (version, by, reason) -> Entry.
    promote = partialmethod(_write, "promoted")
    protect = partialmethod(_write, "protected")  # from being pruned
    unprotect = partialmethod(_write, "unprotected")

    def _write_alias(self) -> None:
        """Brings champion.json, and what is served, to where the ledger ends. Needs the lock."""
        alias = self._alias(self.entries())
        if alias is None:
            self.alias.unlink(missing_ok=True)
        elif alias != (found := self._read_alias()):
            if isinstance(found, dict) and found.get("ledger") == alias["ledger"]:  # no killed writer left that
                log.warning("%s was changed by hand, and is written again: the ledger says otherwise", self.alias)
            write_json(self.alias, alias)
        self.served.point(alias["version"] if alias else None)

    def _read_alias(self) -> Any:
        try:
            return json.loads(self.alias.read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def _alias(self, entries: list[Entry]) -> dict[str, Any] | None:
        """What champion.json holds after these entries."""
        moves = [entry for entry in entries if entry.moves]
        if not moves:
            return None
        last = moves[-1].model_dump(mode="json")
        version = last["champion_after"]
        path = f"../../{MODELS}/{self.name}/{version}"
        same = {name: last[name] for name in ("by", "decision", "reason", "manifest")}
        ledger = {"lines": len(entries), "digest": entries[-1].digest}
        return {"name": self.name, "version": version, "path": path, "since": last["at"]} | same | {"ledger": ledger}
