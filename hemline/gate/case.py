"""What is judged: a challenger, the champion it would replace, and how sure it is that one is better.

    case = Case("fashion_mnist", labels, class_names, Candidate("8", logits, evaluation), champion="7", ...)
    case.comparison.proves(margin=0.5)      # whether the challenger is better by more than half a point
    case.finding(margin=0)      # 'challenger 8 is 0.12 points better, 95 % interval -0.35 to 0.58 includes 0'

Only the examples that one model alone gets right count. The interval is the paired bootstrap's: drawing their numbers
from a multinomial is resampling the examples, in 2 ms for 10,000 resamples of 10,000 examples instead of 0.8 s. Where a
handful of examples differ, a percentile interval is too sure of itself, so McNemar's exact test must agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from hemline.records.run import Evaluation

RESAMPLES = 10_000
SIGNIFICANCE = 0.05  # of the 95 % interval and of McNemar's test alike


@dataclass(frozen=True)
class Comparison:
    """The challenger's accuracy minus the champion's, in points (percent of the examples)."""

    difference_points: float
    interval_low: float
    interval_high: float
    challenger_only_right: int
    champion_only_right: int
    p_value: float  # McNemar's exact test, two-sided
    worst_class: str  # whose recall fell most
    worst_class_drop: float  # in points; negative if even it rose
    same_predictions: bool

    @property
    def any_differ(self) -> bool:
        """Whether there are examples that only one of the two gets right."""
        return self.challenger_only_right + self.champion_only_right > 0

    def proves(self, margin: float) -> bool:
        """Whether the challenger is better by more than the margin, in points; if negative, at most that much worse."""
        enough = margin < 0 or self.p_value < SIGNIFICANCE  # McNemar's test knows no other margin than 0
        return self.any_differ and self.interval_low > margin and enough


def mcnemar(challenger_only: int, champion_only: int) -> float:
    """How likely so uneven a split of the examples that differ is if both models are equally good."""
    from scipy.stats import binomtest

    differ = challenger_only + champion_only
    return float(binomtest(challenger_only, differ, 0.5).pvalue) if differ else 1.0


def bootstrap(challenger_only: int, champion_only: int, examples: int, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the difference in accuracy, in points."""
    shares = np.array([challenger_only, champion_only, examples - challenger_only - champion_only]) / examples
    counts = np.random.default_rng(seed).multinomial(examples, shares, size=RESAMPLES)  # (RESAMPLES, 3)
    points = 100 * (counts[:, 0] - counts[:, 1]) / examples
    low, high = np.quantile(points, [SIGNIFICANCE / 2, 1 - SIGNIFICANCE / 2])
    return float(low), float(high)


def compare(labels: np.ndarray, champion: np.ndarray, challenger: np.ndarray, class_names: Sequence[str]) -> Comparison:
    """labels: (N,). champion, challenger: (N, classes), of the same examples."""
    before, after = champion.argmax(axis=1), challenger.argmax(axis=1)
    better = int(((after == labels) & (before != labels)).sum())
    worse = int(((after != labels) & (before == labels)).sum())
    low, high = bootstrap(better, worse, len(labels))
    drops = {}
    for label in np.unique(labels):
        of_class = labels == label
        drop = (before[of_class] == label).mean() - (after[of_class] == label).mean()
        drops[class_names[label]] = 100 * float(drop)
    worst = max(drops, key=drops.__getitem__)
    return Comparison(
        difference_points=100 * (better - worse) / len(labels),
        interval_low=low,
        interval_high=high,
        challenger_only_right=better,
        champion_only_right=worse,
        p_value=mcnemar(better, worse),
        worst_class=worst,
        worst_class_drop=drops[worst],
        same_predictions=bool((before == after).all()),
    )


@dataclass(frozen=True)
class Candidate:
    """A version: what it answers to the test examples, and what was found when it was made."""

    version: str
    logits: np.ndarray  # (N, classes), or probabilities: only the largest of a row counts
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
