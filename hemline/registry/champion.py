"""Which version of a model is in production, since when and why: an alias, and a ledger that only grows.

    registry = Registry(artifacts, "fashion_mnist")     # each name has its own
    registry.champion()                                             # '8'
    registry.rollback(by=person(), reason="shirts are not recognised any more")
    registry.decisions().champion_at(datetime(2026, 3, 1, tzinfo=UTC))      # '7'

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
from datetime import UTC, datetime
from functools import partial, partialmethod
from pathlib import Path
from typing import Any, Literal

from hemline.config.names import is_name
from hemline.errors import ChampionChangedError, RegistryError, StorageError, VersionError
from hemline.records.run import Decision, Measurements
from hemline.registry.decisions import Action, Decisions, Entry
from hemline.registry.exchange import pull
from hemline.registry.ledger import Ledger
from hemline.registry.served import Served
from hemline.registry.versions import MANIFEST, Manifest, is_number, numbered, verify
from hemline.storage.files import Taken, json_bytes, sha256_of, write_json
from hemline.storage.runs import MODELS, REGISTRY
from hemline.storage.shared import Shared

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
    pull(artifacts)
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
        pull(self.artifacts, self.name)
        return numbered(self.models)

    def decisions(self) -> Decisions:
        """The ledger, verified. Who needs several answers asks once."""
        return self.ledger.read()

    def entries(self) -> list[Entry]:
        """The ledger's lines, oldest first."""
        return self.decisions().entries

    def champion(self) -> str | None:
        """The version in production. Repairs champion.json and what is served on the way."""
        self.repair(decisions := self.decisions())
        return decisions.champion

    def repair(self, decisions: Decisions) -> None:
        """Brings champion.json, and what is served, to where the ledger ends, if they are not there."""
        if self._read_alias() != self._alias(decisions) or not self.served.is_at(decisions.champion):
            # Who holds the lock will write it anyway; a reader without permission to write is still answered.
            with suppress(BlockingIOError, StorageError), self.ledger.locked(wait=0):
                self._write_alias(self.decisions())

    def path(self, version: str) -> Path:
        """The directory of a version that is there. Raises RegistryError if it is not."""
        path = self.models / version
        if not path.is_dir():
            pull(self.artifacts, self.name)
        if not is_number(version) or not path.is_dir():
            known = self.versions()
            some = f"There are {', '.join(known[-5:])}." if known else "Publish one first: there is none yet."
            raise RegistryError(f"version must be one in {self.models}. Received: version={version!r}. {some}")
        return path

    def verified(self, version: str, decisions: Decisions | None = None) -> Manifest:
        """Its manifest, if it is whole and the model that the ledger means by this number. decisions: if known."""
        manifest = verify(self.path(version))
        self._require_meant(manifest, version, decisions or self.decisions())
        return manifest

    def _require_meant(self, manifest: Manifest, version: str, decisions: Decisions) -> str:
        """The SHA-256 of a version's manifest, if no decision means another model by its number."""
        digest = sha256_of(self.models / version / MANIFEST)
        if (manifest.config.name, manifest.version) != (self.name, version) or decisions.manifests(version) - {digest}:
            raise VersionError(
                "a version must be the model that was published by its number. Received: "
                f"{self.models / version}, which holds another one. Put the old one back from a backup, or take "
                "another version.",
                problem="another model is in its place",
            )
        return digest

    def record(self, decision: Decision, by: str) -> Entry:
        """Writes a verdict down; a promoted version becomes the champion. ChampionChangedError: compare again."""
        verdict, version, reason = decision.verdict, decision.challenger, decision.sentence
        return self._write(verdict, version, by, reason, decision.champion, decision.measurements)

    def rollback(self, by: str, reason: str, to: str | None = None) -> Entry:
        """Makes an earlier version the champion again: `to`, or the champion before this one."""
        decisions = self.decisions()
        champions = decisions.succession()
        if to is None and len(champions) < 2:
            now = f"{champions[-1]} is the first" if champions else "there is none yet"
            raise RegistryError(
                f"a rollback needs an earlier champion. Received: {now}. Name a version, or promote one."
            )
        if to is not None and self.path(to).name not in {entry.champion_after for entry in decisions.entries}:
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
        path, moves = self.path(version), decision in ("promoted", "rolled back")
        # A broken version can be unprotected too. Verifying takes as long as files are large, so without the lock.
        manifest = verify(path) if decision != "unprotected" else None

        def entry(decisions: Decisions) -> Entry:
            before, before_it = decisions.champion, [last.at for last in decisions.entries[-1:]]  # by any clock
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
            return Entry(
                at=max([self.now().astimezone(UTC), *before_it]),
                by=by,
                decision=decision,
                version=version,
                champion_before=before,
                champion_after=version if moves else before,
                reason=reason,
                measurements=measurements or {},
                manifest=self._require_meant(manifest, version, decisions) if manifest else None,
            )

        return self._append(entry)

    def _append(self, entry: Callable[[Decisions], Entry]) -> Entry:
        """Writes the line that follows from those there are, and brings the alias to it."""
        while True:
            with self.ledger.locked():
                decisions = self.decisions()
                with suppress(Taken):  # another machine was first: look again
                    decisions = self.ledger.append(entry(decisions), after=decisions)
                    self._write_alias(decisions)
                    return decisions.entries[-1]

    def keep(self, version: str, by: str, reason: str) -> Entry:
        """A person's no to a version that waits for approval."""
        decisions = self.decisions()
        if version not in (waiting := decisions.waiting()):
            there = f"There is {waiting[-1]}." if waiting else "There is none."
            raise RegistryError(
                f"a version to decline must be one that waits for approval. Received: version={version!r}, which does "
                f"not. {there}"
            )
        return self._write("kept", version, by, reason, decisions.champion)

    # A person's other decisions: (version, by, reason) -> Entry.
    promote = partialmethod(_write, "promoted")
    protect = partialmethod(_write, "protected")  # from being pruned
    unprotect = partialmethod(_write, "unprotected")

    def _write_alias(self, decisions: Decisions) -> None:
        """Brings champion.json, and what is served, to where the ledger ends. Needs the lock."""
        alias = self._alias(decisions)
        if alias and self.ledger.shared and not self._share_alias(alias, self.ledger.shared):
            return
        if alias is None:
            self.alias.unlink(missing_ok=True)
        elif alias != (found := self._read_alias()):
            if isinstance(found, dict) and found.get("ledger") == alias["ledger"]:  # no killed writer left that
                log.warning("%s was changed by hand, and is written again: the ledger says otherwise", self.alias)
            write_json(self.alias, alias)
        self.served.point(alias["version"] if alias else None)

    def _share_alias(self, alias: dict[str, Any], shared: Shared) -> bool:
        """Whether the store has this alias, or a newer one, and this machine what is to be served.

        First of all that follows a decision: until then the next call has it to repair. The decision stands anyway.
        """
        try:
            with suppress(RegistryError, VersionError):  # whoever uses it is told
                verify(self.path(alias["version"]))  # which fetches it, for whoever serves it
            shared.put_newer(self.alias.name, json_bytes(alias), _is_newer)
        except StorageError as error:
            log.warning("what is decided is in the ledger, and %s follows later: %s", self.alias, error)
            return False
        return True

    def _read_alias(self) -> Any:
        try:
            return json.loads(self.alias.read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def _alias(self, decisions: Decisions) -> dict[str, Any] | None:
        """What champion.json holds after these decisions."""
        move = next((entry for entry in reversed(decisions.entries) if entry.moves), None)
        if move is None:
            return None
        last = move.model_dump(mode="json")
        version = last["champion_after"]
        path = f"../../{MODELS}/{self.name}/{version}"
        same = {name: last[name] for name in ("by", "decision", "reason", "manifest")}
        ledger = {"lines": len(decisions.entries), "digest": decisions.entries[-1].digest}
        return {"name": self.name, "version": version, "path": path, "since": last["at"]} | same | {"ledger": ledger}


def _is_newer(alias: bytes, than: bytes) -> bool:
    """Whether one champion.json was written after a longer ledger than another."""
    mine, theirs = (int(json.loads(content)["ledger"]["lines"]) for content in (alias, than))
    return mine > theirs
