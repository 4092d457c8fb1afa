"""Comparisons worked by hand, against naive twins, and the shape they always have."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemline.gate.case import bootstrap, compare, mcnemar
from tests.hemline.gate.test_deciding import NAMES, pair


def test_mcnemar_worked_by_hand() -> None:
    # Of 12 examples that differ, 2 or fewer on the one side: (1 + 12 + 66) / 2^12, and as many on the other.
    assert mcnemar(10, 2) == pytest.approx(2 * 79 / 4096)
    assert mcnemar(2, 10) == mcnemar(10, 2)
    assert mcnemar(5, 0) == pytest.approx(2 / 32)
    assert mcnemar(3, 3) == mcnemar(0, 0) == 1


def test_the_bootstrap_agrees_with_resampling_examples() -> None:
    """The naive twin draws 400 examples 4,000 times; both have a standard error of about 0.03 points."""
    gains = np.array([1] * 30 + [-1] * 18 + [0] * 352)
    rng = np.random.default_rng(1)
    means = [100 * rng.choice(gains, size=400).mean() for _ in range(4000)]
    assert bootstrap(30, 18, 400) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.26)
    # And both with the normal one: 3 +- 1.96 sqrt(0.12 - 0.03^2) / sqrt(400), in points.
    assert bootstrap(30, 18, 400) == pytest.approx((3 - 3.383, 3 + 3.383), abs=0.26)


def test_the_bootstrap_is_the_same_every_time_and_seeded() -> None:
    assert bootstrap(290, 282, 10_000) == bootstrap(290, 282, 10_000)
    assert bootstrap(290, 282, 10_000) == pytest.approx(bootstrap(290, 282, 10_000, seed=1), abs=0.03)


@given(better=st.integers(0, 300), worse=st.integers(0, 300), same=st.integers(1, 3000))
def test_the_shape_of_the_interval(better: int, worse: int, same: int) -> None:
    examples = better + worse + same
    low, high = bootstrap(better, worse, examples)
    difference = 100 * (better - worse) / examples
    assert -100 <= low <= difference <= high <= 100
    assert (low, high) == (0, 0) or better + worse > 0
    assert 0 <= mcnemar(better, worse) <= 1
    # A challenger that wins ten more examples which nobody got right is never judged worse for it.
    more = bootstrap(better + 10, worse, examples + 10)
    assert more[0] >= low - 0.3
    assert more[1] >= high - 0.3 or better > same


def test_a_comparison_worked_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    before = np.eye(2)[[0, 0, 0, 1, 1, 1, 1, 1, 0, 0]]  # recall 3/4 and 4/6
    after = np.eye(2)[[0, 0, 1, 1, 1, 1, 1, 1, 1, 1]]  # recall 2/4 and 6/6
    result = compare(labels, before, after, NAMES)
    assert (result.challenger_only_right, result.champion_only_right) == (2, 1)
    assert result.difference_points == pytest.approx(10)
    assert (result.worst_class, result.worst_class_drop) == ("a", pytest.approx(25))
    assert result.p_value == 1
    assert not result.same_predictions


def test_a_class_without_examples_cannot_fall() -> None:
    labels, before, after = pair(better=1, worse=0, both=5)
    assert compare(np.zeros_like(labels), before, after, NAMES).worst_class == "a"
