"""What was proved: LayerNorm's parity in short, and the chapter's claims with their evidence.

    ClaimResult(number=7, ..., evidence=[Evidence(...)]).finding        # 'holds with a correction'

No configuration and no device is imported here: a kept proof counts while all the code behind it is the same.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, computed_field


class Parity(BaseModel):
    """LayerNorm against its references, in short."""

    cases: int
    failed: int
    worst_ratio: float | None = None  # the largest difference in units of its tolerance
    worst_case: str | None = None
    seconds: float | None = None  # None: an earlier proof was taken
    rows: list[dict[str, str]] = []  # what failed, then the worst case of every value of every axis


class Evidence(BaseModel):
    """A fact that was looked at on this machine."""

    what: str
    expected: str
    observed: str
    holds: bool
    corrects: bool = False  # if it holds, the chapter's answer as it stands does not


@dataclass(frozen=True)
class Question:
    """One of the chapter's nine questions, and what is claimed to be its answer."""

    english: str
    original: str
    original_answer: str
    claim: str  # what the evidence has to show
    correction: str | None = None  # where that differs from the original answer


class ClaimResult(BaseModel):
    """A question, and the proof of its claim."""

    number: int
    question: Question
    relied_on: str | None  # what `retrain` needs it for
    evidence: list[Evidence]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def finding(self) -> Literal["holds", "holds with a correction", "fails"]:
        """Of the claim; the correction is to the chapter's answer."""
        if not self.evidence or not all(fact.holds for fact in self.evidence):
            return "fails"
        return "holds with a correction" if any(fact.corrects for fact in self.evidence) else "holds"
