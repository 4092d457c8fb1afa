"""Champion against challenger: promote or not, and one sentence of reason.

    decision = decide(gate, case)
    decision.sentence       # 'kept 0007: challenger 0008 is 0.12 points better, 95 % interval ... includes 0'

Pure functions; `hemline.gate.judging` makes the case of models and files.
"""

from dataclasses import asdict

from hemline.config.gate import Gate
from hemline.gate.case import Case
from hemline.gate.rules import broken_rules
from hemline.records.decision import Decision, Measurements, Verdict


def decide(gate: Gate, case: Case) -> Decision:
    """1. kept, if a rule is broken; 2. needs approval, if there is a doubt or promotion is manual; 3. promoted."""
    broken, doubts = list(broken_rules(gate, case)), list(case.doubts)
    if gate.promotion == "manual":
        doubts.append("promotion is manual")
    verdict: Verdict = "kept" if broken else "needs approval" if doubts else "promoted"
    clauses = [*case.remarks, case.finding(gate.margin), *broken, *doubts]
    if verdict == "kept" and case.substitute:
        clauses.append(f"roll back to {case.substitute}")
    once = dict.fromkeys(clauses)  # the rule `margin` is broken by the finding itself
    return Decision(
        verdict=verdict,
        champion=case.champion,
        challenger=case.challenger.version,
        sentence=f"{_outcome(verdict, case)}: {'; '.join(once)}",
        measurements=_measurements(case),
    )


def _outcome(verdict: Verdict, case: Case) -> str:
    """The verdict with the versions it is about."""
    champion, challenger = case.champion, case.challenger.version
    if verdict == "kept":
        return f"kept {champion or 'no champion'}"
    if verdict == "needs approval":
        return f"needs approval to {f'replace {champion}' if champion else 'be the first champion'}"
    return f"promoted {challenger} over {champion}" if champion else f"promoted {challenger}"


def _measurements(case: Case) -> Measurements:
    """What the ledger keeps of the case, in the words of artifacts/README.md."""
    found: Measurements = {"examples": len(case.labels), "accuracy": case.accuracy(case.challenger)}
    if case.comparison and case.compared_with:
        found |= {"compared_with": case.compared_with.version, "compared_accuracy": case.accuracy(case.compared_with)}
        found |= asdict(case.comparison)
    return found | {"latency_ms": case.challenger.latency_ms, "size_mb": case.challenger.size_mb}
