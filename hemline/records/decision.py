"""What becomes of a published version, and why.

decision.sentence       # 'promoted 0008 over 0007: challenger 0008 is 2.29 points better, 95 % interval ...'
"""

from typing import Literal

from pydantic import BaseModel

Measurements = dict[str, bool | int | float | str]  # by name, in the words of artifacts/README.md
Verdict = Literal["promoted", "kept", "needs approval"]


class Decision(BaseModel):
    """Whether a version becomes the champion, and why."""

    verdict: Verdict
    champion: str | None  # before the decision
    challenger: str
    sentence: str
    measurements: Measurements
