"""What is judged: a challenger, the champion it would replace, and how sure it is that one is better.

case = Case("fashion_mnist", labels, class_names, Candidate("8", predictions, evaluation), champion="7", ...)
case.proves(margin=0.5)     # whether the challenger is better by more than half a point
case.finding(margin=0)      # 'challenger 8 is 0.12 points better, 95 % interval -0.35 to 0.59, p 0.32 is above ...'
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from hemline.gate.paired import interval, p_value, smallest_gain
from hemline.gate.spending import Look
from hemline.records.run import ClassChange, Evaluation

CHANGES = 20  # classes that a decision names


@dataclass(frozen=True)
class Comparison:
    """Champion and challenger on the same examples. Of several models a side, means over them."""

    examples: int
    challenger_only_right: float
    negative_flips: float  # examples that the champion alone gets right: what users see get worse
    squares: float | None  # sum of the squared differences; None for one model a side
    worst_class: str  # whose recall fell most
    worst_class_drop: float  # in points; negative if even it rose
    same_predictions: bool
    classes: list[ClassChange]  # of which there is an example

    @property
    def most_changed(self) -> list[ClassChange]:
        """At most CHANGES classes, in their order."""
        by_change = sorted(self.classes, key=lambda one: (-abs(one.difference_points), -one.negative_flips))
        limit = {one.name for one in by_change[:CHANGES]}
        return [one for one in self.classes if one.name in limit]

    @property
    def difference_points(self) -> float:
        """The challenger's accuracy minus the champion's, in points (percent of the examples)."""
        return 100 * (self.challenger_only_right - self.negative_flips) / self.examples

    @property
    def interval_points(self) -> tuple[float, float]:
        """Of the difference, 95 %."""
        low, high = interval(self.challenger_only_right, self.negative_flips, self.examples, self.squares)
        return 100 * low, 100 * high

    @property
    def differ(self) -> float:
        """Examples that only one of the two gets right."""
        return self.challenger_only_right + self.negative_flips

    def p_value(self, margin: float) -> float:
        """Of being better by more than the margin, in points; if negative, at most that much worse."""
        counts = self.challenger_only_right, self.negative_flips
        return float(p_value(*counts, self.examples, margin / 100, self.squares))

    def smallest_gain(self, margin: float, level: float) -> float | None:
        """What would have been proven, in points; None if nothing would."""
        counts = self.challenger_only_right, self.negative_flips
        gain = smallest_gain(*counts, self.examples, margin / 100, level, self.squares)
        return None if gain is None else 100 * gain


def compare(labels: np.ndarray, champion: np.ndarray, challenger: np.ndarray, class_names: Sequence[str]) -> Comparison:
    """labels: (N,). champion, challenger: (models, N), the classes that each of them predicts."""
    before, after = (champion == labels).mean(axis=0), (challenger == labels).mean(axis=0)  # (N,)
    gains, flips = after - before, before * (1 - after)  # (N,)
    classes = [
        ClassChange(
            name=class_names[label],
            examples=int(own.sum()),
            difference_points=100 * float(gains[own].mean()),
            negative_flips=float(flips[own].sum()),
        )
        for label in np.unique(labels)
        for own in [labels == label]
    ]
    worst = min(classes, key=lambda one: one.difference_points)
    single = len(champion) == len(challenger) == 1
    number = int if single else float
    return Comparison(
        examples=len(labels),
        challenger_only_right=number((after * (1 - before)).sum()),
        negative_flips=number(flips.sum()),
        squares=None if single else float((gains**2).sum()),
        worst_class=worst.name,
        worst_class_drop=0 - worst.difference_points,
        same_predictions=np.array_equal(champion, challenger),
        classes=classes,
    )


@dataclass(frozen=True)
class Candidate:
    """A version: what it answers to the test examples, and what was found when it was made."""

    version: str
    predictions: np.ndarray  # (models, N): a class for each example, of one model or of the same recipe's other seeds
    evaluation: Evaluation  # by its own run; `Case.accuracy` is on the present examples


@dataclass(frozen=True)
class Case:
    """A challenger, and the champion it would replace."""

    name: str  # of the model whose versions they are
    labels: np.ndarray  # (N,)
    class_names: Sequence[str]
    challenger: Candidate
    champion: str | None  # in production now
    compared_with: Candidate | None = None  # the champion; if that cannot be used, one before it
    look: Look = field(default_factory=Look)
    remarks: list[str] = field(default_factory=list)  # part of the sentence
    doubts: list[str] = field(default_factory=list)  # the same, and a person must decide

    @cached_property
    def comparison(self) -> Comparison | None:
        """None if there is nothing to compare with."""
        if self.compared_with is None:
            return None
        return compare(self.labels, self.compared_with.predictions, self.challenger.predictions, self.class_names)

    def accuracy(self, candidate: Candidate) -> float:
        """The share of the examples that it gets right."""
        return float((candidate.predictions == self.labels).mean())

    def proves(self, margin: float) -> bool:
        """Whether the challenger is better by more than the margin, in points, as surely as this look demands."""
        found = self.comparison
        return found is not None and found.differ > 0 and found.p_value(margin) <= self.look.level

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
        if not found.differ:
            return f"{whom} is right on the same examples{other and f' as {other}'}"
        low, high = map(points, found.interval_points)
        p = f"p {found.p_value(margin):.2g}{f' for a margin of {margin:g}' if margin else ''}"
        return (
            f"{whom} is {gain(found.difference_points)}{other and f' than {other}'}, 95 % interval {low} to {high}, "
            f"{p} is {'below' if self.proves(margin) else 'above'} the level {self.look.level:.2g}"
        )

    def shortfall(self, margin: float) -> str:
        """Why the margin, in points, is not proven."""
        found = self.comparison
        if found is None or not found.differ:
            return self.finding(margin)
        enough = found.smallest_gain(margin, self.look.level)
        differ = f"{found.differ:.0f} examples differ"
        return f"{differ}, too few to prove any gain" if enough is None else f"{differ}, so it had to be {gain(enough)}"


def gain(value: float) -> str:
    """'0.12 points better'."""
    return f"{points(abs(value))} points {'worse' if value < 0 else 'better'}"


def points(value: float) -> str:
    """With two digits, as sentences have them."""
    return f"{round(value, 2) + 0.0:.2f}"  # + 0.0: no '-0.00'
