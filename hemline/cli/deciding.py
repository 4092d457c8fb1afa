"""Commands with which a person decides: each needs a reason, for the ledger; and prune, which removes."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hemline.cli import completion
from hemline.cli.columns import DECISION, REMOVAL
from hemline.cli.program import Csv, Json, Name, app, artifacts_of
from hemline.report import terminal

if TYPE_CHECKING:
    from hemline.registry.champion import Registry
    from hemline.registry.decisions import Entry

Reason = Annotated[str, typer.Option("--reason", help="Why, in a sentence, for the ledger.")]
VersionNumber = Annotated[
    str, typer.Argument(help="A version's number.", metavar="VERSION", autocompletion=completion.numbers)
]


def _write(
    context: typer.Context, name: str | None, decide: "Callable[[Registry], Entry]", as_json: bool, as_csv: bool
) -> None:
    """Writes a decision about a version of this name, and shows it."""
    from hemline.registry.catalogue import decision_row
    from hemline.registry.champion import registry_of

    registry = registry_of(artifacts_of(context), name)
    terminal.show(decision_row(registry, decide(registry)), as_json, DECISION, as_csv)
    _update_index(registry.artifacts)


def _update_index(artifacts: Path) -> None:
    """The morning page after a decision, which stands whether or not that can be written."""
    from hemline.registry.index import write_index

    try:
        write_index(artifacts, datetime.now(UTC))
    except Exception as error:  # whatever it is
        print(f"{artifacts / 'index.html'} is not up to date: {type(error).__name__}: {error}", file=sys.stderr)


def _decision(decision: str, help_text: str) -> None:
    """A command for a decision that the registry has under the same name."""

    @app.command(decision, help=help_text)
    def decide(
        context: typer.Context,
        version: VersionNumber,
        reason: Reason,
        name: Name = None,
        as_json: Json = False,
        as_csv: Csv = False,
    ) -> None:
        from hemline.registry.champion import person

        def write(registry: "Registry") -> "Entry":
            return getattr(registry, decision)(version, person(), reason)

        _write(context, name, write, as_json, as_csv)


_decision("promote", "Make a version the champion.")
_decision("keep", "Keep the champion: decline a version that waits for approval.")


@app.command()
def rollback(
    context: typer.Context,
    reason: Reason,
    version: Annotated[
        str | None,
        typer.Argument(help="The champion before this one, if not given.", autocompletion=completion.numbers),
    ] = None,
    name: Name = None,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Make a former champion the champion again."""
    from hemline.registry.champion import person

    _write(context, name, lambda registry: registry.rollback(person(), reason, version), as_json, as_csv)


_decision("protect", "Keep a version from being pruned.")
_decision("unprotect", "Let a version be pruned again.")


@app.command()
def prune(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; without this, only say what would be.")] = False,
    keep: Annotated[int, typer.Option(min=1, help="Newest versions of each name to keep, however old.")] = 20,
    days: Annotated[float, typer.Option(min=0, max=36_500, help="Days to keep any version or run.")] = 30,
    name: Name = None,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Remove what is old, and what killed processes left."""
    from hemline.config.data import DataConfig
    from hemline.registry.prune import Retention, removable, remove, summary

    data = DataConfig().data_path if context.obj is None else None  # only what is beside them
    retention = Retention(keep_versions=keep, keep_days=days)
    removals = removable(artifacts_of(context), data, retention, datetime.now(UTC), name)
    if yes:
        removals = remove(removals, artifacts_of(context))
        _update_index(artifacts_of(context))
    terminal.show(removals, as_json, REMOVAL, as_csv)
    remark = "Removed" if yes else "Nothing is removed without --yes"
    print(f"{remark}: {summary(removals)}.", file=sys.stderr)
