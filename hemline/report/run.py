"""The report of a run, by which a person decides: what became of it, then what that rests on.

text = run_report(record, "fashion_mnist mlp 2026-11-24: fashion_mnist 8", pictures, Ending(decision, checks, ...))

The same Markdown is the report in the Prefect UI and `report.html` of the run. What the version's MODEL_CARD.md says
besides, how to load the model and its results by class, is not repeated.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hemline.records.data import DataChecks
from hemline.records.run import Decision, Record
from hemline.report import card
from hemline.report.blocks import bold, counted, image, page, table, together
from hemline.report.card import Pictures
from hemline.report.figures import duration
from hemline.report.markdown import checks_text, difference
from hemline.report.quality import CLASSES
from hemline.storage.attempts import Attempt


@dataclass(frozen=True)
class Ending:
    """What is known of a run at its end, and a version's card cannot say."""

    decision: Decision
    checks: DataChecks | None  # None: an early Hemline began the run
    seconds: Mapping[str, float]  # by phase, of all attempts: hemline.storage.timing.by_phase
    attempts: Sequence[Attempt]


def run_report(record: Record, title: str, pictures: Pictures, ending: Ending) -> str:
    """pictures: addresses by name, those of the version and those of hemline.report.gallery."""
    (what, value), *rows = _at_a_glance(record, ending)
    running = "mean training loss of each epoch so far, by iteration"
    sections = {
        "Curves": card.curves(record, pictures),
        "Running loss": image(running, pictures.get("running_loss")),
        "Difference to the champion by class": _classes(ending.decision, pictures),
        "Confusion matrix": _confusion(record, pictures),
        "Calibration, size and speed": card.calibration(record, pictures),
        "Most confident mistakes": card.mistakes(record.evaluation, pictures),
        "Learning rates, gradients and weights": _groups(pictures),
        "Where the time went": _times(ending.seconds),
        "LayerNorm parity": card.parity(record, pictures),
        "Data": together(card.data(record), checks_text(ending.checks) if ending.checks else ""),
        "Configuration": card.configuration(record),
        "How it was made": card.provenance(record),
    }
    return page(title, [bold(ending.decision.sentence), table((what, value), rows)], sections)


def _at_a_glance(record: Record, ending: Ending) -> Iterator[tuple[str, str]]:
    decision, evaluation = ending.decision, record.evaluation
    low, high = evaluation.accuracy_interval
    yield "verdict", decision.verdict
    examples = counted(evaluation.examples, "test example")
    yield "accuracy", f"{evaluation.accuracy:.2%} of {examples}, 95 % interval {low:.2%} to {high:.2%}"
    whom, points, interval = difference(decision)
    yield whom, f"{points}, 95 % interval {interval}" if interval else points
    yield "device", f"{record.device.kind}, {record.device.description}"
    yield "duration", duration(sum(ending.seconds.values()))
    yield "resumed", _resumed(ending.attempts)
    yield "new in the data", _news(ending.checks)


def _resumed(attempts: Sequence[Attempt]) -> str:
    if len(attempts) < 2:
        return "no"
    return f"yes: attempt {attempts[-1].number}; the one before: {attempts[-1].after}"


def _news(checks: DataChecks | None) -> str:
    if checks is None:
        return "was not looked at"
    if checks.change is None:
        return "; ".join(checks.remarks) or "nothing"
    came, went, other = checks.change.new, checks.change.gone, checks.change.relabelled
    return f"{counted(came, 'new example')}, {went:,} gone, {other:,} relabelled since champion {checks.champion}"


def _classes(decision: Decision, pictures: Pictures) -> str:
    if not decision.classes:
        return ""
    alt = "bars by class: points of recall gained or lost since the champion, and negative flips"
    flips = float(decision.measurements["negative_flips"])
    return together(
        image(alt, pictures.get("classes")),
        f"A negative flip is an example that the champion had right and this version has wrong: {flips:,.10g} of "
        f"{counted(int(decision.measurements['examples']), 'example')}.",
    )


def _confusion(record: Record, pictures: Pictures) -> str:
    alt = "matrix of true classes in rows and predicted classes in columns, dark where many examples are"
    classes = len(record.evaluation.classes)
    shown = f"The classes with most mistakes of {classes:,}; all are in confusion.csv." if classes > CLASSES else ""
    return together(image(alt, pictures.get("confusion")), shown)


def _groups(pictures: Pictures) -> str:
    if "groups" not in pictures:
        return ""
    alt = "lines by epoch for each optimizer group: learning rate, norm of gradient, norm of weights"
    return together(
        image(alt, pictures["groups"]),
        "The rate is that of the epoch's last step. The gradient is of the epoch's first batch, with the weights after "
        "the epoch and as in inference.",
    )


def _times(seconds: Mapping[str, float]) -> str:
    total = sum(seconds.values())
    return table(
        ("step", "seconds", "share"),
        ((name, f"{spent:.2f}", f"{spent / total:.0%}") for name, spent in seconds.items()),
    )
