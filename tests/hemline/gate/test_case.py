"""Comparisons of a champion and a challenger, worked by hand."""

import numpy as np
import pytest

from hemline.gate.case import compare
from tests.hemline.gate.test_deciding import NAMES, pair


def test_a_comparison_worked_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    before = np.array([[0, 0, 0, 1, 1, 1, 1, 1, 0, 0]])  # recall 3/4 and 4/6
    after = np.array([[0, 0, 1, 1, 1, 1, 1, 1, 1, 1]])  # recall 2/4 and 6/6
    result = compare(labels, before, after, NAMES)
    assert (result.challenger_only_right, result.negative_flips, result.differ) == (2, 1, 3)
    assert result.difference_points == pytest.approx(10)
    assert (result.worst_class, result.worst_class_drop) == ("a", pytest.approx(25))
    assert result.p_value(0) == pytest.approx(4 / 8)
    assert not result.same_predictions


def test_a_class_without_examples_cannot_fall() -> None:
    labels, before, after = pair(better=1, worse=0, both=5)
    assert compare(np.zeros_like(labels), before[None], after[None], NAMES).worst_class == "a"


def test_several_copies_of_a_model_are_as_good_as_it() -> None:
    labels, before, after = pair(better=30, worse=20, both=150, neither=5)
    one, three = (compare(labels, np.tile(before, (n, 1)), np.tile(after, (n, 1)), NAMES) for n in (1, 3))
    assert (one.challenger_only_right, one.negative_flips) == (three.challenger_only_right, three.negative_flips)
    assert one.interval_points == three.interval_points
    assert (one.squares, three.squares) == (None, 50)
    assert one.p_value(0) == pytest.approx(three.p_value(0), rel=0.3)  # exact, and normal
