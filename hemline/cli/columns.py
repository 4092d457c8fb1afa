"""What a person sees of rows, by the headings of a table: short names, and learning curves as lines of blocks.

terminal.show(catalogue.run_rows(artifacts), as_json, RUN, as_csv)      # JSON and CSV have every field as it is
"""

import re
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from hemline.records.decider import decider
from hemline.report.sparkline import sparkline, thinned

Columns = Mapping[str, Callable[[Any], Any]]  # heading: what of a row stands below it
CURVE = 12  # letters, at most


def short_name(run: str) -> str:
    """What `hemline show` knows a run's directory by: the flow run's id at its end, if it has one."""
    end = run.rpartition("-")[2]
    return end if re.fullmatch("[0-9a-f]{8}", end) else run


def short_digest(value: Any) -> Any:
    """A SHA-256 by as many digits as the names of snapshots have; anything else as it is."""
    return value[:16] if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) else value


def _by(entry: Any) -> str:
    """A person, or a flow run by its `short_name`."""
    name, run_id = decider(entry.by)
    return run_id[:8] if run_id else name


def _fields(*names: str) -> dict[str, Callable[[Any], Any]]:
    return {name: attrgetter(name) for name in names}


def _curve(row: Any) -> str:
    return sparkline(thinned(row.curve, CURVE))


RUN: Columns = {
    "run": lambda row: short_name(row.run),
    **_fields("name", "started", "state"),
    "epochs": lambda row: f"{row.epochs} of {row.of}",
    "val_accuracy": attrgetter("val_accuracy"),
    "curve": _curve,
    "versions": attrgetter("versions"),
}
VERSION: Columns = {
    **_fields("name", "version", "standing", "decision", "test_accuracy", "val_accuracy"),
    "curve": _curve,
    **_fields("created", "data"),
}
DECISION: Columns = {
    **_fields("at", "name", "decision", "version", "champion_after"),
    "by": _by,
    "reason": attrgetter("reason"),
}
REMOVAL: Columns = {
    **_fields("kind", "name"),
    "bytes": lambda row: f"{row.bytes:,}",
    "days": lambda row: f"{row.days:.1f}",
    "path": attrgetter("path"),
}
