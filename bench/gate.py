"""How often the gate fools itself over a year on one test split, and which true gains it finds.

    make bench-gate                             # a minute or two; or: make bench-gate ARGS="--years 200"

A year is a champion and 365 challengers that are exactly as good, all judged on the same 10,000 test examples. Every
example has a difficulty, so that all find the same ones easy: two models differ on about 5 % of the examples, as two
trainings of one recipe do. A gain is a shift of all difficulties (Rasch's model). Examples of one difficulty are drawn
together, as a multinomial number of them. Levels and tests are the gate's own functions.
"""

import argparse
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import beta, binom

from hemline.config.gate import Gate
from hemline.gate.paired import p_value
from hemline.gate.spending import level_of

EXAMPLES, NIGHTS, MONTH = 10_000, 365, 30
ACCURACY, DIFFER = 0.88, 0.05  # of a model; share of the examples that one of two equally good models alone gets right
BINS = 12  # of difficulty
OLD_LEVEL = 0.025  # one-sided, of the rule before: a two-sided 95 % interval above 0
GAINS, MODELS = (0.3, 0.5, 1.0), (1, 3, 5)  # points; models of one recipe a side


@dataclass(frozen=True)
class Split:
    """A test split by difficulty: how many examples of each, and how likely a model is right on one of them."""

    counts: np.ndarray  # (BINS,)
    right: np.ndarray  # (BINS,)

    def better(self, points: float) -> "Split":
        """As a recipe sees it whose models are better by so many points on average."""
        if not points:
            return self
        shares = self.counts / EXAMPLES

        def gain(shift: float) -> float:
            return 100 * float(shares @ (expit(logit(self.right) + shift) - self.right)) - points

        return Split(self.counts, expit(logit(self.right) + brentq(gain, 0, 10)))


@cache
def difficulties() -> Split:
    """Difficulties of a beta distribution with this accuracy, and this share of examples that differ."""
    size = 1 / (2 * ACCURACY * (1 - ACCURACY) / DIFFER - 1)  # of the two parameters: 2 p (1 - p) is DIFFER on average
    edges = np.linspace(0, 1, BINS + 1)
    below = beta(size * ACCURACY, size * (1 - ACCURACY)).cdf(edges)
    right_below = ACCURACY * beta(size * ACCURACY + 1, size * (1 - ACCURACY)).cdf(edges)
    return Split(np.diff(np.round(EXAMPLES * below)).astype(int), np.diff(right_below) / np.diff(below))


def binomial(models: int, right: np.ndarray) -> np.ndarray:
    """(BINS, models + 1): the chance that so many of the models are right on an example."""
    numbers = np.arange(models + 1)
    return np.asarray(binom.pmf(numbers, models, right[:, None]))


def p_values(years: int, nights: int, points: float, models: int, random: np.random.Generator) -> np.ndarray:
    """(years, nights): the gate's, of challengers that are better by so many points than the champion of the year."""
    split = difficulties()
    chances = binomial(models, split.better(points).right)
    champions = random.multinomial(split.counts, binomial(models, split.right), size=(years, BINS))
    after = np.arange(models + 1) / models  # the share of a side's models that are right on an example
    better, worse, squares = np.zeros((3, years, nights))
    for difficulty, number in np.ndindex(BINS, models + 1):
        examples, before = champions[:, difficulty, number], after[number]  # (years,), and the champion's share
        found = random.multinomial(examples[:, None], chances[difficulty], size=(years, nights))
        better += found @ (after * (1 - before))
        worse += found @ (before * (1 - after))
        squares += found @ (after - before) ** 2
    return p_value(better, worse, EXAMPLES, squares=None if models == 1 else squares)


def fooled(years: int, models: int, seed: int = 0) -> tuple[float, float]:
    """The share of the years with a promotion of a version that is no better: by the rule before, by the gate."""
    smallest = p_values(years, NIGHTS, 0, models, np.random.default_rng(seed)).min(axis=1)
    return float((smallest <= OLD_LEVEL).mean()), float((smallest <= level_of(NIGHTS)).mean())


def found(years: int, models: int, points: float, nights: int, seed: int = 0) -> float:
    """The share of the years in which the gate has promoted a better challenger after so many nights."""
    smallest = p_values(years, nights, points, models, np.random.default_rng(seed)).min(axis=1)
    return float((smallest <= level_of(Gate().decisions)).mean())


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--years", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    gains = " | ".join(f"{points:g} points" for points in GAINS)
    print(f"| models a side | rule before: fooled in a year | gate: fooled in a year | finds {gains} |")
    print("| --- " * (3 + len(GAINS)) + "|")
    for models in MODELS:
        cells = [f"{share:.1%}" for share in fooled(given.years, models, given.seed)]
        for points in GAINS:
            shares = (found(given.years, models, points, nights, given.seed) for nights in (1, MONTH))
            cells.append(", ".join(f"{share:.0%}" for share in shares))
        print(f"| {models} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
