"""The command line `hemline`: what there is, how good it is, and what a person decides about it.

    hemline runs                                            # also: versions, ledger --at 2026-11-01
    hemline compare 0007 0008 --picture curves.svg          # also: show champion
    hemline predict shirt.png --json
    hemline rollback --reason "shirts are not recognised any more"

Tables for people, --json for programs. A refusal is a sentence on stderr and exit code 1; a command line that
cannot be is 2. Modules are imported by the commands that need them: `hemline --help` takes 0.2 s, where pandas
alone would take 0.8 and TensorFlow 8 (2 cores, others at work).
"""

import csv
import errno
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hemline.errors import HemlineError
from hemline.report import terminal

if TYPE_CHECKING:
    from hemline.registry.champion import Registry

app = typer.Typer(
    help="Look at runs and model versions, ask them, and decide about them. Times are in UTC.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: Rich would take longer to import than all the rest
    pretty_exceptions_enable=False,
)


def _spelled(version: str) -> str:
    """7 as 0007."""
    return version.zfill(4) if version.isdecimal() else version


def _name(metavar: str, help_text: str) -> Any:
    return typer.Argument(help=help_text, parser=_spelled, metavar=metavar)


Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in a sentence, for the ledger.")]
VersionNumber = Annotated[str, _name("VERSION", "A version's number.")]
AnyVersion = Annotated[str, _name("VERSION", "A version's number, 'champion', or a directory.")]
ANY_RUN = "A version's number, 'champion', a directory, or part of a run's name."
RunOrVersion = Annotated[str, _name("RUN_OR_VERSION", ANY_RUN)]
DECISION = ("at", "decision", "version", "champion_after", "by", "reason")


def main(argv: Sequence[str] | None = None) -> None:
    """The program."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head -1` ends it, as it ends every program
    try:
        app(args=argv, prog_name="hemline")
    except HemlineError as error:
        problem = str(error)
    except OSError as error:
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        problem = f"a file must be accessible. Received: {error.filename} ({error.strerror}). Check who owns it."
        if error.filename is None:
            problem = "there must be room for what is printed. Received: a full disk. Make room, or print elsewhere."
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries again when it ends
    print(problem, file=sys.stderr)
    raise SystemExit(1)


@app.callback()
def options(
    context: typer.Context,
    artifacts: Annotated[
        Path | None,
        typer.Option(
            help="Directory of runs and models; HEMLINE_ROOT/artifacts if not given.", exists=True, file_okay=False
        ),
    ] = None,
) -> None:
    """What holds for every command."""
    context.obj = artifacts
    context.call_on_close(lambda: print(end="", flush=True))  # while it can be said that it fails


@app.command()
def runs(context: typer.Context, as_json: Json = False) -> None:
    """List runs and what became of them."""
    from hemline.registry import catalogue

    terminal.show(catalogue.run_rows(_registry(context)), as_json)


@app.command()
def versions(context: typer.Context, as_json: Json = False) -> None:
    """List model versions and their standing."""
    from hemline.registry import catalogue

    terminal.show(rows := catalogue.version_rows(_registry(context)), as_json)
    for row in rows:
        if "champion" in row.standing and {"missing", "unreadable"} & {*row.standing}:
            problem = f"the champion must be there, and whole. Received: {row.version}, which is {row.standing[-1]}"
            print(f"{problem}. Restore it from a backup, or roll back: hemline rollback --reason WHY.", file=sys.stderr)


@app.command()
def show(context: typer.Context, name: RunOrVersion, as_json: Json = False) -> None:
    """Show what a run or version says of itself."""
    from hemline.config.nested import differences
    from hemline.config.retrain import RetrainConfig
    from hemline.registry import catalogue

    found = catalogue.find(_registry(context), name)
    if as_json:
        return terminal.show(found, as_json)
    changed = differences(RetrainConfig().model_dump(mode="json"), found.config)
    terminal.table((found.kind, found.name), [("directory", found.path), *found.data.items()])
    print()
    terminal.table(("configuration", "default", "here"), ((key, *pair) for key, pair in changed.items()))
    print()
    terminal.show(found.epochs)
    print()
    terminal.table(("metric", "value"), catalogue.metrics(found.epochs, found.evaluation).items())
    print()
    return terminal.show(found.decisions, columns=DECISION)


@app.command()
def compare(
    context: typer.Context,
    one: RunOrVersion,
    other: RunOrVersion,
    picture: Annotated[Path | None, typer.Option(help="Draw the learning curves of both: .svg or .png.")] = None,
    as_json: Json = False,
) -> None:
    """Compare two runs or versions."""
    from hemline.config.nested import differences
    from hemline.registry import catalogue

    if picture and picture.suffix not in (".svg", ".png"):
        raise typer.BadParameter(f"must end in .svg or .png. Received: {picture}.", param_hint="--picture")
    pair = [catalogue.find(_registry(context), name) for name in (one, other)]
    names = [f"{found.kind} {found.name}" for found in pair]
    configuration = differences(*({**found.config, "data": found.data} for found in pair))
    before, after = (catalogue.metrics(found.epochs, found.evaluation) for found in pair)
    metrics = {name: (before.get(name), after.get(name)) for name in {**before, **after}}
    if picture:
        import pandas as pd

        from hemline.errors import RegistryError
        from hemline.report.charts import compare_curves

        if without := [name for name, found in zip(names, pair, strict=True) if not found.epochs]:
            raise RegistryError(
                f"a learning curve needs a finished epoch. Received: {' and '.join(without)}, without one. Wait for it."
            )
        compare_curves([(name, pd.DataFrame(found.epochs)) for name, found in zip(names, pair, strict=True)], picture)
    if as_json:
        return terminal.show({"compared": names, "configuration": configuration, "metrics": metrics}, as_json)
    terminal.table(("configuration", *names), ((key, *values) for key, values in configuration.items()))
    print()
    rows = ((key, a, b, None if a is None or b is None else b - a) for key, (a, b) in metrics.items())
    return terminal.table(("metric", *names, "difference"), rows)


@app.command()
def ledger(
    context: typer.Context,
    at: Annotated[str | None, typer.Option(help="What was in production on this day, or at this moment (UTC)?")] = None,
    as_json: Json = False,
) -> None:
    """List decisions, or the champion of a day."""
    registry = _registry(context)
    if at is None:
        return terminal.show(registry.entries(), as_json, DECISION)
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        problem = f"must be like 2026-11-01 or 2026-11-01T12:00. Received: {at}."
        raise typer.BadParameter(problem, param_hint="--at") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > datetime.now(UTC):
        raise typer.BadParameter(f"must not be in the future. Received: {at}.", param_hint="--at")
    is_day = len(at) <= len("2026-11-01")
    champions = registry.champions_on(moment.date()) if is_day else [registry.champion_at(moment)]
    return terminal.show([{"at": at, "champion": version} for version in champions if version], as_json)


@app.command()
def checksums(context: typer.Context, version: AnyVersion, as_json: Json = False) -> None:
    """Compare every file of a version with its checksum."""
    from hemline.registry.catalogue import find_version

    path, manifest = find_version(_registry(context), version)
    found = {"version": manifest.version, "files": len(manifest.files), "whole": True, "path": str(path)}
    terminal.show(found, as_json)


@app.command()
def predict(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="PNG, JPEG, or NPY of uint8 (H, W), (H, W, C) or (N, H, W, C).")],
    version: Annotated[str, typer.Option(help="A version's number, or a directory.", parser=_spelled)] = "champion",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV and nothing else.")] = False,
    as_json: Json = False,
) -> None:
    """Ask a version what is in pictures."""
    if as_csv and as_json:
        raise typer.BadParameter("exclude each other.", param_hint="--csv and --json")
    from hemline.data.image_files import read
    from hemline.registry.catalogue import find_version
    from hemline.registry.versions import classify

    path, manifest = find_version(_registry(context), version)
    images = read(files, manifest.dataset.image_shape, manifest.config)  # before TensorFlow takes its seconds
    origins = [(str(file), index) for file, array in zip(files, images, strict=True) for index in range(len(array))]
    rows = [
        {"file": file, "index": index, "label": label, "probability": probability, "version": manifest.version}
        for (file, index), (label, probability) in zip(origins, classify(path, images), strict=True)
    ]
    if as_csv:
        writer = csv.DictWriter(sys.stdout, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        terminal.show(rows, as_json)


def _decision(name: str, help_text: str) -> None:
    """A command for a decision that the registry has under the same name."""

    @app.command(name, help=help_text)
    def decide(context: typer.Context, version: VersionNumber, reason: Reason, as_json: Json = False) -> None:
        from hemline.registry.champion import person

        terminal.show(getattr(_registry(context), name)(version, person(), reason), as_json, DECISION)


_decision("promote", "Make a version the champion.")


@app.command()
def rollback(
    context: typer.Context,
    reason: Reason,
    version: Annotated[
        str | None, typer.Argument(help="The champion before this one, if not given.", parser=_spelled)
    ] = None,
    as_json: Json = False,
) -> None:
    """Make an earlier version the champion again."""
    from hemline.registry.champion import person

    terminal.show(_registry(context).rollback(person(), reason, version), as_json, DECISION)


_decision("protect", "Keep a version from being pruned.")
_decision("unprotect", "Let a version be pruned again.")


@app.command()
def prune(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; without this, only say what would be.")] = False,
    keep: Annotated[int, typer.Option(min=1, help="Newest versions to keep, however old.")] = 20,
    days: Annotated[float, typer.Option(min=0, max=36_500, help="Days to keep any version or run.")] = 30,
    as_json: Json = False,
) -> None:
    """Remove what is old, and what killed processes left."""
    from hemline.config.data import DataConfig
    from hemline.registry.prune import Retention, removable, remove, summary

    data = DataConfig().data_path if context.obj is None else None  # only what is beside them
    retention = Retention(keep_versions=keep, keep_days=days)
    removals = removable(_artifacts(context), data, retention, datetime.now(UTC))
    if yes:
        removals = remove(removals, _artifacts(context))
    terminal.show(removals, as_json)
    remark = "Removed" if yes else "Nothing is removed without --yes"
    print(f"{remark}: {summary(removals)}.", file=sys.stderr)


def _artifacts(context: typer.Context) -> Path:
    from hemline.config.paths import root

    return context.obj or root() / "artifacts"


def _registry(context: typer.Context) -> "Registry":
    from hemline.registry.champion import Registry

    return Registry(_artifacts(context))
