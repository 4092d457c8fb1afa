"""What single steps show: a decision, what is in the data, what was proved. Each is Markdown made of a record.

text = decision_markdown(decision)
looked_at = data_markdown(checks, picture)  # of the step check-data
proof = verification_markdown(found)        # of the flow `verify`
"""

from collections.abc import Iterable, Iterator

from hemline.records.data import DataChecks
from hemline.records.proofs import ClaimResult, Parity
from hemline.records.run import Decision, Verification
from hemline.report.blocks import bold, counted, image, listed, sentence, table, together, verbatim


def decision_markdown(decision: Decision) -> str:
    """The sentence, and what a person weighs; the ledger has every digit."""
    weighed = table(("what", "found"), _weighed(decision)) if decision.measurements else ""
    return together(bold(decision.sentence), weighed) + "\n"


def difference(decision: Decision) -> tuple[str, str, str]:
    """Whom it was compared with, by how many points it is better, and their 95 % interval; '' if with nobody."""
    found = decision.measurements
    if "compared_with" not in found:
        return "difference to the champion", "there is none to compare with", ""
    low, high = (f"{float(found[name]) + 0.0:+.2f}" for name in ("interval_low", "interval_high"))
    whom = f"champion {decision.champion}"
    if found["compared_with"] != decision.champion:
        whom = f"{found['compared_with']}, a champion before"
    return f"difference to {whom}", f"{float(found['difference_points']):+.2f} points", f"{low} to {high}"


def _weighed(decision: Decision) -> Iterator[tuple[str, str]]:
    found = decision.measurements
    yield "accuracy", f"{float(found['accuracy']):.2%} of {counted(int(found['examples']), 'test example')}"
    whom, points, interval = difference(decision)
    yield whom, points
    if interval:
        yield "95 % interval", interval  # by itself: a cell of the form does not wrap
        yield "right now, wrong before", counted(int(found["challenger_only_right"]), "example")
        yield "wrong now, right before", counted(int(found["negative_flips"]), "example")
        drop = float(found["worst_class_drop"])
        yield (
            "worst class",
            f"{found['worst_class']}: recall {abs(drop):.2f} points {'lower' if drop > 0 else 'higher'}",
        )
        yield "by chance", f"p {float(found['p_value']):.2g}, at most {float(found['level']):.2g}"
        yield "comparisons on this test split", f"{found['decision_number']}"
    yield "one prediction", f"{float(found['latency_ms']):.2f} ms"
    yield "size", f"{float(found['size_mb']):.2f} MB"


def data_markdown(checks: DataChecks, picture: str) -> str:
    """What is new in the data, and what its checks found. picture: the address of data.svg."""
    alt = "bars: examples of each class, the champion's dashed; below, some new and some suspicious examples"
    return together(checks_text(checks), image(alt, picture)) + "\n"


def checks_text(checks: DataChecks) -> str:
    """What could not be compared, what has changed since the champion's data, and what was found."""
    paragraphs = [sentence(remark) for remark in checks.remarks]
    if change := checks.change:
        paragraphs.append(
            f"Since the data of champion {checks.champion}, {change.new:,} examples came, {change.gone:,} went and "
            f"{change.relabelled:,} were relabelled."
        )
    rows = []
    for finding in checks.findings:
        names = ", ".join(verbatim(example.name) for example in finding.examples)
        rows.append(
            (
                finding.check,
                finding.answer,
                finding.sentence,
                names + f" and {finding.more:,} more" * (finding.more > 0),
            )
        )
    found = table(("check", "answer", "what it found", "examples"), rows) if rows else "No check found anything."
    return "\n\n".join([*paragraphs, found])


def verification_markdown(found: Verification) -> str:
    """What `verify` found: in a sentence, then both proofs."""
    return f"""# Verification on {found.device.description}

{bold("; ".join(found.failures) or "everything that training relies on holds")}

{listed(found.packages)}

## LayerNorm parity

{parity_text(found.parity)}

{table(tuple(found.parity.rows[0]), (row.values() for row in found.parity.rows))}

## The chapter's nine claims

{claims_markdown(found.claims)}"""


def parity_text(parity: Parity) -> str:
    """How many cases agree, and how nearly the worst of them."""
    text = f"{parity.cases - parity.failed} of {parity.cases:,} cases within tolerance"
    if parity.seconds is not None:
        text += f", found in {parity.seconds:.0f} s"
    if parity.worst_ratio is not None:
        text += f". Nearest to its tolerance, at {parity.worst_ratio:.0%} of it: `{parity.worst_case}`"
    return f"{text}."


def claim_rows(results: Iterable[ClaimResult]) -> list[dict[str, str | int]]:
    """A row a claim, for the UI's table."""
    return [
        {
            "number": result.number,
            "claim": result.question.claim,
            "finding": result.finding,
            "evidence": f"{sum(fact.holds for fact in result.evidence)} of {len(result.evidence)} facts hold"
            + "".join(f"; not {fact.what}: {fact.observed}" for fact in result.evidence if not fact.holds),
            "correction": result.question.correction or "",
        }
        for result in results
    ]


def claims_markdown(results: Iterable[ClaimResult]) -> str:
    """Each question, the chapter's answer, what is claimed, and the proof."""
    paragraphs = []
    for result in results:
        question = result.question
        paragraphs += [
            f"### {result.number}. {question.english}",
            f"> {question.original}",
            f"> The chapter: {question.original_answer}",
            f"**{result.finding.capitalize()}.** {question.claim}",
        ]
        if question.correction:
            paragraphs.append(f"Correction: {question.correction}")
        if result.relied_on:
            paragraphs.append(f"`retrain` relies on it: {result.relied_on}.")
        rows = []
        for fact in result.evidence:
            held = "**no**" if not fact.holds else "yes, against the chapter" if fact.corrects else "yes"
            rows.append((fact.what, verbatim(fact.expected), verbatim(fact.observed), held))
        paragraphs.append(table(("fact", "expected", "observed", "holds"), rows))
    return "\n\n".join(paragraphs) + "\n"
