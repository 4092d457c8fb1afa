"""A configuration over another, and what differs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemline.config.nested import ABSENT, differences, flat, merge


@pytest.mark.parametrize(
    ("base", "over", "expected"),
    [
        ({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}, {"a": {"x": 1, "y": 3}}),
        ({"a": {"x": 1}}, {"a": None}, {"a": None}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": {"x": 1}}, {"a": {"x": 1}}),
    ],
)
def test_mappings_are_merged_and_all_else_is_replaced(base: Any, over: Any, expected: Any) -> None:
    assert merge(base, over) == expected


NESTED = st.recursive(
    st.integers(0, 3), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
).filter(lambda value: isinstance(value, dict))


@given(NESTED, NESTED)
def test_differences_are_none_only_between_equals(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (differences(one, other) == {}) == (one == other)
    assert all(before != after for before, after in differences(one, other).values())


@given(NESTED, NESTED)
def test_what_is_laid_over_is_in_the_result(base: dict[str, Any], over: dict[str, Any]) -> None:
    merged = flat(merge(base, over))
    assert {name: value for name, value in flat(over).items() if value != {}}.items() <= merged.items()
    assert merge(base, {}) == base == merge(base, base)


def test_a_field_that_only_one_has() -> None:
    assert differences({"gate": {"margin": 0}, "seed": 1}, {"seed": 1}) == {"gate.margin": (0, ABSENT)}
