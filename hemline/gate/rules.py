"""The promotion rules, and the decision that follows: promote or not, and one sentence of reason.

    decide(Gate(max_size_mb=1), case).sentence      # 'kept fashion_mnist 7: ...; its size 1.50 MB is more ...'

A rule is a function of its limit and the case (both models' answers, and all that was found when they were made), and
yields a sentence for whatever breaks it. To add one:
1. give its limit a field in `hemline.config.gate.Gate`, with bounds, default and description;
2. write the function here, and its row in RULES. A limit of None is no limit, and its rule is not asked.
"""

from collections.abc import Callable, Iterator

from hemline.config.gate import Gate
from hemline.gate.case import Case, points
from hemline.records.run import Decision, Measurements, Verdict

Rule = Callable[[float, Case], Iterator[str]]


def margin(limit: float, case: Case) -> Iterator[str]:
    """The challenger is better than the champion by more than the limit, in points, and it is no accident."""
    if case.comparison and not case.proves(limit):
        yield case.shortfall(limit)


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
    latency = case.challenger.evaluation.latency.single_ms
    if latency > limit:
        yield f"its latency {latency:.2f} ms is more than max_latency_ms {limit:g}"


def max_size_mb(limit: float, case: Case) -> Iterator[str]:
    """The version's models take at most this, in megabytes (10^6 bytes)."""
    size = case.challenger.evaluation.size_bytes / 1e6
    if size > limit:
        yield f"its size {size:.2f} MB is more than max_size_mb {limit:g}"


RULES: dict[str, Rule] = {  # in the order in which a sentence names what is broken
    "margin": margin,
    "minimum_accuracy": minimum_accuracy,
    "max_class_drop": max_class_drop,
    "max_latency_ms": max_latency_ms,
    "max_size_mb": max_size_mb,
}


def decide(gate: Gate, case: Case) -> Decision:
    """1. kept, if a rule is broken; 2. needs approval, if there is a doubt or promotion is manual; 3. promoted."""
    limits = {name: getattr(gate, name) for name in RULES}
    broken = [fault for name, limit in limits.items() if limit is not None for fault in RULES[name](limit, case)]
    doubts = [*case.doubts, *(["promotion is manual"] if gate.promotion == "manual" else [])]
    budget = []
    if case.comparison:
        doubts, left = [*case.look.doubt, *doubts], max(case.look.left, 0)
        budget = [f"{left} more decision{'s' if left != 1 else ''} on this test split"]
    verdict: Verdict = "kept" if broken else "needs approval" if doubts else "promoted"
    clauses = [*case.remarks, case.finding(gate.margin), *broken, *budget, *doubts]
    if verdict == "kept" and case.substitute:
        clauses.append(f"roll back to {case.substitute}")
    once = dict.fromkeys(clauses)  # the rule `margin` is broken by the finding itself
    return Decision(
        verdict=verdict,
        champion=case.champion,
        challenger=case.challenger.version,
        sentence=f"{_outcome(verdict, case)}: {'; '.join(once)}",
        measurements=_measurements(case, gate.margin),
        classes=case.comparison.most_changed if case.comparison else [],
    )


def _outcome(verdict: Verdict, case: Case) -> str:
    """Names the model; in the clauses after it a number is enough."""
    name, champion = case.name, case.champion
    if verdict == "kept":
        return f"kept {name} {champion or 'without a champion'}"
    if verdict == "needs approval":
        return f"needs approval to {f'replace {name} {champion}' if champion else f'be the first champion of {name}'}"
    return f"promoted {name} {case.challenger.version}{f' over {champion}' if champion else ''}"


def _measurements(case: Case, margin: float) -> Measurements:
    """What the ledger keeps of the case, in the words of artifacts/README.md."""
    found: Measurements = {"examples": len(case.labels), "accuracy": case.accuracy(case.challenger)}
    comparison, look = case.comparison, case.look
    if comparison and case.compared_with:
        low, high = comparison.interval_points
        found |= {
            "compared_with": case.compared_with.version,
            "compared_accuracy": case.accuracy(case.compared_with),
            "difference_points": comparison.difference_points,
            "interval_low": low,
            "interval_high": high,
            "challenger_only_right": comparison.challenger_only_right,
            "negative_flips": comparison.negative_flips,
            "negative_flip_rate": comparison.negative_flips / comparison.examples,
            "p_value": comparison.p_value(margin),
            "level": look.level,
            "test_split": look.test_split,
            "decision_number": look.decision_number,
            "worst_class": comparison.worst_class,
            "worst_class_drop": comparison.worst_class_drop,
            "same_predictions": comparison.same_predictions,
        }
    own = case.challenger.evaluation
    return found | {"latency_ms": own.latency.single_ms, "size_mb": own.size_bytes / 1e6}
