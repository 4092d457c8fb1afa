"""Commands that look: what there is, how good it is, what it says to a picture, and what was decided about it."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from hemline.cli import completion
from hemline.cli.columns import CURVE, DECISION, RUN, VERSION, short_digest, short_name
from hemline.cli.program import Csv, Json, Name, app, artifacts_of
from hemline.report import terminal
from hemline.report.sparkline import sparkline, thinned

ANY_VERSION = "A version's number, 'champion', or a directory."
AnyVersion = Annotated[str, typer.Argument(help=ANY_VERSION, metavar="VERSION", autocompletion=completion.versions)]
ANY_RUN = "A version's number, 'champion', a directory, or part of a run's name."
RunOrVersion = Annotated[
    str, typer.Argument(help=ANY_RUN, metavar="RUN_OR_VERSION", autocompletion=completion.runs_and_versions)
]


@app.command()
def runs(context: typer.Context, name: Name = None, as_json: Json = False, as_csv: Csv = False) -> None:
    """List runs and what became of them."""
    from hemline.registry import catalogue

    terminal.show(catalogue.run_rows(artifacts_of(context), name), as_json, RUN, as_csv, optional="curve")


@app.command()
def versions(context: typer.Context, name: Name = None, as_json: Json = False, as_csv: Csv = False) -> None:
    """List model versions and their standing."""
    from hemline.registry import catalogue

    terminal.show(
        rows := catalogue.version_rows(artifacts_of(context), name), as_json, VERSION, as_csv, optional="curve"
    )
    for row in rows:
        if "champion" in row.standing and {"missing", "unreadable"} & {*row.standing}:
            problem = f"the champion must be there, and whole. Received: {row.name} {row.version}, which is "
            remedy = f"Restore it from a backup, or roll back: hemline rollback --name {row.name} --reason WHY."
            print(f"{problem}{row.standing[-1]}. {remedy}", file=sys.stderr)


@app.command()
def show(
    context: typer.Context, what: RunOrVersion, name: Name = None, as_json: Json = False, as_csv: Csv = False
) -> None:
    """Show what a run or version says of itself; --csv: its epochs."""
    from hemline.config.nested import differences
    from hemline.config.retrain import RetrainConfig
    from hemline.registry import catalogue

    found = catalogue.find(artifacts_of(context), what, name)
    if as_json:
        return terminal.show(found, as_json)
    if as_csv:
        return terminal.show(found.epochs, as_csv=True)
    changed = differences(RetrainConfig().model_dump(mode="json"), found.config)
    terminal.table((found.kind, found.title), [("directory", found.path), *found.data.items()])
    print()
    terminal.table(("configuration", "default", "here"), ((key, *pair) for key, pair in changed.items()))
    print()
    terminal.show(found.epochs)
    print()
    curves = {
        name: sparkline(thinned([row.get(name) for row in found.epochs], CURVE))
        for name in catalogue.metrics(found.epochs, None)
    }
    values = catalogue.metrics(found.epochs, found.evaluation).items()
    terminal.table(("metric", "value", "by epoch"), ((key, value, curves.get(key, "")) for key, value in values))
    print()
    return terminal.show(found.decisions, columns=DECISION)


@app.command()
def compare(
    context: typer.Context,
    one: RunOrVersion,
    other: RunOrVersion,
    picture: Annotated[Path | None, typer.Option(help="Draw the learning curves of both: .svg or .png.")] = None,
    name: Name = None,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Compare two runs or versions."""
    from hemline.config.nested import differences
    from hemline.registry import catalogue

    if picture and picture.suffix not in (".svg", ".png"):
        raise typer.BadParameter(f"must end in .svg or .png. Received: {picture}.", param_hint="--picture")
    pair = [catalogue.find(artifacts_of(context), what, name) for what in (one, other)]
    names = [f"{found.kind} {found.title}" for found in pair]
    configuration = differences(*({**found.config, "data": found.data} for found in pair))
    before, after = (catalogue.metrics(found.epochs, found.evaluation) for found in pair)
    metrics = {name: (before.get(name), after.get(name)) for name in {**before, **after}}
    if picture:
        import pandas as pd

        from hemline.errors import RegistryError
        from hemline.report.curves import compare_curves

        if without := [name for name, found in zip(names, pair, strict=True) if not found.epochs]:
            raise RegistryError(
                f"a learning curve needs a finished epoch. Received: {' and '.join(without)}, without one. Wait for it."
            )
        compare_curves([(name, pd.DataFrame(found.epochs)) for name, found in zip(names, pair, strict=True)], picture)
    if as_json:
        return terminal.show({"compared": names, "configuration": configuration, "metrics": metrics}, as_json)
    if as_csv:
        both = {"configuration": configuration, "metric": metrics}
        rows = [
            {"of": of, "name": key, **dict(zip(("one", "other"), values, strict=True))}
            for of, pairs in both.items()
            for key, values in pairs.items()
        ]
        return terminal.show(rows, as_csv=True)
    titles = [short_name(found.title) for found in pair]
    terminal.table(("configuration", *titles), ((key, *map(short_digest, pair)) for key, pair in configuration.items()))
    print()
    compared = ((key, a, b, *_difference(key, a, b)) for key, (a, b) in metrics.items())
    return terminal.table(("metric", *titles, "difference", f"{titles[1]} is"), compared)


def _difference(metric: str, one: float | None, other: float | None) -> tuple[float | None, terminal.Marked]:
    """The other less the one, and what that means."""
    from hemline.registry.catalogue import is_better

    if one is None or other is None:
        return None, terminal.Marked("", None)
    better = is_better(metric, other - one)
    return other - one, terminal.Marked({True: "better", False: "worse", None: ""}[better], better)


@app.command()
def ledger(
    context: typer.Context,
    at: Annotated[str | None, typer.Option(help="What was in production on this day, or at this moment (UTC)?")] = None,
    name: Name = None,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List decisions, or the champion of a day."""
    from hemline.registry.catalogue import ChampionRow, decision_rows
    from hemline.registry.champion import registries

    if at is None:
        return terminal.show(decision_rows(artifacts_of(context), name), as_json, DECISION, as_csv)
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        problem = f"must be like 2026-11-01 or 2026-11-01T12:00. Received: {at}."
        raise typer.BadParameter(problem, param_hint="--at") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > datetime.now(UTC):
        raise typer.BadParameter(f"must not be in the future. Received: {at}.", param_hint="--at")
    is_day = len(at) <= len("2026-11-01")
    return terminal.show(
        [
            ChampionRow(at=at, name=registry.name, **asdict(reign))
            for registry in registries(artifacts_of(context), name)
            for reign in registry.decisions().reigns(moment, moment + timedelta(days=1) if is_day else moment)
        ],
        as_json,
        as_csv=as_csv,
    )


@app.command()
def checksums(
    context: typer.Context, version: AnyVersion, name: Name = None, as_json: Json = False, as_csv: Csv = False
) -> None:
    """Compare every file of a version with its checksum."""
    from hemline.registry.catalogue import find_version

    path, manifest = find_version(artifacts_of(context), version, name)
    found = {
        "name": manifest.config.name,
        "version": manifest.version,
        "files": len(manifest.files),
        "whole": True,
        "path": str(path),
    }
    terminal.show(found, as_json, as_csv=as_csv)


@app.command()
def predict(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="PNG, JPEG, or NPY of uint8 (H, W), (H, W, C) or (N, H, W, C).")],
    version: Annotated[
        str, typer.Option(help="A version's number, or a directory.", autocompletion=completion.versions)
    ] = "champion",
    name: Name = None,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Ask a version what is in pictures."""
    from hemline.data.image_files import read
    from hemline.registry.catalogue import find_version
    from hemline.registry.versions import classify

    path, manifest = find_version(artifacts_of(context), version, name)
    images = read(files, manifest.dataset.image_shape, manifest.config)  # before TensorFlow takes its seconds
    origins = [(str(file), index) for file, array in zip(files, images, strict=True) for index in range(len(array))]
    rows = [
        {"file": file, "index": index, "label": label, "probability": probability, "version": manifest.title}
        for (file, index), (label, probability) in zip(origins, classify(path, images), strict=True)
    ]
    terminal.show(rows, as_json, as_csv=as_csv)
