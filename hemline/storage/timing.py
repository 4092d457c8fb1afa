"""Where the time of a run goes: timing.csv, a row for each phase, in the order in which they end.

    spent(directory, {"publish": 0.6})
    spent(directory, {"steps": 0.24, "validation": 0.01, "saving": 0.03}, epoch=3)
    rows = by_phase(directory)                          # {"start": 3.1, ...}, seconds of all attempts

Rows are added and never changed: a run that was killed and goes on has those of every attempt.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

from hemline.storage import files
from hemline.storage.attempts import current

TIMING = "timing.csv"
COLUMNS = ("attempt", "phase", "epoch", "seconds")


def spent(directory: Path, phases: Mapping[str, float], epoch: int | None = None) -> None:
    """Adds a row for each phase. phases: seconds by name."""
    path, attempt = directory / TIMING, current[-1][1].number if current else 1
    with files.storage_errors(path), files.permission(), path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if not file.tell():
            writer.writerow(COLUMNS)
        writer.writerows((attempt, phase, epoch, f"{seconds:.4f}") for phase, seconds in phases.items())


def by_phase(directory: Path) -> dict[str, float]:
    """Seconds of each step of the run, of all its attempts; those of epochs are part of a step."""
    found: dict[str, float] = {}
    with (directory / TIMING).open(newline="") as file:
        for row in csv.DictReader(file):
            if not row["epoch"]:
                found[row["phase"]] = found.get(row["phase"], 0.0) + float(row["seconds"])
    return found
