"""What is judged: a challenger, the champion it would replace, and what they answered to the same examples.

case = Case(labels, class_names, Candidate("0008", logits, evaluation), champion="0007", ...)
case.finding(margin=0)      # 'challenger 0008 is 0.12 points better, 95 % interval -0.35 to 0.58 includes 0'
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from hemline.gate.statistics import Comparison, compare
from hemline.records.run import Evaluation


@dataclass(frozen=True)
class Candidate:
    """A version: what it answers to the test examples, and what was found when it was made."""

    version: str
    logits: np.ndarray  # (N, classes), or probabilities: only the largest of a row counts
    evaluation: Evaluation  # by its own run; `Case.accuracy` is on the present examples


@dataclass(frozen=True)
class Case:
    """A challenger, and the champion it would replace."""

    labels: np.ndarray  # (N,)
    class_names: Sequence[str]
    challenger: Candidate
    champion: str | None  # in production now
    compared_with: Candidate | None = None  # the champion; if that cannot be used, one before it
    remarks: list[str] = field(default_factory=list)  # part of the sentence
    doubts: list[str] = field(default_factory=list)  # the same, and a person must decide

    @cached_property
    def comparison(self) -> Comparison | None:
        """None if there is nothing to compare with."""
        if self.compared_with is None:
            return None
        return compare(self.labels, self.compared_with.logits, self.challenger.logits, self.class_names)

    def accuracy(self, candidate: Candidate) -> float:
        """The share of the examples that it gets right."""
        return float((candidate.logits.argmax(axis=1) == self.labels).mean())

    @property
    def substitute(self) -> str | None:
        """The version that stands in for a champion that cannot be compared with."""
        compared = self.compared_with.version if self.compared_with else None
        return None if compared == self.champion else compared

    def finding(self, margin: float) -> str:
        """How the challenger does against the version it is compared with, if there is one. margin: in points."""
        found, whom = self.comparison, f"challenger {self.challenger.version}"
        other = f"{self.substitute}, a champion before it" if self.substitute else ""
        if found is None:
            return f"{whom} has accuracy {self.accuracy(self.challenger):.2%}"
        if found.same_predictions:
            return f"{whom} makes the same predictions{other and f' as {other}'}"
        if not found.any_differ:
            return f"{whom} is right on the same examples{other and f' as {other}'}"
        low, high, difference = found.interval_low, found.interval_high, found.difference_points
        relation = "is above" if low > margin else "is below" if high < margin else "includes"
        sentence = (
            f"{whom} is {points(abs(difference))} points {'worse' if difference < 0 else 'better'}"
            f"{other and f' than {other}'}, 95 % interval {points(low)} to {points(high)} {relation} {margin:g}"
        )
        if low > margin and not found.proves(margin):
            sentence += f", but McNemar's p is {found.p_value:.2g}: too few examples differ"
        return sentence


def points(value: float) -> str:
    """With two digits, as sentences have them."""
    return f"{round(value, 2) + 0.0:.2f}"  # + 0.0: no '-0.00'
