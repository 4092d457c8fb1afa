"""How sure it is that one model is better than another on the same examples, by more than a margin.

    p_value(290, 278, examples=10_000)                  # 0.32: as uneven as that by chance, if they are equally good
    interval(290, 278, examples=10_000)                 # (-0.0035, 0.0059): 95 % interval of the gain
    smallest_gain(290, 278, 10_000, margin=0, level=0.05 / 365)     # 0.0088: what had to be seen

better, worse: examples that the challenger, or the champion, alone gets right. Gains and margins are shares of the
examples. Of several models a side (the same recipe, other seeds) an example counts by the share of them that are right:
better is the sum of what the challengers have and the champions lack, worse the reverse, and squares the sum of the
squared differences. Counts may be arrays: `bench.gate` tries thousands of years with these functions.
"""

from bisect import bisect_left

import numpy as np

Counts = float | np.ndarray

COVERAGE = 0.95  # of the interval that describes a gain; it decides nothing
TINY = 1e-12  # instead of a variance of 0, so that a gain without any is certain


def p_value(
    better: Counts, worse: Counts, examples: int, margin: float = 0, squares: Counts | None = None
) -> np.ndarray:
    """The chance of so large a gain if the true one is the margin: one-sided, so small if it is more than that.

    Margin 0: McNemar's test, Psychometrika 12 (1947) 153, exact. Other margins: the score test for paired proportions
    of Tango, Statistics in Medicine 17 (1998) 891. Several models a side: the score test of a mean, normal. At a level
    of 0.05 / 365 chance passes Tango's 0.003 to 1.0 times as often as that (5 million draws of 70 to 10,000 examples).
    """
    from scipy.special import bdtrc, ndtr

    if squares is None and margin == 0:
        differ = np.add(better, worse).astype(
            int
        )  # of as many, at least `better` heads; bdtrc wants no more heads than tosses
        return np.where(np.equal(better, 0), 1.0, bdtrc(np.maximum(np.subtract(better, 1), 0), differ, 0.5))
    beyond = np.subtract(better, worse) - examples * margin
    if squares is None:
        variance = _tango_variance(better, worse, examples, margin)
    else:
        variance = _variance(better, worse, examples, margin, squares)
    return np.asarray(ndtr(-beyond / np.sqrt(np.maximum(variance, TINY))))


def _tango_variance(better: Counts, worse: Counts, examples: int, margin: float) -> Counts:
    """Of better - worse, with the likeliest share of the worse that there is at this margin."""
    a, c = 2 * examples, -np.multiply(worse, margin * (1 - margin))
    b = (a - np.subtract(better, worse)) * margin - np.add(better, worse)
    share = (np.sqrt(b**2 - 4 * a * c) - b) / (2 * a)
    return np.asarray(examples * (2 * share + margin * (1 - margin)))


def _variance(better: Counts, worse: Counts, examples: int, margin: float, squares: Counts) -> Counts:
    """Of better - worse: the sum of the squared differences from the margin."""
    return np.asarray(squares - 2 * margin * np.subtract(better, worse) + examples * margin**2)


def interval(better: float, worse: float, examples: int, squares: float | None = None) -> tuple[float, float]:
    """Of the gain, 95 %: the margins that the score test of a mean, two-sided, does not refuse."""
    from scipy.special import ndtri

    z, gain = -ndtri((1 - COVERAGE) / 2), (better - worse) / examples
    variance = (better + worse if squares is None else squares) / examples - gain**2
    if examples <= z**2:
        return -1.0, 1.0
    half = float(z * np.sqrt(max(variance, 0) / (examples - z**2)))
    return max(-1.0, gain - half), min(1.0, gain + half)


def smallest_gain(
    better: float, worse: float, examples: int, margin: float, level: float, squares: float | None = None
) -> float | None:
    """The smallest gain that would have been proven, with as many examples that differ; None if none would."""
    from scipy.special import ndtri

    if squares is not None:
        variance = _variance(better, worse, examples, margin, squares)
        return float(margin - ndtri(level) * np.sqrt(variance) / examples)
    differ = round(better + worse)
    wins = range(differ + 1)  # the more of them, the smaller p
    least = bisect_left(wins, -level, key=lambda won: -float(p_value(won, differ - won, examples, margin)))
    return (2 * least - differ) / examples if least <= differ else None
