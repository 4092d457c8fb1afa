"""Champion against challenger on the same examples: promote or not, and one sentence of reason.

    comparison = compare(labels, champion_logits, challenger_logits, class_names)
    decision = decide(gate, labels, class_names, challenger, Opposition("0007", champion))
    decision.sentence
    'kept 0007: challenger 0008 is 0.12 points better, 95 % interval -0.35 to 0.58 includes 0'

Only the examples that one gets right and the other
wrong count. The interval is the paired bootstrap's: resampling examples is drawing the numbers of such
examples from a multinomial, which takes 2 ms for 10,000 resamples of 10,000 examples instead of 0.8 s.
A percentile interval is too sure of itself where a handful of examples differ, so McNemar's exact test
must agree. Pure functions all; `hemline.gate.judging` calls them with models.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from hemline.config.gate import Gate
from hemline.gate.statistics import SIGNIFICANCE, Comparison, compare
from hemline.records.decision import Decision, Numbers


@dataclass(frozen=True)
class Contender:
    """What is known of a model when it is judged."""

    version: str
    logits: np.ndarray  # (N, classes), or probabilities: only the largest of a row counts
    latency_ms: float | None = None
    size_mb: float | None = None


@dataclass(frozen=True)
class Opposition:
    """Whom the challenger meets."""

    champion: str | None  # what the alias says
    opponent: Contender | None = None  # whom it is compared with: usually the champion
    remarks: list[str] = field(default_factory=list)  # part of the sentence
    doubts: list[str] = field(default_factory=list)  # the same, and a person must decide


def decide(
    gate: Gate, labels: np.ndarray, class_names: Sequence[str], challenger: Contender, opposition: Opposition
) -> Decision:
    """The verdict.

    1. kept, if a rule is broken; 2. needs approval, if there is a doubt or the gate is manual; 3. promoted.
    """
    champion, opponent, comparison = opposition.champion, opposition.opponent, None
    accuracy = _accuracy(challenger.logits, labels)
    numbers: Numbers = {"examples": len(labels), "accuracy": accuracy}
    if opponent is None:
        passes, finding = True, f"challenger {challenger.version} has accuracy {accuracy:.2%}"
    else:
        comparison = compare(labels, opponent.logits, challenger.logits, class_names)
        passes, finding = _finding(comparison, gate.margin)
        than = "" if opponent.version == champion else f" than {opponent.version}, a champion before it"
        finding = f"challenger {challenger.version} {finding.format(than=than)}"
        numbers |= {"compared_with": opponent.version, "compared_accuracy": _accuracy(opponent.logits, labels)}
        numbers |= asdict(comparison)
    numbers |= {"latency_ms": challenger.latency_ms, "size_mb": challenger.size_mb}
    broken = list(_broken_rules(gate, accuracy, challenger, comparison))
    doubts = opposition.doubts + (["promotion is manual"] if gate.promotion == "manual" else [])
    if champion and opponent is None and not doubts:
        doubts = ["there is no champion that it could be compared with"]

    clauses = [*opposition.remarks, finding, *broken, *doubts]
    if broken or not passes:
        verdict, head = "kept", f"kept {champion or 'no champion'}"
        if opponent and opponent.version != champion:
            clauses.append(f"roll back to {opponent.version}")
    elif doubts:
        verdict, head = "needs approval", f"needs approval to replace {champion}"
        if champion is None:
            head = "needs approval to be the first champion"
    else:
        verdict, head = "promoted", f"promoted {challenger.version}{f' over {champion}' if champion else ''}"
    return Decision(
        verdict=verdict,
        champion=champion,
        challenger=challenger.version,
        sentence=f"{head}: {'; '.join(clauses)}",
        numbers=numbers,
    )


def _finding(comparison: Comparison, margin: float) -> tuple[bool, str]:
    """Whether the challenger is good enough by the interval, and the words for it."""
    if comparison.same_predictions:
        return False, "makes the same predictions{than}"
    if comparison.challenger_only_right + comparison.champion_only_right == 0:
        return False, "is right on the same examples{than}"
    low, high, points = comparison.interval_low, comparison.interval_high, comparison.difference_points
    relation = "is above" if low > margin else "is below" if high < margin else "includes"
    finding = (
        f"is {_points(abs(points))} points {'worse' if points < 0 else 'better'}{{than}}, "
        f"95 % interval {_points(low)} to {_points(high)} {relation} {margin:g}"
    )
    if low > margin >= 0 and comparison.p_value >= SIGNIFICANCE:
        return False, f"{finding}, but McNemar's p is {comparison.p_value:.2g}: too few examples differ"
    return low > margin, finding


def _broken_rules(gate: Gate, accuracy: float, challenger: Contender, comparison: Comparison | None) -> Iterator[str]:
    """What is said about each rule that does not hold, the interval's apart."""
    if accuracy < gate.minimum_accuracy:
        yield f"accuracy {accuracy:.2%} is below minimum_accuracy {gate.minimum_accuracy:.2%}"
    if comparison and comparison.worst_class_drop > gate.max_class_drop:
        fell = f"recall of {comparison.worst_class} fell by {_points(comparison.worst_class_drop)} points"
        yield f"{fell}, more than max_class_drop {gate.max_class_drop:g}"
    for name, value, limit, unit in (
        ("latency", challenger.latency_ms, gate.max_latency_ms, "ms"),
        ("size", challenger.size_mb, gate.max_size_mb, "MB"),
    ):
        if limit is not None and (value is None or value > limit):
            known = "is not known, with" if value is None else f"{value:.2f} {unit} is more than"
            yield f"its {name} {known} max_{name}_{unit.lower()} {limit:g}"


def _accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float((logits.argmax(axis=1) == labels).mean())


def _points(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # + 0.0: no '-0.00'
