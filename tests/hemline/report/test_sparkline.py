"""A curve in a line: worked by hand, and its shape for any values."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemline.report.sparkline import BLOCKS, sparkline, thinned


@pytest.mark.parametrize(
    ("values", "curve"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([0.9, 0.5, 0.3, 0.2], "█▄▂▁"),
        ([1, None, 2], "▁ █"),
        ([1, math.nan, math.inf, 2], "▁  █"),
        ([3, 3, 3], "▄▄▄"),
        ([0.5], "▄"),
        ([None, math.nan], "  "),
        ([], ""),
        ([-1.7e308, 1.7e308], "▁█"),
        ([0, 5e-324], "▁█"),
    ],
)
def test_curves_worked_by_hand(values: list[float | None], curve: str) -> None:
    assert sparkline(values) == curve


@given(st.lists(st.none() | st.floats(), max_size=50))
def test_a_letter_for_each_value_and_never_a_lower_one_for_a_higher_value(values: list[float | None]) -> None:
    curve = sparkline(values)
    assert len(curve) == len(values)
    pairs = [(value, letter) for value, letter in zip(values, curve, strict=True) if letter != " "]
    assert [letter for _, letter in sorted(pairs)] == sorted((letter for _, letter in pairs), key=BLOCKS.index)


@given(st.lists(st.integers().map(float), max_size=50), st.integers(2, 60))
def test_what_is_thinned_keeps_its_ends_and_order(values: list[float | None], most: int) -> None:
    kept = thinned(values, most)
    assert len(kept) == min(len(values), most)
    assert kept[:1] + kept[-1:] == list(values[:1]) + list(values[-1:])
    following = iter(values)
    assert all(value in following for value in kept)
