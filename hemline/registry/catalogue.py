"""What the artifacts directory holds: rows to list, and a run or version to look into.

    for row in run_rows(registry): ...          # RunRow(run='2026-11-23-…', state='finished', versions=['0008'])
    for row in version_rows(registry): ...      # VersionRow(version='0008', standing=['champion'], ...)
    found = find(registry, "0008")              # or 'champion', part of a run's name, or a directory
    metrics(found.epochs, found.evaluation)     # {'val_accuracy': 0.8882, ..., 'recall of Shirt': 0.71}

Read without TensorFlow or pandas, and without waiting for those who write.
"""

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from hemline.errors import RegistryError
from hemline.records.run import Evaluation, Rows
from hemline.registry.champion import Registry
from hemline.registry.ledger import Entry
from hemline.registry.versions import MANIFEST, Manifest, verify
from hemline.storage.files import sha256_of
from hemline.storage.locks import is_locked
from hemline.storage.runs import LOCK


class RunRow(BaseModel):
    """A run's directory in a line."""

    run: str
    started: datetime  # its latest attempt, UTC
    state: Literal["running", "finished", "unfinished"]
    epochs: int  # finished
    of: int | None  # the configured number
    val_accuracy: float | None  # after the last of them
    versions: list[str]  # that were published of its model


class VersionRow(BaseModel):
    """A model version in a line."""

    version: str
    standing: list[str]  # of 'champion', 'protected', 'unreadable', 'missing'
    decision: str | None  # the latest, those about pruning apart
    test_accuracy: float | None = None
    val_accuracy: float | None = None
    data: str | None = None
    created: datetime | None = None


class Details(BaseModel):
    """A run or version, and what it says of itself."""

    kind: Literal["run", "version"]
    name: str
    path: Path
    config: dict[str, Any]
    data: dict[str, str]  # full_name and fingerprint; empty before the data was verified
    epochs: Rows
    evaluation: Evaluation | None
    decisions: list[Entry]  # about the version, or about those that were published of the run


def run_rows(registry: Registry) -> list[RunRow]:
    """Every run, oldest first."""
    published, rows = _published(registry), list[RunRow]()
    for path in _run_directories(registry):
        epochs, state = _epochs(path), "finished" if (path / "report.html").exists() else "unfinished"
        row = RunRow(
            run=path.name,
            started=datetime.fromtimestamp((path / "config.json").stat().st_mtime, UTC),
            state="running" if is_locked(path / LOCK) else state,
            epochs=len(epochs),
            of=_json(path / "config.json").get("epochs"),
            val_accuracy=epochs[-1]["val_accuracy"] if epochs else None,
            versions=_versions_of(path, published),
        )
        rows.append(row)
    return sorted(rows, key=lambda row: row.started)


def version_rows(registry: Registry) -> list[VersionRow]:
    """Every version, oldest first; none is verified. An unreadable one is a row too, and a champion that is gone."""
    champion, protected, rows = registry.champion(), registry.protected(), []
    decisions = {entry.version: entry.decision for entry in registry.entries() if "protected" not in entry.decision}
    for version in sorted({*registry.versions(), *filter(None, [champion])}, key=int):
        standing = ["champion"] * (version == champion) + ["protected"] * (version in protected)
        row = VersionRow(version=version, standing=standing, decision=decisions.get(version))
        try:
            manifest = Manifest.model_validate_json((registry.models / version / MANIFEST).read_bytes())
        except (OSError, ValueError):
            row.standing.append("unreadable" if (registry.models / version).is_dir() else "missing")
        else:
            row.test_accuracy, row.val_accuracy = manifest.evaluation.accuracy, manifest.epochs[-1]["val_accuracy"]
            row.data, row.created = manifest.dataset.full_name, manifest.created
        rows.append(row)
    return rows


def find(registry: Registry, name: str) -> Details:
    """1. a version, as `find_version` does; 2. a run by its directory, its name or a part of it that only it has."""
    if name in ("champion", *registry.versions()) or (Path(name) / MANIFEST).exists():
        path, manifest = find_version(registry, name)
        return Details(
            kind="version",
            name=manifest.version,
            path=path,
            config=manifest.config.model_dump(mode="json"),
            data={"full_name": manifest.dataset.full_name, "fingerprint": manifest.fingerprint},
            epochs=manifest.epochs,
            evaluation=manifest.evaluation,
            decisions=[entry for entry in registry.entries() if entry.version == manifest.version],
        )
    if (Path(name) / "config.json").exists():
        return _of_run(registry, Path(name))
    every = _run_directories(registry)
    found = [path for path in every if path.name == name] or [path for path in every if name and name in path.name]
    if len(found) == 1:
        return _of_run(registry, found[0])
    names = ", ".join(path.name for path in found)
    raise RegistryError(
        "a run or version must be named by a number, a directory or a part of one run's name. Received: "
        f"{name!r}; {f'these have it in their names: {names}' if found else 'no run has it in its name'}. "
        "`hemline runs` and `hemline versions` list them."
    )


def find_version(registry: Registry, name: str) -> tuple[Path, Manifest]:
    """A verified version: 1. 'champion', or a number; 2. a directory anywhere."""
    if name == "champion" and not (name := registry.champion() or ""):
        raise RegistryError(
            f"there must be a champion. Received: {registry.directory}, where none was made yet. "
            "Promote a version, or name one."
        )
    if "/" in name or (Path(name) / MANIFEST).exists():
        return Path(name), verify(Path(name))
    return registry.path(name), registry.verified(name)


def metrics(epochs: Rows, evaluation: Evaluation | None) -> dict[str, float]:
    """The numbers that two runs or versions are compared by, in the words of artifacts/README.md."""
    values: dict[str, float | None] = {}
    if epochs:
        names = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
        values |= {"epochs": len(epochs)} | {name: epochs[-1].get(name) for name in names}
    if evaluation is not None:
        values |= {"test_loss": evaluation.loss, "test_accuracy": evaluation.accuracy}
        values |= {"calibration_error": evaluation.calibration_error, "size_bytes": evaluation.size_bytes}
        values |= {"latency_ms": evaluation.latency.single_ms}
        values |= {f"recall of {name}": score.recall for name, score in evaluation.classes.items()}
    return {name: value for name, value in values.items() if value is not None}


def _run_directories(registry: Registry) -> list[Path]:
    return sorted(path.parent for path in (registry.models.parent / "runs").glob("[!.]*/config.json"))


def _of_run(registry: Registry, path: Path) -> Details:
    dataset, serving = _json(path / "dataset.json"), _json(path / "serving.json")  # written after evaluation.json
    versions = _versions_of(path, _published(registry))
    return Details(
        kind="run",
        name=path.resolve().name,
        path=path,
        config=_json(path / "config.json"),
        data={name: dataset[name] for name in ("full_name", "fingerprint") if name in dataset},
        epochs=_epochs(path),
        evaluation=Evaluation(**_json(path / "evaluation.json"), **serving) if serving else None,
        decisions=[entry for entry in registry.entries() if entry.version in versions],
    )


def _published(registry: Registry) -> dict[str, list[str]]:
    """Versions by the SHA-256 of their model, not by their flow run: another one may have resumed the directory."""
    published: dict[str, list[str]] = {}
    for version in registry.versions():
        try:
            files = json.loads((registry.models / version / MANIFEST).read_bytes())["files"]
            published.setdefault(files["model.keras"], []).append(version)
        except (OSError, ValueError, KeyError, TypeError):  # `verify` says what is wrong with it
            continue
    return published


def _versions_of(run: Path, published: dict[str, list[str]]) -> list[str]:
    model = run / "model.keras"
    return published.get(sha256_of(model), []) if model.exists() else []


def _epochs(run: Path) -> Rows:
    def rows(text: str) -> Rows:
        return [{name: json.loads(cell) for name, cell in row.items()} for row in csv.DictReader(text.splitlines())]

    return list(_read(run / "epochs.csv", rows) or [])


def _json(path: Path) -> dict[str, Any]:
    return dict(_read(path, lambda text: dict(json.loads(text))) or {})


def _read(path: Path, parse: Callable[[str], Any]) -> Any:
    """What a file of a run says; None if it is not written yet."""
    try:
        return parse(path.read_text())
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise RegistryError(
            f"a file of a run must be as it was written. Received: {path}, which cannot be read. Restore it from a "
            "backup, or remove the run."
        ) from error
