"""What is done about what the checks of the data find: Checks(leaks="warn, ask above 0.01", duplicates="ignore").

    answer_to(0.02, "warn, ask above 0.01")     # 'ask': the strictest answer whose limit the finding is above
    answer_to(0.02, "warn above 0.1")           # 'note': it is within every limit

What is noted or warned of is in the log. What is asked about needs a person before the version is promoted. What is
refused stops the run before it trains. Each field here has its check in `CHECKS` of `hemline.data.checks`.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from hemline.config.fields import Strict

Answer = Literal["note", "warn", "ask", "refuse"]
ANSWERS: list[Answer] = ["refuse", "ask", "warn", "note"]  # the strictest first
_CLAUSE = r"(warn|ask|refuse)( above \d+(\.\d+)?)?"


def _readable(given: str) -> str:
    if not re.fullmatch(f"ignore|{_CLAUSE}(, {_CLAUSE})*", given):
        raise ValueError(
            "the answer to a check must be 'ignore', or 'warn', 'ask' or 'refuse', each with a limit or without, as "
            f"in 'warn, ask above 0.01'. Received: {given!r}."
        )
    return given


Answers = Annotated[str, AfterValidator(_readable)]


class Checks(Strict):
    """What each check of the data leads to: 'ignore', 'warn', 'ask' or 'refuse'; 'ask above 0.01' has a limit."""

    labels: Answers = Field("refuse", description="labels that are none of the classes; limits are numbers of labels")
    missing_classes: Answers = Field(
        "refuse", description="classes without an example in a split; limits are numbers of classes"
    )
    classes: Answers = Field("ask", description="other classes than the champion's; limits are numbers of classes")
    balance: Answers = Field(
        "warn above 0.1", description="share of a split that is of other classes than in the champion's data"
    )
    brightness: Answers = Field(
        "warn above 0.33, ask above 0.47",
        description="how far new images are brighter or darker than the champion's of the same class: Cliff's delta, "
        "0 to 1",
    )
    contrast: Answers = Field("warn above 0.33, ask above 0.47", description="the same of their contrast")
    sharpness: Answers = Field("warn above 0.33, ask above 0.47", description="the same of their sharpness")
    duplicates: Answers = Field(
        "warn above 0.01", description="share of a split that has the pixels of an earlier example of it"
    )
    leaks: Answers = Field(
        "warn, ask above 0.005", description="share of the test split that has the pixels of an example of train"
    )
    conflicts: Answers = Field(
        "warn, ask above 0.005", description="share of the examples whose pixels have another label elsewhere"
    )
    flat_images: Answers = Field(
        "warn, ask above 0.01", description="share of a split's images that are of one colour, or nearly"
    )
    relabelled: Answers = Field(
        "warn, ask above 0.01",
        description="share of a split's examples, of those in the champion's data, that have another label now",
    )
    contradicted: Answers = Field(
        "ask above 0.1",
        description="share of the new labels that the champion contradicts, beyond its share of errors when it was "
        "tested",
    )


def answer_to(size: float, answers: str) -> Answer:
    """The strictest answer whose limit the size is above; a note if there is none."""
    clauses = (clause.partition(" above ") for clause in answers.split(", "))
    applying = {"note", *(answer for answer, _, limit in clauses if size > float(limit or 0))}
    return next(answer for answer in ANSWERS if answer in applying)
