"""What single steps show: a decision, what is in the data, what was proved. Each is Markdown made of a record.

text = decision_markdown(decision)
looked_at = data_markdown(checks, picture)  # of the step check-data
proof = verification_markdown(found)        # of the flow `verify`
"""

from collections.abc import Iterable

from hemline.records.data import DataChecks
from hemline.records.proofs import ClaimResult, Parity
from hemline.records.run import Decision, Verification
from hemline.report.blocks import bold, image, listed, sentence, table, together, verbatim


def decision_markdown(decision: Decision) -> str:
    """The sentence, and the numbers it is made of."""
    rows = (
        (name.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else value)
        for name, value in decision.measurements.items()
    )
    return f"{bold(decision.sentence)}\n\n{table(('what', 'value'), rows)}\n"


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
