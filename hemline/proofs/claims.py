"""Proof of the chapter's nine answers, on the machine that will train.

    results = check()                   # or check([7, 8]); a ClaimResult for each
    require(results)                    # raises ProofError if one fails that `retrain` relies on

A claim yields facts, each with what was expected and what was observed here and now. It fails if a fact does not
hold, and holds with a correction if one contradicts the chapter's answer. Its texts are in `hemline.proofs.questions`.
All nine take 4 s on 2 cores.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator

from hemline.errors import ProofError
from hemline.proofs import component_evidence, evidence
from hemline.proofs.questions import QUESTIONS, RELIED_ON
from hemline.records.proofs import ClaimResult, Evidence

# By number, from 1.
CLAIMS: tuple[Callable[[], Iterator[Evidence]], ...] = (
    evidence.not_numpy,
    evidence.range_and_arange,
    component_evidence.losses,
    component_evidence.metrics,
    component_evidence.layers_and_models,
    component_evidence.custom_loops,
    evidence.python_in_components,
    evidence.tf_functions,
    evidence.dynamic_models,
)


def check(numbers: Iterable[int] = tuple(QUESTIONS)) -> list[ClaimResult]:
    """The results of these claims."""
    logger = logging.getLogger("tensorflow")  # warns of code that makes one graph after another, as claims do
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return [_check_one(number, CLAIMS[number - 1]) for number in numbers]
    finally:
        logger.setLevel(level)


def require(results: Iterable[ClaimResult]) -> None:
    """Raises ProofError unless all claims hold that `retrain` relies on."""
    failed = [result for result in results if result.finding == "fails" and result.number in RELIED_ON]
    if failed:
        facts = "\n".join(
            f"claim {result.number}: {fact.what}: expected {fact.expected}, observed {fact.observed}"
            for result in failed
            for fact in result.evidence
            if not fact.holds
        )
        raise ProofError(
            "the claims that training relies on must hold here. "
            f"Received: failed={[result.number for result in failed]}. Look for a global setting of TensorFlow or "
            f"Keras that was changed, or for another version of them.\n{facts}"
        )


def _check_one(number: int, gather: Callable[[], Iterator[Evidence]]) -> ClaimResult:
    facts: list[Evidence] = []
    try:
        facts.extend(gather())
    except Exception as error:  # whatever a broken TensorFlow raises is evidence too, and the other claims go on
        text = re.sub(r"\x1b\[\d+m", "", f"{type(error).__name__}: {error}")  # Keras prints in bold
        facts.append(evidence.fact("gathering the evidence", text[:500], "no error"))
    return ClaimResult(number=number, question=QUESTIONS[number], relied_on=RELIED_ON.get(number), evidence=facts)
