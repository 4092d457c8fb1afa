"""The promotion rules: a table of functions, each by the name of the Gate's field that is its limit.

    list(broken_rules(Gate(max_size_mb=1), case))       # ['its size 1.50 MB is more than max_size_mb 1']

A rule is a function of its limit and the case (both models' answers, and all that was found when they were made), and
yields a sentence for whatever breaks it. To add one:
1. give its limit a field in `hemline.config.gate.Gate`, with bounds, default and description;
2. write the function here, and its row in RULES. A limit of None is no limit, and its rule is not asked.
"""

from collections.abc import Callable, Iterator

from hemline.config.gate import Gate
from hemline.gate.case import Case, points

Rule = Callable[[float, Case], Iterator[str]]


def margin(limit: float, case: Case) -> Iterator[str]:
    """The challenger is better than the champion by more than the limit, in points, and it is no accident."""
    if case.comparison and not case.comparison.proves(limit):
        yield case.finding(limit)


def minimum_accuracy(limit: float, case: Case) -> Iterator[str]:
    """The challenger gets at least this share of the test examples right."""
    accuracy = case.accuracy(case.challenger)
    if accuracy < limit:
        yield f"accuracy {accuracy:.2%} is below minimum_accuracy {limit:.2%}"


def max_class_drop(limit: float, case: Case) -> Iterator[str]:
    """The recall of no class falls by more than this, in points."""
    found = case.comparison
    if found and found.worst_class_drop > limit:
        fell = f"recall of {found.worst_class} fell by {points(found.worst_class_drop)} points"
        yield f"{fell}, more than max_class_drop {limit:g}"


def max_latency_ms(limit: float, case: Case) -> Iterator[str]:
    """Predicting a single image takes at most this, in milliseconds."""
    if case.challenger.latency_ms > limit:
        yield f"its latency {case.challenger.latency_ms:.2f} ms is more than max_latency_ms {limit:g}"


def max_size_mb(limit: float, case: Case) -> Iterator[str]:
    """The version's models take at most this, in megabytes (10^6 bytes)."""
    if case.challenger.size_mb > limit:
        yield f"its size {case.challenger.size_mb:.2f} MB is more than max_size_mb {limit:g}"


RULES: dict[str, Rule] = {  # in the order in which a sentence names what is broken
    "margin": margin,
    "minimum_accuracy": minimum_accuracy,
    "max_class_drop": max_class_drop,
    "max_latency_ms": max_latency_ms,
    "max_size_mb": max_size_mb,
}


def broken_rules(gate: Gate, case: Case) -> Iterator[str]:
    """A sentence for whatever breaks a rule."""
    for name, rule in RULES.items():
        limit = getattr(gate, name)
        if limit is not None:
            yield from rule(limit, case)
