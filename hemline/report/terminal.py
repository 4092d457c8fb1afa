"""Tables for a person's terminal; JSON and CSV for a program.

show(registry.entries(), as_json=False, columns={"at": attrgetter("at"), "by": lambda entry: entry.by[:8]})
table(("metric", "value"), [("accuracy", 0.8786), ("verdict", Marked("worse", good=False))])

Where no terminal is, a row is a line, however long. On one, a table is as wide as that (see `layout`), and has
colours, unless NO_COLOR is set. 5,000 lines of a ledger take 0.1 s, and 0.3 s folded on a terminal (2 cores, others at
work); Rich's tables, which measure each word of each cell, took 2.3.
"""

import csv
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from hemline.report.folding import folded, width_of
from hemline.report.layout import GAP, layout

if TYPE_CHECKING:
    from pydantic import BaseModel

    Row = BaseModel | Mapping[str, Any]

INDENT = "    "  # of what is below its row
GOOD, BAD, BOLD, PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[1m", "\x1b[0m"
WORDS = dict.fromkeys(("champion", "promoted"), GOOD)
WORDS |= dict.fromkeys(("refused", "failed", "missing", "unreadable"), BAD)
OF_WORDS = {"state", "standing", "decision"}  # columns in which they mean what they say: a name may be any word


class Marked(NamedTuple):
    """A value to be seen as good or bad."""

    value: Any
    good: bool | None  # None: neither


def show(
    found: "Row | Sequence[Row]",
    as_json: bool = False,
    columns: Mapping[str, Callable[[Any], Any]] | None = None,
    as_csv: bool = False,
    optional: str | None = None,
) -> None:
    """A row, or rows with the same fields, as JSON or CSV, or for a person as a table.

    columns: headings, and what of a row stands below them; by default all fields. optional: as of `table`.
    """
    rows = found if isinstance(found, Sequence) else [found]
    if columns is not None and not (as_json or as_csv):
        return table(columns, ([of(row) for of in columns.values()] for row in rows), optional)
    mode = "json" if as_json or as_csv else "python"
    dicts = [row if isinstance(row, Mapping) else row.model_dump(mode=mode) for row in rows]
    if as_json:
        print(json.dumps(dicts if rows is found else dicts[0], indent=2, allow_nan=False))
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([dicts[0].keys(), *(map(_plain, row.values()) for row in dicts)] if dicts else [])
    else:
        table(dicts[0] if dicts else ["none"], (row.values() for row in dicts))
    return None


def table(names: Iterable[str], rows: Iterable[Iterable[Any]], optional: str | None = None) -> None:
    """Aligned columns; on a terminal, as wide as that. optional: a column that is left out where there is no room."""
    names, values = list(names), [list(row) for row in rows]
    grid = [names, *([_text(value) for value in row] for row in values)]
    colours = [[BOLD] * len(names), *([_colour(*pair) for pair in zip(names, row, strict=True)] for row in values)]
    columns = shutil.get_terminal_size().columns
    beside, widths, below = layout(grid, columns if is_terminal() else None, optional)
    coloured = has_colours()
    for cells, of_row in zip(grid, colours, strict=True):
        _print([cells[n] for n in beside], [of_row[n] if coloured else "" for n in beside], widths)
        for line in folded(GAP.join(cells[n] for n in below).rstrip(), columns - len(INDENT)):
            if line:
                print(INDENT + line)


def sentence(text: str, good: bool | None = None) -> str:
    """A sentence as a person reads it; on a terminal folded between words, and coloured if it is good or bad news."""
    if not is_terminal():
        return text
    colour = _colour("", Marked(text, good)) if has_colours() else ""
    lines = folded(text, shutil.get_terminal_size().columns)
    return "\n".join(f"{colour}{line}{PLAIN}" if colour else line for line in lines)


def is_terminal() -> bool:
    """Whether a person reads what is printed."""
    return bool(sys.stdout and sys.stdout.isatty())


def has_colours() -> bool:
    """Whether a person reads it on a terminal with colours, and has not turned them off (no-color.org)."""
    return is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _print(cells: Sequence[str], colours: Sequence[str], widths: Sequence[int]) -> None:
    """A row, in as many lines as its tallest cell takes."""
    for line in zip_longest(*(folded(cell, width) for cell, width in zip(cells, widths, strict=True)), fillvalue=""):
        padded = [
            (f"{colour}{cell}{PLAIN}" if colour and cell else cell) + " " * (width - width_of(cell))
            for cell, colour, width in zip(line, colours, widths, strict=True)
        ]
        print(GAP.join(padded).rstrip())


def _text(value: Any) -> str:
    if isinstance(value, Marked):
        value = value.value
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    text = "-" if value is None else str(value)
    return text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)


def _colour(name: str, value: Any) -> str:
    if isinstance(value, Marked):
        return {True: GOOD, False: BAD, None: ""}[value.good]
    words = value if isinstance(value, list) else [value]
    found = [WORDS[word] for word in words if name in OF_WORDS and word in WORDS]
    return BAD if BAD in found else "".join(found[:1])


def _plain(value: Any) -> Any:
    """What a cell of CSV holds: text or a number; of more than one value, JSON."""
    return json.dumps(value) if isinstance(value, list | dict) else value
