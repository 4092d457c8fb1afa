"""Tables for a person's terminal, JSON for a program.

show(registry.entries(), as_json=False, columns=("at", "decision"))
table(("metric", "value"), [("accuracy", 0.8786)])

5,000 lines of a ledger take 0.1 s; Rich's tables, which measure each word of each cell, took 2.3.
"""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

if TYPE_CHECKING:
    from pydantic import BaseModel

    Row = BaseModel | Mapping[str, Any]

GAP = "  "  # between columns


def show(found: "Row | Sequence[Row]", as_json: bool = False, columns: Sequence[str] = ()) -> None:
    """A row, or rows with the same fields, as JSON or as a table of some columns, by default of all."""
    rows = found if isinstance(found, Sequence) else [found]
    dicts = [row if isinstance(row, Mapping) else row.model_dump(mode="json" if as_json else "python") for row in rows]
    if as_json:
        print(json.dumps(dicts if rows is found else dicts[0], indent=2, allow_nan=False))
    else:
        names = columns or list(dicts[0] if dicts else ["none"])
        table(names, ([row[name] for name in names] for row in dicts))


def table(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Aligned columns; where no person's terminal is, as wide as they are, so that a row stays a line."""
    grid = [list(names), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*grid, strict=True)]
    if sys.stdout and sys.stdout.isatty():
        widths = _fitting(widths, max(shutil.get_terminal_size().columns, 120))
    for row in grid:
        folded = [_folded(cell, width) for cell, width in zip(row, widths, strict=True)]
        for line in zip_longest(*folded, fillvalue=""):
            padded = (cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True))
            print(GAP.join(padded).rstrip())


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    text = "-" if value is None else str(value)
    return text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)


def _width(text: str) -> int:
    """In columns of a terminal, where a Chinese letter takes two."""
    return len(text) if text.isascii() else sum(1 + (east_asian_width(letter) in "WF") for letter in text)


def _fitting(widths: list[int], room: int) -> list[int]:
    """The widest become narrower, until all fit."""
    while sum(widths) + len(GAP) * (len(widths) - 1) > room and max(widths) > 1:
        widest = max(widths)
        widths = [width - (width == widest) for width in widths]
    return widths


def _folded(text: str, width: int) -> list[str]:
    if _width(text) <= width:
        return [text]
    return textwrap.wrap(text, width if text.isascii() else max(width // 2, 1), break_on_hyphens=False)
