"""Tables for a person's terminal, JSON for a program.

show(registry.entries(), as_json=False, columns=("at", "decision"))
table(("metric", "value"), [("accuracy", 0.8786)])
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

    Row = BaseModel | Mapping[str, Any]


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
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, emoji=False, highlight=False)  # a file named [red].png is no colour
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in names:
        grid.add_column(name, overflow="fold")
    for row in rows:
        grid.add_row(*map(_cell, row))
    console.width = max(console.width, 120) if console.is_terminal else 100_000  # a run's name is never broken
    console.print(grid)


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "-" if value is None else str(value)
