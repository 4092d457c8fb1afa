"""What the files in a run's directory say of it, while it works too.

    for run in run_directories(artifacts):
        config = json_of(run / "config.json")           # {} before it is written
        epochs_of(run), attempts_of(run)                # the table epochs.csv; who has worked on it, oldest first
        state_of(run, attempts_of(run), now)            # 'finished'

Nothing is waited for, and no pandas is imported. RegistryError: a file is not as it was written.
"""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from hemline.errors import RegistryError
from hemline.records.run import Rows
from hemline.records.status import NIGHT_HOURS
from hemline.storage.attempts import Attempt, attempts, is_of
from hemline.storage.locks import is_locked
from hemline.storage.run_summaries import fetch_summaries
from hemline.storage.runs import LOCK, RUNS, TRAINED, UNCHANGED
from hemline.storage.shared import shared_at
from hemline.storage.timing import TIMING, by_phase

RunState = Literal["running", "finished", "trained", "unchanged", "refused", "failed", "unfinished"]
SILENT = timedelta(hours=NIGHT_HOURS)  # after which a run of another machine, of which nothing is heard, has ended


def run_directories(artifacts: Path) -> list[Path]:
    """Every run that has begun, by its directory's name; of all machines that share the artifacts."""
    fetch_summaries(artifacts)
    return sorted(path.parent for path in (artifacts / RUNS).glob("[!.]*/config.json"))


def started(run: Path) -> datetime:
    """When its configuration was written, by its latest attempt but for one that was told to resume it. UTC."""
    return datetime.fromtimestamp((run / "config.json").stat().st_mtime, UTC)


def state_of(run: Path, tries: Sequence[Attempt], now: datetime) -> RunState:
    """What became of it. tries: its attempts."""
    if is_locked(run / LOCK):
        return "running"
    if (run / UNCHANGED).exists():
        return "unchanged"
    if (run / TRAINED).exists():
        return "trained"
    if tries and (tries[-1].refused or tries[-1].failed):
        return "refused" if tries[-1].refused else "failed"
    if (run / "report.html").exists():
        return "finished"
    return "running" if tries and _elsewhere(run, tries[-1], now) else "unfinished"


def _elsewhere(run: Path, last: Attempt, now: datetime) -> bool:
    """Whether another machine works on it, as far as is known."""
    if last.ended or is_of(run, last) or not shared_at(run):
        return False
    heard = max(path.stat().st_mtime for path in (run / "attempts" / f"{last.number}.json", *run.glob("epochs.csv")))
    return now - datetime.fromtimestamp(heard, UTC) < SILENT


def attempts_of(run: Path) -> list[Attempt]:
    """All attempts at it, oldest first."""
    with as_written(run / "attempts"):
        return attempts(run)


def epochs_of(run: Path) -> Rows:
    """The table epochs.csv; empty before the first epoch has ended."""

    def rows(text: str) -> Rows:
        return [{name: json.loads(cell) for name, cell in row.items()} for row in csv.DictReader(text.splitlines())]

    return list(_read(run / "epochs.csv", rows) or [])


def seconds_of(run: Path) -> float | None:
    """How long its steps took, in all of its attempts; None before the first has ended."""
    with suppress(FileNotFoundError), as_written(run / TIMING):
        return sum(by_phase(run).values())
    return None


def json_of(path: Path) -> dict[str, Any]:
    """A file with a JSON object; empty if it is not written yet."""
    return dict(_read(path, lambda text: dict(json.loads(text))) or {})


def _read(path: Path, parse: Callable[[str], Any]) -> Any:
    """What a file of a run says; None if it is not written yet."""
    with suppress(FileNotFoundError), as_written(path):
        return parse(path.read_text())


@contextmanager
def as_written(path: Path) -> Iterator[None]:
    """Raises RegistryError for what cannot be read."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RegistryError(
            f"a file of a run must be as it was written. Received: {path}, which cannot be read. Restore it from a "
            "backup, or remove the run."
        ) from error
