"""Axes in SVG: where a value stands, and which numbers stand beside it."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemline.report.panel import Panel, text, ticks

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("low", "high", "most", "least", "expected"),
    [
        (86.7, 88.6, 6, 0, {87.0: "87.0", 87.5: "87.5", 88.0: "88.0", 88.5: "88.5"}),
        (0, 13, 3, 1, {0: "0", 5: "5", 10: "10"}),
        (0, 1, 3, 1, {0: "0", 1: "1"}),  # and not thirds of a second
        (59_400, 60_600, 3, 1, {59_500: "59,500", 60_000: "60,000", 60_500: "60,500"}),
        (-0.06, 0.31, 4, 0, {0.0: "0.0", 0.1: "0.1", 0.2: "0.2", 0.3: "0.3"}),
    ],
)
def test_numbers_are_round(low: float, high: float, most: int, least: float, expected: dict[float, str]) -> None:
    assert ticks(low, high, most, least) == expected


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 9))
def test_numbers_are_different_even_and_within_the_limits(low: float, span: float, most: int) -> None:
    high = low + span
    found = ticks(low, high, most)
    assert len(found) <= most + 1
    assert len(set(found.values())) == len(found)
    assert all(float(number.replace(",", "")) == value for value, number in found.items())
    rounding = 1e-6 * span
    assert all(low - rounding <= value <= high + rounding for value in found)


def test_a_value_is_as_far_up_as_it_is_between_the_limits() -> None:
    panel = Panel(20, 120, low=80, high=90, ticks={80: "80", 90: "90"}, label="share\nof all")
    assert [panel.y(value) for value in (80, 82.5, 90)] == [120, 95, 20]
    svg = ET.fromstring(f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(panel.axes(50, 150))}</svg>')
    heights = {found.text: found.get("y") for found in svg.iter(f"{SVG}text")}
    assert heights == {"80": "123.5", "90": "23.5", "share": "70.0", "of all": "70.0"}
    assert [line.get("d") for line in svg.iter(f"{SVG}path")] == ["M50 120.0H150", "M50 20.0H150", "M50 20V120H150"]


def test_turned_words_are_read_from_below() -> None:
    assert text(11, 70, "seconds", turned=True) == (
        '<text x="11.0" y="70.0" text-anchor="middle" transform="rotate(-90 11.0 70.0)">seconds</text>'
    )
