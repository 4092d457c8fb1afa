"""The answers to what a check finds: how they are written, and which one a finding gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hemline.config.checks import ANSWERS, Checks, answer_to
from hemline.config.explain import explain
from hemline.config.retrain import RetrainConfig
from hemline.data.checks import CHECKS


def test_every_check_has_its_field_and_every_field_its_check() -> None:
    assert list(CHECKS) == list(Checks.model_fields)


@pytest.mark.parametrize(
    ("size", "answers", "expected"),
    [
        (1, "refuse", "refuse"),
        (0.02, "warn, ask above 0.01", "ask"),
        (0.01, "warn, ask above 0.01", "warn"),  # at the limit is not above it
        (0.02, "ask above 0.01, warn", "ask"),  # in whatever order
        (0.02, "warn above 0.1", "note"),
        (3, "refuse above 2", "refuse"),
    ],
)
def test_the_strictest_answer_counts_whose_limit_the_size_is_above(size: float, answers: str, expected: str) -> None:
    assert answer_to(size, answers) == expected


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(list(Checks().model_dump().values())))
def test_a_larger_finding_never_has_a_milder_answer(one: float, other: float, answers: str) -> None:
    smaller, larger = sorted((one, other))
    assert ANSWERS.index(answer_to(larger, answers)) <= ANSWERS.index(answer_to(smaller, answers))


@pytest.mark.parametrize("given", ["", "no", "ask above", "ask above -1", "ask above 1e9", "ignore, warn", "warn;ask"])
def test_another_answer_is_refused_with_rule_value_and_remedy(given: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RetrainConfig(checks={"leaks": given})
    sentence = explain(caught.value, "Set it.")
    assert sentence.startswith("checks.leaks: the answer to a check must be 'ignore', or 'warn', 'ask' or 'refuse'")
    assert sentence.endswith(f"Received: {given!r}. Set it.")


def test_a_check_that_is_not_there_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValidationError) as caught:
        RetrainConfig(checks={"leak": "warn"})
    assert "Did you mean 'leaks'?" in explain(caught.value, "")


def test_checks_do_not_change_what_is_computed() -> None:
    assert RetrainConfig(checks={"leaks": "warn"}).what_is_computed() == RetrainConfig().what_is_computed()
