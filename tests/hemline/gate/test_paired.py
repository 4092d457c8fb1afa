"""Tests and intervals of paired examples: worked by hand, against naive twins, and the shape they always have."""

from math import comb

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from hemline.gate.paired import interval, p_value, smallest_gain

LEVEL = 0.05 / 365


def test_mcnemar_worked_by_hand() -> None:
    # Of 12 examples that differ, 10 or more on the challenger's side: (66 + 12 + 1) / 2^12.
    assert p_value(10, 2, 100) == pytest.approx(79 / 4096)
    assert p_value(2, 10, 100) == pytest.approx(1 - 13 / 4096)
    assert p_value(5, 0, 100) == pytest.approx(1 / 32)
    assert p_value(0, 0, 100) == 1


def test_mcnemar_counts_the_ways() -> None:
    """The naive twin adds up binomial coefficients, far out in the tail too."""
    for better, worse in [(30, 4), (300, 180), (0, 7)]:
        differ = better + worse
        ways = sum(comb(differ, wins) for wins in range(better, differ + 1))
        assert p_value(better, worse, 10_000) == pytest.approx(ways / 2**differ, rel=1e-9)


@pytest.mark.parametrize(("better", "worse"), [(1, 14), (14, 1), (0, 3), (3, 0), (40, 25)])
@pytest.mark.parametrize("margin", [-0.2, -0.01, 0.005, 0.3])
def test_tangos_test_is_that_of_the_likeliest_share(better: int, worse: int, margin: float) -> None:
    """The naive twin finds it by maximising the likelihood: shares worse + margin, worse, and the rest."""
    examples = 100

    def unlikely(share: float) -> float:
        shares = np.array([share + margin, share, 1 - 2 * share - margin])
        counts = np.array([better, worse, examples - better - worse])
        return -float(counts @ np.log(np.maximum(shares, 1e-300)))

    low, high = max(0.0, -margin), (1 - margin) / 2
    share = minimize_scalar(unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-10}).x
    variance = examples * (2 * share + margin - margin**2)
    expected = norm.sf((better - worse - examples * margin) / np.sqrt(variance))
    assert p_value(better, worse, examples, margin) == pytest.approx(expected, rel=1e-3)


def test_tangos_example() -> None:
    """His paper's: of 44 patients 1 does well on the old treatment alone, none on the new. At most 10 points worse?"""
    # By hand: a = 2 * 44, b = -0.1 * (88 + 1) - 1 = -9.9, c = 1 * 0.1 * 1.1 = 0.11.
    share = (np.sqrt(9.9**2 - 4 * 88 * 0.11) + 9.9) / 176
    z = (-1 + 4.4) / np.sqrt(44 * (2 * share - 0.11))
    assert p_value(0, 1, 44, -0.1) == pytest.approx(norm.sf(z))
    assert z == pytest.approx(1.709, abs=0.001)


def test_several_models_worked_by_hand() -> None:
    # Differences 1, 1/2, 1/2, -1/2 and 0 twelve times: their sum is 1.5, and the sum of squares 1.75.
    assert p_value(2, 0.5, 16, squares=1.75) == pytest.approx(norm.sf(1.5 / np.sqrt(1.75)))
    # Around a margin of 1/16: 1.75 - 2 * 1.5 / 16 + 16 / 16^2.
    assert p_value(2, 0.5, 16, 1 / 16, squares=1.75) == pytest.approx(norm.sf(0.5 / np.sqrt(1.75 - 0.1875 + 0.0625)))
    assert p_value(0, 0, 16, squares=0.0) == 0.5  # nothing is known


def test_arrays_are_so_many_tests() -> None:
    better, worse = np.array([[10, 2], [5, 0]]), np.array([[2, 10], [0, 0]])
    for margin in (0, 0.01):
        every = p_value(better, worse, 100, margin)
        for place in np.ndindex(2, 2):
            assert every[place] == p_value(better[place], worse[place], 100, margin)


def test_the_interval_agrees_with_resampling_examples() -> None:
    """The naive twin draws 400 examples 4,000 times, with a standard error of about 0.03 points."""
    gains = np.array([1] * 30 + [-1] * 18 + [0] * 352)
    rng = np.random.default_rng(1)
    means = [rng.choice(gains, size=400).mean() for _ in range(4000)]
    assert interval(30, 18, 400) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.0026)
    # And both with the normal one: 3 +- 1.96 sqrt(0.12 - 0.03^2) / sqrt(400), in points.
    assert interval(30, 18, 400) == pytest.approx((0.03 - 0.03383, 0.03 + 0.03383), abs=0.0005)
    assert interval(1, 1, 2) == (-1, 1)


@given(better=st.integers(0, 300), worse=st.integers(0, 300), same=st.integers(4, 3000))
def test_the_ends_of_the_interval_are_margins_that_the_score_test_just_refuses(
    better: int, worse: int, same: int
) -> None:
    examples, squares = better + worse + same, float(better + worse)
    low, high = interval(better, worse, examples)
    assert -1 <= low <= (better - worse) / examples <= high <= 1
    assume(better + worse and low > -1 and high < 1)
    assert p_value(better, worse, examples, low, squares) == pytest.approx(0.025)
    assert p_value(better, worse, examples, high, squares) == pytest.approx(0.975)


@given(
    better=st.integers(0, 60),
    worse=st.integers(0, 60),
    same=st.integers(1, 400),
    margin=st.sampled_from([-0.02, 0, 0.01]),
)
def test_the_smallest_gain_is_where_proof_begins(better: int, worse: int, same: int, margin: float) -> None:
    differ, examples = better + worse, better + worse + same
    proven = [
        (2 * wins - differ) / examples
        for wins in range(differ + 1)
        if p_value(wins, differ - wins, examples, margin) <= LEVEL
    ]
    assert smallest_gain(better, worse, examples, margin, LEVEL) == (min(proven) if proven else None)


def test_the_smallest_gain_of_several_models_is_where_proof_begins() -> None:
    least = smallest_gain(400, 350, 10_000, 0.001, LEVEL, squares=200)
    assert least
    z = norm.isf(LEVEL)
    assert least == pytest.approx(0.001 + z * np.sqrt(200 - 0.1 + 0.01) / 10_000)
    assert smallest_gain(400, 350, 10_000, 0.002, LEVEL, squares=200) > least  # type: ignore[operator]


@given(
    counts=st.tuples(st.integers(0, 80), st.integers(0, 80), st.integers(0, 300)),
    margin=st.sampled_from([-1, -0.3, -0.01, 0, 0.01, 0.3, 1]),
)
def test_the_shape_of_a_p_value(counts: tuple[int, int, int], margin: float) -> None:
    better, worse, same = counts
    examples = better + worse + same + 1
    p = float(p_value(better, worse, examples, margin))
    assert 0 <= p <= 1
    # One more example that the challenger alone gets right never makes it less sure.
    assert p_value(better + 1, worse, examples, margin) <= p + 1e-12
    # A larger margin is harder to prove. (The exact test, at 0, is more careful than its neighbours.)
    if margin > 0:
        assert p_value(better, worse, examples, margin / 2) <= p + 1e-12
