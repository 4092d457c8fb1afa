"""What the artifacts directory holds: rows to list, and a run or version to look into.

    for row in run_rows(artifacts): ...         # RunRow(run='2026-11-23-…', state='finished', versions=['8'], ...)
    for row in version_rows(artifacts): ...     # VersionRow(name='fashion_mnist', version='8', standing=['champion'])
    found = find(artifacts, "8")                # or 'champion', part of a run's name, or a directory
    metrics(found.epochs, found.evaluation)     # {'val_accuracy': 0.8882, ..., 'recall of Shirt': 0.71}

Each takes the name of a model too: to list no other, or where a number would mean several. Read without TensorFlow or
pandas, and without waiting for those who write.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from hemline.errors import RegistryError
from hemline.records.run import Evaluation, Rows
from hemline.registry.champion import Registry, registries, registry_of
from hemline.registry.decisions import Decisions, Entry
from hemline.registry.run_files import RunState, attempts_of, epochs_of, json_of, run_directories, started, state_of
from hemline.registry.versions import MANIFEST, Manifest, verify
from hemline.storage.attempts import Attempt
from hemline.storage.runs import UNCHANGED, short
from hemline.storage.shared import one_look

Published = dict[str, list[tuple[str, str]]]  # name and number of versions by `short` of their flow run


class RunRow(BaseModel):
    """A run's directory in a line."""

    run: str
    name: str | None  # the model's, as the run was told
    started: datetime  # its latest attempt, UTC
    state: RunState
    epochs: int  # finished
    of: int | None  # the configured number
    val_accuracy: float | None  # after the last of them
    versions: list[str]  # that were published of it, or would be made again; with a name where that is another
    curve: list[float | None] = Field(exclude=True)  # its validation accuracy after each epoch


class VersionRow(BaseModel):
    """A model version in a line."""

    name: str
    version: str
    standing: list[str]  # of 'champion', 'protected', 'unreadable', 'missing'
    decision: str | None  # the latest, those about pruning apart
    test_accuracy: float | None = None
    val_accuracy: float | None = None
    data: str | None = None
    created: datetime | None = None
    curve: list[float | None] = Field([], exclude=True)  # its validation accuracy after each epoch


class ChampionRow(BaseModel):
    """When a version was in production."""

    at: str  # the day or moment that was asked about
    name: str
    champion: str
    since: datetime
    until: datetime | None  # null: it still is


class DecisionRow(Entry):
    """An entry of the ledger, and the name of the model that it is about."""

    name: str


class Details(BaseModel):
    """A run or version, and what it says of itself."""

    kind: Literal["run", "version"]
    title: str  # a run's directory, a version's name and number
    path: Path
    config: dict[str, Any]
    data: dict[str, str]  # full_name and fingerprint; empty before the data was verified
    epochs: Rows
    evaluation: Evaluation | None
    decisions: list[DecisionRow]  # about the version, or about those that were published of the run


@one_look()
def run_rows(artifacts: Path, name: str | None = None) -> list[RunRow]:
    """Every run, oldest first."""
    published, rows = _published(artifacts), list[RunRow]()
    for path in run_directories(artifacts):
        config = json_of(path / "config.json")
        if name not in (None, own := config.get("name")):
            continue
        epochs, same, tries = epochs_of(path), json_of(path / UNCHANGED), attempts_of(path)
        versions = [(same["name"], same["version"])] if same else _versions_of(path, tries, published)
        row = RunRow(
            run=path.name,
            name=own,
            started=started(path),
            state=state_of(path, tries, datetime.now(UTC)),
            epochs=len(epochs),
            of=config.get("epochs"),
            val_accuracy=epochs[-1]["val_accuracy"] if epochs else None,
            versions=[number if of == own else f"{of} {number}" for of, number in versions],
            curve=[row.get("val_accuracy") for row in epochs],
        )
        rows.append(row)
    return sorted(rows, key=lambda row: row.started)


@one_look()
def version_rows(artifacts: Path, name: str | None = None) -> list[VersionRow]:
    """Every version, oldest first; none is verified. An unreadable one is a row too, and a champion that is gone."""
    rows = []
    for registry in registries(artifacts, name):
        registry.repair(decisions := registry.decisions())
        rows += versions_of(registry, decisions)
    return rows


def versions_of(registry: Registry, decisions: Decisions, newest: int = 0) -> list[VersionRow]:
    """Those of one name. newest: so many of them and the champion; 0 is all."""
    champion, protected, rows = decisions.champion, decisions.protected(), []
    latest = {entry.version: entry.decision for entry in decisions.entries if "protected" not in entry.decision}
    for version in sorted({*registry.versions()[-newest:], *filter(None, [champion])}, key=int):
        standing = ["champion"] * (version == champion) + ["protected"] * (version in protected)
        row = VersionRow(name=registry.name, version=version, standing=standing, decision=latest.get(version))
        try:
            manifest = Manifest.model_validate_json((registry.models / version / MANIFEST).read_bytes())
        except (OSError, ValueError):
            row.standing.append("unreadable" if (registry.models / version).is_dir() else "missing")
        else:
            row.test_accuracy, row.val_accuracy = manifest.evaluation.accuracy, manifest.epochs[-1]["val_accuracy"]
            row.data, row.created = manifest.dataset.full_name, manifest.created
            row.curve = [epoch.get("val_accuracy") for epoch in manifest.epochs]
        rows.append(row)
    return rows


@one_look()
def decision_rows(artifacts: Path, name: str | None = None) -> list[DecisionRow]:
    """The ledgers as one, oldest first."""
    return _decisions(registries(artifacts, name))


def decision_row(registry: Registry, entry: Entry) -> DecisionRow:
    """One entry of a ledger."""
    return DecisionRow(name=registry.name, **dict(entry))


@one_look()
def find(artifacts: Path, what: str, name: str | None = None) -> Details:
    """1. a version, as `find_version` does; 2. a run by its directory, its name or a part of it that only it has."""
    numbers = {number for registry in registries(artifacts, name) for number in registry.versions()}
    if what in ("champion", *numbers) or (Path(what) / MANIFEST).exists():
        path, manifest = find_version(artifacts, what, name)
        return Details(
            kind="version",
            title=manifest.title,
            path=path,
            config=manifest.config.model_dump(mode="json"),
            data={"full_name": manifest.dataset.full_name, "fingerprint": manifest.fingerprint},
            epochs=manifest.epochs,
            evaluation=manifest.evaluation,
            decisions=_about(artifacts, [(manifest.config.name, manifest.version)]),
        )
    if (Path(what) / "config.json").exists():
        return _of_run(artifacts, Path(what))
    every = run_directories(artifacts)
    found = [path for path in every if path.name == what] or [path for path in every if what and what in path.name]
    if len(found) == 1:
        return _of_run(artifacts, found[0])
    names = ", ".join(path.name for path in found)
    raise RegistryError(
        "a run or version must be named by a number, a directory or a part of one run's name. Received: "
        f"{what!r}; {f'these have it in their names: {names}' if found else 'no run has it in its name'}. "
        "`hemline runs` and `hemline versions` list them."
    )


@one_look()
def find_version(artifacts: Path, what: str, name: str | None = None) -> tuple[Path, Manifest]:
    """A verified version: 1. a directory anywhere; 2. 'champion', or a number."""
    if "/" in what or (Path(what) / MANIFEST).exists():
        return Path(what), verify(Path(what))
    registry = registry_of(artifacts, name)
    registry.repair(decisions := registry.decisions())
    if what == "champion" and not (what := decisions.champion or ""):
        raise RegistryError(
            f"there must be a champion. Received: {registry.directory}, where none was made yet. "
            "Promote a version, or name one."
        )
    return registry.path(what), registry.verified(what, decisions)


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


def is_better(metric: str, difference: float) -> bool | None:
    """Whether a model of which a metric is so much higher is better by it. None: neither better nor worse."""
    if difference == 0 or metric == "epochs":
        return None
    more_is_better = metric.endswith("accuracy") or metric.startswith("recall of ")
    return (difference > 0) == more_is_better


def _of_run(artifacts: Path, path: Path) -> Details:
    dataset, serving = json_of(path / "dataset.json"), json_of(path / "serving.json")  # written after evaluation.json
    versions = _versions_of(path, attempts_of(path), _published(artifacts))
    return Details(
        kind="run",
        title=path.resolve().name,
        path=path,
        config=json_of(path / "config.json"),
        data={name: dataset[name] for name in ("full_name", "fingerprint") if name in dataset},
        epochs=epochs_of(path),
        evaluation=Evaluation(**json_of(path / "evaluation.json"), **serving) if serving else None,
        decisions=_about(artifacts, versions),
    )


def _decisions(of: Iterable[Registry]) -> list[DecisionRow]:
    rows = [decision_row(registry, entry) for registry in of for entry in registry.entries()]
    return sorted(rows, key=lambda row: row.at)


def _about(artifacts: Path, versions: list[tuple[str, str]]) -> list[DecisionRow]:
    of = (registry for registry in registries(artifacts, None) if registry.name in dict(versions))
    return [row for row in _decisions(of) if (row.name, row.version) in versions]


def _published(artifacts: Path) -> Published:
    published: Published = {}
    every = [(registry, number) for registry in registries(artifacts, None) for number in registry.versions()]
    for registry, number in every:
        try:
            flow_run = json.loads((registry.models / number / MANIFEST).read_bytes())["flow_run"]["id"]
            published.setdefault(short(flow_run), []).append((registry.name, number))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):  # `verify` says what is wrong with it
            continue
    return published


def _versions_of(run: Path, tries: list[Attempt], published: Published) -> list[tuple[str, str]]:
    """By the flow run that began the directory, and those that resumed it. No model is read for it."""
    flow_runs = {run.resolve().name.rpartition("-")[2], *(short(attempt.owner) for attempt in tries)}
    versions = [version for flow_run in flow_runs for version in published.get(flow_run, [])]
    return sorted(versions, key=lambda version: (version[0], int(version[1])))
