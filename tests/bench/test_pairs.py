"""Single optimizers and pairs: drawn alike, valid, and chosen by what is told."""

from random import Random

import pytest

from bench import pairs
from hemline.config.retrain import RetrainConfig


def test_what_is_drawn_is_a_configuration() -> None:
    random = Random(0)
    for _ in range(50):
        low, high = pairs.RATES[(one := pairs.drawn(random))["optimizer"]]
        assert low <= one["learning_rate"] <= high
    assert set(RetrainConfig(groups=pairs.pair(random)).groups.by_name()) == {"lower", "upper"}
    (only,) = RetrainConfig(groups=pairs.single(random)).groups.by_name().values()
    assert only.layers == ["*"]


def test_the_best_three_are_tried_again() -> None:
    """d is the best with seed 1, and the second best of three with the others; a is not among the three."""
    configurations = [{"name": name} for name in "abcd"]
    with_seed = {1: {"a": 1, "b": 2, "c": 3, "d": 4}, 2: {"b": 5, "c": 9, "d": 6}, 3: {"b": 5, "c": 3, "d": 7}}
    chosen = pairs.best(configurations, lambda groups, seed: float(with_seed[seed][groups["name"]]))
    assert chosen == {"name": "d"}  # 6.5 on average, b 5, c 6


def test_an_interval_by_hand() -> None:
    # Student's t with 1 degree of freedom is 12.706 at 0.975; the standard deviation of 1 and 3 is the root of 2.
    assert pairs.half_width([1.0, 3.0]) == pytest.approx(12.706, abs=1e-3)
