"""artifacts/index.html: the morning page of every name, its versions and its ledger, without a server.

    mornings = write_index(artifacts, datetime.now(UTC))        # 0.25 s of a processor for 25 versions and 30 runs
    mornings[0].status, mornings[0].picture                     # of the first name: a Status, and its nights as SVG

Links are relative: artifacts can be moved, or be copied elsewhere, as a whole.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from hemline.errors import RegistryError
from hemline.records.status import Night, Status
from hemline.registry.catalogue import versions_of
from hemline.registry.champion import Registry
from hemline.registry.decisions import Decisions
from hemline.registry.status import statuses
from hemline.report.blocks import table
from hemline.report.escaping import escaped
from hemline.report.html import data_uri, html
from hemline.report.morning import morning_markdown
from hemline.report.nights import nights_picture
from hemline.storage.files import whole_file
from hemline.storage.runs import MODELS, REGISTRY, RUNS
from hemline.storage.shared import one_look

INDEX = "index.html"
NEWEST = 30  # versions and decisions that are listed


class Morning(NamedTuple):
    """A name's status, and the picture of its nights as SVG."""

    status: Status
    picture: str


@one_look()
def write_index(artifacts: Path, now: datetime) -> list[Morning]:
    """Writes the page, and returns what it is made of."""
    mornings = [Morning(status, nights_picture(status.nights)) for status in statuses(artifacts, now)]
    lines = [f"- **{status.name}**: {escaped(status.headline)}" for status, _ in mornings]
    parts = ["\n".join(lines)] if len(lines) > 1 else [] if lines else ["**No run yet.**"]
    for status, picture in mornings:
        parts.append(morning_markdown(status, data_uri(picture), _address))
        with suppress(RegistryError):  # which is among what needs a person
            registry = Registry(artifacts, status.name)
            parts += _sections(registry, registry.decisions())
    with whole_file(artifacts / INDEX) as path:
        path.write_text(html("\n\n".join(parts), title="Hemline"))
    return mornings


def _address(night: Night) -> str:
    run = f"{RUNS}/{quote(night.run)}"
    return f"{run}/report.html" if night.report else f"{run}/"


def _sections(registry: Registry, decisions: Decisions) -> Iterator[str]:
    """Versions and decisions, newest first."""
    models, ledger = f"{MODELS}/{registry.name}", f"{REGISTRY}/{registry.name}/{registry.ledger.path.name}"
    rows = list[tuple[str, ...]]()
    for row in reversed(versions_of(registry, decisions, NEWEST)):
        number = f"[{row.version}]({models}/{row.version}/)" if "missing" not in row.standing else row.version
        test = "-" if row.test_accuracy is None else f"{row.test_accuracy:.2%}"
        made = f"{row.created:%Y-%m-%d %H:%M}" if row.created else "-"
        rows.append((number, ", ".join(row.standing) or "-", row.decision or "-", test, row.data or "-", made))
    if rows:
        names: tuple[str, ...] = ("version", "standing", "decision", "test accuracy", "data", "made (UTC)")
        yield f"## Versions of {registry.name}\n\n{table(names, rows)}"
    said = [
        (f"{entry.at:%Y-%m-%d %H:%M}", entry.decision, entry.version, escaped(entry.by), escaped(entry.reason))
        for entry in reversed(decisions.entries[-NEWEST:])
    ]
    if said:
        names = ("at (UTC)", "decision", "version", "by", "reason")
        which = f"The newest {len(said)} of {len(decisions.entries):,}, of [the ledger]({ledger})."
        yield f"## Decisions about {registry.name}\n\n{which}\n\n{table(names, said)}"
