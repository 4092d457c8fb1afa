"""TODO records.decision."""

from typing import Literal

from pydantic import BaseModel

Numbers = dict[str, bool | int | float | str | None]  # by name, in the words of artifacts/README.md


Verdict = Literal["promoted", "kept", "needs approval"]


class Decision(BaseModel):
    """Whether a version becomes the champion, and why."""

    verdict: Verdict
    champion: str | None  # before the decision
    challenger: str
    sentence: str
    numbers: Numbers
