"""The command for the morning: did it run, is it better, why or why not, what needs me?

hemline status                                          # of every name; --name NAME of one
hemline status --json                                   # the same facts, as hemline.records.status has them
"""

import shlex
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from hemline.cli.program import Json, Name, app, artifacts_of
from hemline.records.decider import decider
from hemline.report import terminal
from hemline.report.figures import accuracy, duration
from hemline.report.sparkline import sparkline

if TYPE_CHECKING:
    from hemline.records.status import ChampionStatus, Night, Status

WIDTH = 80


@app.command()
def status(context: typer.Context, name: Name = None, as_json: Json = False) -> None:
    """Say how it stands, and what needs you."""
    from hemline.registry.status import statuses

    found = statuses(artifacts_of(context), datetime.now(UTC), name)
    if as_json:
        terminal.show(found, as_json)
    else:
        print("\n\n".join("\n".join(_lines(each)) for each in found) or "No run yet: make retrain.")


def _lines(found: "Status") -> Iterator[str]:
    latest = _latest(found.latest) if found.latest else "no run yet"
    yield from _wrapped(f"{found.name}: {latest}", "  ")
    yield from _wrapped(_champion(found.champion), "  ")
    if found.nights:
        yield from _nights(found)
    for need in found.needs:
        yield from _wrapped(f"! {need.sentence}", "  ")
        yield from _command(need.command)
    if not found.needs:
        yield "Nothing needs you."


def _latest(night: "Night") -> str:
    return f"{night.state}, {night.started:%Y-%m-%d %H:%M}, {duration(night.seconds)}: {night.sentence}"


def _champion(champion: "ChampionStatus | None") -> str:
    if champion is None:
        return "no champion yet"
    quality = accuracy(champion.accuracy, champion.interval)
    how = f"{champion.decision} {champion.since:%Y-%m-%d} by {decider(champion.by)[0]}: {champion.sentence}"
    return f"champion {champion.version}: {quality}, {how}"


def _nights(found: "Status") -> Iterator[str]:
    accuracies = [night.accuracy for night in found.nights]
    known = [value for value in accuracies if value is not None]
    span = f" {min(known):.2%} to {max(known):.2%}" if known else " no test accuracy yet"
    yield f"nights {sparkline(accuracies)}{span}"
    yield from _wrapped("  " + ", ".join(f"{number} {fate.lower()}" for fate, number in found.counts.items()), "  ")


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def _command(command: str) -> Iterator[str]:
    """As it can be pasted: where it does not fit a line, a backslash joins the next one."""
    line = "   "
    for word in map(shlex.quote, shlex.split(command)):
        if len(line) + len(word) + 3 > WIDTH and line.strip():
            yield f"{line} \\"
            line = "     "
        line += f" {word}"
    if line.strip():
        yield line
