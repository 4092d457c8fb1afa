"""The simulation of years on one test split, in short: the rule before is fooled in most of them, the gate in few."""

import numpy as np
import pytest
from scipy.stats import ks_2samp, norm

from bench.gate import BINS, EXAMPLES, binomial, difficulties, fooled, found, p_values


def test_models_differ_as_much_as_they_should() -> None:
    split = difficulties()
    assert split.counts.sum() == EXAMPLES
    assert split.counts @ split.right / EXAMPLES == pytest.approx(0.88, abs=0.001)
    assert 2 * split.counts @ (split.right * (1 - split.right)) / EXAMPLES == pytest.approx(0.05, abs=0.001)


@pytest.mark.parametrize("points", [0.3, 1.0])
def test_a_gain_is_one_of_accuracy_and_of_every_difficulty(points: float) -> None:
    split = difficulties()
    better = split.better(points)
    assert 100 * split.counts @ (better.right - split.right) / EXAMPLES == pytest.approx(points)
    assert (better.right > split.right).all()
    assert split.better(0) is split


def test_drawing_by_difficulty_is_drawing_every_example() -> None:
    """The naive twin draws each of 10,000 examples for two models, 400 times."""
    random, split = np.random.default_rng(1), difficulties()
    right = np.repeat(split.right, split.counts)
    champions, challengers = random.random((2, 400, EXAMPLES)) < right
    differ = (champions != challengers).sum(axis=1)
    z = ((challengers & ~champions).sum(axis=1) - (champions & ~challengers).sum(axis=1)) / np.sqrt(differ)
    ours = p_values(400, 1, 0, 1, random)[:, 0]
    assert ks_2samp(norm.sf(z), ours).pvalue > 0.001
    assert binomial(3, split.right).sum(axis=1) == pytest.approx(np.ones(BINS))


def test_a_year_of_equally_good_challengers() -> None:
    before, now = fooled(years=200, models=1)
    assert 0.4 < before < 0.7
    assert now < 0.05


def test_several_models_a_side_are_not_fooled_either_and_find_more() -> None:
    assert fooled(years=60, models=3)[1] < 0.1
    powers = [found(200, models, points=0.5, nights=1) for models in (1, 3, 5)]
    assert powers[0] < 0.2
    assert powers[1] == pytest.approx(0.6, abs=0.15)
    assert powers[2] > 0.8
