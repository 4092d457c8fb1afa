"""The gate lets the right layer through and no wrong one."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
import tensorflow as tf

from hemline import parity
from hemline.errors import ParityError
from hemline.layer_norm import LayerNorm


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return parity.compare()


def test_all_cases_pass(table: pd.DataFrame) -> None:
    assert table["ok"].all(), table[~table["ok"]].to_string()
    parity.require(table)


def test_columns(table: pd.DataFrame) -> None:
    assert list(table.columns) == [
        "case",
        "form",
        "rank",
        "policy",
        "inputs",
        "output_error",
        "input_gradient_error",
        "alpha_gradient_error",
        "beta_gradient_error",
        "output_tolerance",
        "gradient_tolerance",
        "ok",
    ]
    assert table["case"].is_unique


def test_every_form_and_rank_meets_every_policy_and_every_kind_of_input(table: pd.DataFrame) -> None:
    policies = {"float32", "float64", "mixed_float16", "mixed_bfloat16"}
    inputs = {"normal", "large", "near_constant", "large_offset", "constant_rows"}
    for form in ("variance", "deviation"):
        for rank in (2, 3, 4):
            cases = table[(table["form"] == form) & (table["rank"] == rank)]
            assert set(cases["policy"]) == policies
            assert set(cases["inputs"]) == inputs


def test_ok_is_every_error_within_its_tolerance(table: pd.DataFrame) -> None:
    for row in table.to_dict("records"):
        gradients = [row[f"{name}_gradient_error"] for name in ("input", "alpha", "beta")]
        within = row["output_error"] <= row["output_tolerance"] and max(gradients) <= row["gradient_tolerance"]
        assert row["ok"] == within


def test_the_same_seed_gives_the_same_table(table: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(parity.compare(seed=0), table)


def wrong_layer(
    *,
    axis: int = -1,
    correction: int = 0,
    swapped: bool = False,
    upcast: bool = True,
    use_alpha: bool = True,
    sign: float = 1.0,
    times: float = 1.0,
) -> type[LayerNorm]:
    """The layer written naively, with one mistake."""

    class Wrong(LayerNorm):
        def call(self, inputs: tf.Tensor) -> tf.Tensor:
            dtype = tf.float32 if upcast and inputs.dtype != tf.float64 else inputs.dtype
            x, alpha, beta = (tf.cast(value, dtype) for value in (inputs, self.alpha, self.beta))
            count = x.shape[axis]
            centred = x - tf.reduce_mean(x, axis=axis, keepdims=True)
            variance = tf.reduce_sum(centred**2, axis=axis, keepdims=True) / (count - correction)
            positive = variance > 0
            root = tf.where(positive, tf.sqrt(tf.where(positive, variance, 1)), 0)
            epsilon = tf.constant(self.epsilon, dtype)
            on_variance = (self.epsilon_on == "variance") != swapped
            normalised = centred / (tf.sqrt(variance + epsilon) if on_variance else root + epsilon)
            if use_alpha:
                normalised = alpha * normalised
            return tf.cast(normalised + sign * beta, self.compute_dtype) * times

    return Wrong


def rows(**columns: Any) -> Callable[[pd.DataFrame], pd.Series]:
    def select(table: pd.DataFrame) -> pd.Series:
        return (table[list(columns)] == pd.Series(columns)).all(axis=1)

    return select


def test_the_naive_layer_without_a_mistake_passes() -> None:
    # Otherwise the tests below would show nothing. Half precision aside, where its rounding may differ.
    table = parity.compare(wrong_layer())
    assert table[rows(inputs="normal")(table)]["ok"].all()


@pytest.mark.parametrize(
    ("mistake", "caught"),
    [
        pytest.param({"correction": 1}, rows(inputs="normal", policy="float32"), id="divides by n - 1"),
        pytest.param({"use_alpha": False}, rows(inputs="normal"), id="alpha is missing"),
        pytest.param({"swapped": True}, rows(inputs="normal", policy="float32"), id="epsilon of the other form"),
        pytest.param({"upcast": False}, rows(policy="mixed_bfloat16"), id="squares in bfloat16"),
        pytest.param({"upcast": False}, rows(policy="mixed_float16", inputs="large"), id="squares in float16"),
        pytest.param({"axis": -2}, rows(inputs="normal"), id="the axis before the last"),
        pytest.param({"sign": -1.0}, rows(inputs="normal"), id="beta is subtracted"),
        pytest.param({"times": float("nan")}, rows(), id="not a number"),
    ],
)
def test_a_wrong_layer_is_caught(mistake: dict[str, Any], caught: Callable[[pd.DataFrame], pd.Series]) -> None:
    table = parity.compare(wrong_layer(**mistake))
    expected = table[caught(table)]
    assert not expected["ok"].any(), expected[expected["ok"]].to_string()
    with pytest.raises(ParityError):
        parity.require(table)


def test_require_names_the_failing_rows_and_no_other(table: pd.DataFrame) -> None:
    broken = table.copy()
    broken.loc[[3, 7], "ok"] = False
    with pytest.raises(ParityError) as caught:
        parity.require(broken)
    message = str(caught.value)
    assert "LayerNorm must agree with its reference" in message
    assert f"Received: 2 of {len(table)} cases out of tolerance." in message
    for index, case in enumerate(table["case"]):
        assert (f"'{case}'" in message) == (index in (3, 7))


def test_summary_counts(table: pd.DataFrame) -> None:
    broken = table.copy()
    broken.loc[[3, 7], "ok"] = False
    summary = parity.summary(broken)
    assert (summary.cases, summary.failed) == (len(table), 2)
    assert summary.worst_output_error == table["output_error"].max()
