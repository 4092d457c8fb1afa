"""Removes old versions and runs, checkpoints of finished runs, and what killed processes left.

    removals = removable(artifacts, data, Retention(keep_versions=10), now)     # looks, and changes nothing
    removals = remove(removals, artifacts)                                      # those that were removed
    print(summary(removals))

Of each model's name, the newest stay however old they are, and the young however many they are. The champion, its
predecessor, protected versions, what is served and runs that are being written always stay. Readers see all of a thing
or nothing: it is renamed to a hidden name first, and the next prune removes what a killed one left.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, FiniteFloat

from hemline.config.fields import Strict
from hemline.data import snapshots
from hemline.data.dataset import LOCK, RECORD
from hemline.errors import CheckpointError
from hemline.registry import ledger
from hemline.registry.champion import Registry, registries
from hemline.registry.exchange import withdraw
from hemline.storage import run_copies, runs
from hemline.storage.files import delete, files_of, hide, is_temporary, size_of
from hemline.storage.locks import is_locked
from hemline.storage.run_summaries import fetch_summaries
from hemline.storage.shared import shared_at

LEFTOVER_DAYS = 1  # a temporary in which nothing was touched for so long has no live writer: the slowest takes minutes


class Retention(Strict):
    """What is kept of each model's name. An age is the time since the last change."""

    keep_versions: int = Field(20, ge=1, description="newest model versions that are kept, however old")
    keep_runs: int = Field(50, ge=0, description="newest runs that are kept, however old")
    keep_days: FiniteFloat = Field(30, ge=0, description="days that a version or run is kept, however many there are")
    checkpoint_days: FiniteFloat = Field(7, ge=0, description="days that a finished run keeps its checkpoints")


class Removal(BaseModel):
    """Something to remove, or removed."""

    kind: Literal["version", "run", "checkpoints", "snapshot", "leftover"]
    name: str | None  # the model's; null for what is of no one name
    path: Path
    bytes: int
    days: float  # since its last change


def removable(
    artifacts: Path, data: Path | None, retention: Retention, now: datetime, name: str | None = None
) -> list[Removal]:
    """What need not be kept, of all names if none is given. data: directory of prepared data, None leaves it alone."""
    for place in (runs.RUNS, runs.CLUSTERS):  # what is old here may go on elsewhere, and the other way round
        fetch_summaries(artifacts, place)
    found, runs_of = registries(artifacts, name), _runs_by_name(artifacts)
    chosen: dict[str | None, list[Path]] = runs_of if name is None else {name: runs_of.get(name, [])}
    removals = [removal for registry in found for removal in _old_versions(registry, retention, now)]
    removals += [removal for of, paths in chosen.items() for removal in _old_runs(of, paths, retention, now)]
    going, places = {removal.path for removal in removals}, _places(found, chosen)
    if name is None:
        places |= {artifacts / runs.RUNS: (None, None), artifacts / runs.SERVING: (None, None)}
        if data is not None:
            places |= dict.fromkeys((data, data / "decoded"), (None, data / LOCK))
        removals += _unused_snapshots(artifacts, data, going, retention, now)
    leftovers = (leftover for place, about in places.items() for leftover in _leftovers(place, *about, now))
    return removals + [leftover for leftover in leftovers if not going & set(leftover.path.parents)]


def remove(removals: Iterable[Removal], artifacts: Path) -> list[Removal]:
    """Removes them, but for what has come into use since it was found. Returns what was removed."""
    removals, versions = list(removals), dict[str, list[Path]]()
    for removal in removals:
        if removal.kind == "version":
            versions.setdefault(str(removal.name), []).append(removal.path)
    hidden = [each for name, paths in versions.items() for each in _hide_versions(Registry(artifacts, name), paths)]
    hidden += [each for removal in removals if removal.kind != "version" and (each := _hide(removal))]
    delete(*(path for _, path in hidden if path))
    gone = {before for before, _ in hidden}
    return [removal for removal in removals if removal.path in gone]


def summary(removals: Iterable[Removal]) -> str:
    """How much of what, in a sentence."""
    removals = list(removals)
    counts = {
        "version": "versions",
        "run": "runs",
        "checkpoints": "runs' checkpoints",
        "snapshot": "snapshots of data",
        "leftover": "leftovers",
    }
    parts = [f"{sum(r.kind == kind for r in removals)} {words}" for kind, words in counts.items()]
    return f"{', '.join(parts)}: {sum(r.bytes for r in removals):,} bytes"


def _old_versions(registry: Registry, retention: Retention, now: datetime) -> Iterator[Removal]:
    in_use, versions = _in_use(registry), registry.versions()
    for version in versions[: -retention.keep_versions]:
        if version not in in_use:
            path = registry.models / version
            size, days = _size_and_days(path, now)
            if days > retention.keep_days:
                yield Removal(kind="version", name=registry.name, path=path, bytes=size, days=days)


def _in_use(registry: Registry) -> set[str | None]:
    """The champion, its predecessor, what is protected, and what is served, which a killed writer left behind."""
    decisions = registry.decisions()
    return {*decisions.succession()[-2:], *decisions.protected(), registry.served.version}


def _runs_by_name(artifacts: Path) -> dict[str | None, list[Path]]:
    """By the name in their configuration; None: it cannot be read. A cluster's workers have runs too."""
    found: dict[str | None, list[Path]] = {}
    for path in chain.from_iterable((artifacts / place).glob("[!.]*") for place in (runs.RUNS, runs.CLUSTERS)):
        try:
            name = str(json.loads((path / "config.json").read_bytes())["name"])
        except (OSError, ValueError, KeyError, TypeError):
            name = None
        if path.is_dir():
            found.setdefault(name, []).append(path)
    return found


def _old_runs(name: str | None, paths: list[Path], retention: Retention, now: datetime) -> Iterator[Removal]:
    found = {path: _size_and_days(path, now) for path in paths}
    for rank, (path, (size, days)) in enumerate(sorted(found.items(), key=lambda item: item[1][1])):
        if is_locked(path / runs.LOCK):
            continue
        checkpoints, finished = path / "checkpoints", _finished(path)
        if rank >= retention.keep_runs and days > retention.keep_days:
            yield Removal(kind="run", name=name, path=path, bytes=size, days=days)
        elif finished and checkpoints.is_dir() and days > retention.checkpoint_days:
            yield Removal(kind="checkpoints", name=name, path=checkpoints, bytes=size_of(checkpoints), days=days)


def _unused_snapshots(
    artifacts: Path, data: Path | None, going: set[Path], retention: Retention, now: datetime
) -> Iterator[Removal]:
    """Data that was set aside, and to which nothing that stays refers: neither a version nor a run that may go on."""
    aside = sorted((data / "decoded").glob("[!.]*@*")) if data else []
    found = [(path, *_size_and_days(path, now)) for path in aside]
    for each in snapshots.replaced(artifacts):
        found.append((each.path, each.bytes, (now - each.changed).total_seconds() / 86400))
    old = [each for each in found if each[2] > retention.keep_days]
    if not old:  # then nobody need be asked
        return
    records = [*(artifacts / runs.MODELS).glob("*/*/manifest.json")]
    records += [path for path in (artifacts / runs.RUNS).glob(f"*/{RECORD}") if _may_go_on(path.parent)]
    used = {_fingerprint(path)[:16] for path in records if path.parent not in going}
    for path, size, days in old:
        if path.name.rpartition("@")[2] not in used:
            yield Removal(kind="snapshot", name=None, path=path, bytes=size, days=days)


def _may_go_on(run: Path) -> bool:
    # Checkpoints of another machine's run are not here.
    begun = ((run / "checkpoints").is_dir() or shared_at(run)) and not _finished(run)
    return bool(begun) or is_locked(run / runs.LOCK)


def _finished(run: Path) -> bool:
    return (run / "report.html").exists() or (run / runs.TRAINED).exists()


def _fingerprint(record: Path) -> str:
    try:
        return str(json.loads(record.read_bytes())["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


Places = dict[Path, tuple[str | None, Path | None]]  # where temporaries may be: the model's name, and the writers' lock


def _places(found: list[Registry], runs_of: dict[str | None, list[Path]]) -> Places:
    places: Places = {}
    for registry in found:
        places[registry.models] = registry.name, None
        places[registry.directory] = registry.name, registry.directory / ledger.LOCK
    for name, paths in runs_of.items():
        for run in paths:
            inside = run, run / "checkpoints", run / "iterations.parquet"
            places |= dict.fromkeys(inside, (name, run / runs.LOCK))
    return places


def _leftovers(place: Path, name: str | None, lock: Path | None, now: datetime) -> Iterator[Removal]:
    """Temporaries without a live writer. Where writers hold a lock, nobody may hold it now."""
    for path in sorted(place.glob(".*")):
        if not is_temporary(path):
            continue
        try:
            size, days = _size_and_days(path, now)
        except FileNotFoundError:  # its writer was alive
            continue
        old = days > LEFTOVER_DAYS or path.name.endswith("-deleted")  # nobody writes to what is deleted
        if old and not (lock and is_locked(lock)):
            yield Removal(kind="leftover", name=name, path=path, bytes=size, days=days)


Hidden = tuple[Path, Path | None]  # where it was, and where it is; None: it was in the shared store alone


def _hide_versions(registry: Registry, paths: list[Path]) -> list[Hidden]:
    """Those that are there and not in use, all at once: whoever decides meanwhile waits for renames alone."""
    with registry.ledger.locked():  # nobody makes one the champion meanwhile
        in_use = _in_use(registry)
        going = [path for path in paths if path.name not in in_use and path.exists()]
        for path in going:
            withdraw(path)
        return [(path, hide(path)) for path in going]


def _hide(removal: Removal) -> Hidden | None:
    """What is no version, unless it has come into use or is gone."""
    if removal.kind == "snapshot" and shared_at(removal.path):
        snapshots.withdraw(removal.path)
        return removal.path, None
    if removal.kind in ("snapshot", "leftover"):
        return removal.path, hide(removal.path)
    run = removal.path if removal.kind == "run" else removal.path.parent
    try:
        with runs.lease(run):
            run_copies.withdraw(removal.path)
            return removal.path, hide(removal.path)
    except (CheckpointError, FileNotFoundError):  # somebody writes it, or has removed it
        return None


def _size_and_days(path: Path, now: datetime) -> tuple[int, float]:
    """Bytes, and days since a file in it was changed: a prune of its checkpoints or a look at its lock changes none."""
    found = list(files_of(path))
    changes = [status.st_mtime for name, status in found if name != runs.LOCK] or [path.lstat().st_mtime]
    return sum(status.st_size for _, status in found), (now.timestamp() - max(changes)) / 86400
