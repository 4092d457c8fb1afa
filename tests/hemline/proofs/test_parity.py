"""Parity holds for the right layer, and says what it tried. That it fails for wrong ones: test_parity_mutations."""

from itertools import combinations, product
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from hemline.models.layer_norm import Form
from hemline.proofs import grid as parity_grid
from hemline.proofs import parity
from hemline.proofs.reference import QUANTITIES, by_formula, measure, tolerance

FORMS: tuple[Form, ...] = get_args(Form)
VALUES: dict[str, set[Any]] = {
    "form": {"variance", "deviation"},
    "rank": {2, 3, 4},
    "features": {1, 2, 7, 64, 784},
    "policy": {"float32", "float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16"},
    "given_epsilon": {1e-3, 1e-5, 1e-6, None},
}
INPUTS = {"normal", "large", "tiny_variance", "large_offset", "constant_rows", "huge", "denormal"}


def test_all_cases_pass(parity_table: pd.DataFrame) -> None:
    assert parity_table["ok"].all(), parity_table[~parity_table["ok"]].to_string()


def test_columns(parity_table: pd.DataFrame) -> None:
    assert list(parity_table.columns) == [
        "case",
        "form",
        "rank",
        "features",
        "policy",
        "epsilon",
        "as_built",
        "inputs",
        "mode",
        "reference",
        "output",
        "input_gradient",
        "alpha_gradient",
        "beta_gradient",
        "output_error",
        "ratio",
        "ok",
    ]
    assert parity_table["case"].is_unique


def test_any_two_values_meet_in_a_layer() -> None:
    variants = parity_grid.variants("default")
    assert len(variants) < 40  # or it takes too long
    for one, other in combinations(VALUES, 2):
        met = {(getattr(variant, one), getattr(variant, other)) for variant in variants}
        assert met == set(product(VALUES[one], VALUES[other]))


@pytest.mark.parametrize("one", ["form", "rank"])
def test_under_xla_every_form_and_rank_meets_every_value(one: str) -> None:
    variants = [variant for variant in parity_grid.variants("default") if "xla" in variant.modes]
    for other in set(VALUES) - {one}:
        met = {(getattr(variant, one), getattr(variant, other)) for variant in variants}
        assert met == set(product(VALUES[one], VALUES[other]))


def test_every_layer_meets_every_input_mode_and_reference(parity_table: pd.DataFrame) -> None:
    calls = parity_table[parity_table["inputs"] != "training"]
    layers = calls.groupby(["form", "rank", "features", "policy", "epsilon", "as_built"])
    assert layers.ngroups == len(parity_grid.variants("default"))
    for key, cases in layers:
        tried = set(zip(cases["inputs"], cases["mode"], cases["reference"], strict=True))
        modes = {"eager", "graph"} | set(cases["mode"])
        expected = set(product(INPUTS, modes, ["float64"]))
        if key[0] == "variance":
            expected |= set(product(INPUTS - {"huge"}, modes, ["keras"]))
        assert tried == expected


def test_a_training_in_every_mode(parity_table: pd.DataFrame) -> None:
    trained = parity_table[parity_table["inputs"] == "training"]
    assert list(trained["mode"]) == ["eager", "graph", "xla"]
    assert set(trained["reference"]) == {"keras"}


def test_the_full_grid_is_every_combination() -> None:
    variants = parity_grid.variants("full")
    assert {tuple(getattr(variant, name) for name in VALUES) for variant in variants} == set(product(*VALUES.values()))
    assert {variant.modes for variant in variants} == {("eager", "graph", "xla")}


def test_the_same_seed_gives_the_same_table_and_a_mode_its_part_of_it(parity_table: pd.DataFrame) -> None:
    part = parity_table[parity_table["mode"] == "eager"].reset_index(drop=True)
    pd.testing.assert_frame_equal(parity.compare(modes=["eager"]), part)


@pytest.mark.parametrize("policy", ["float16", "bfloat16", "float32", "float64"])
def test_inputs_are_of_their_kind(policy: str) -> None:
    variant = parity_grid.Variant("variance", 2, 784, policy, 1e-3)
    largest = float(tf.as_dtype(policy).max)
    for inputs in INPUTS:
        x, upstream = variant.draw(inputs, np.random.default_rng(0))
        assert x.dtype == upstream.dtype == policy
        values = x.numpy().astype(np.float64)
        assert np.isfinite(values).all()
        rows = values - values.mean(axis=-1, keepdims=True)
        if inputs == "constant_rows":
            assert (values == values[:, :1]).all()
            assert len(np.unique(values)) > 1
        elif inputs == "denormal":
            normal = {"float16": 2.0**-14, "float64": 2.0**-1022}.get(policy, 2.0**-126)
            assert (np.abs(values) <= normal).all()
            assert (values != 0).any()
        elif inputs == "huge":
            assert np.abs(values).max() > min(largest, largest**0.5) / 100
            assert np.isfinite((rows**2).sum())
        elif inputs == "large":
            assert (values**2).max() > 65504  # float16's largest
        else:
            assert rows.any()


@pytest.mark.parametrize(("form", "expected"), [("variance", [9.0, 22.0]), ("deviation", [9.5, 21.0])])
def test_the_reference_has_the_values_worked_by_hand(form: Form, expected: list[float]) -> None:
    # As in test_layer_norm: mean 2, variance 1, epsilon 3.
    x, alpha, beta = np.array([[1.0, 3.0]]), np.array([2.0, 4.0]), np.array([10.0, 20.0])
    values, _ = by_formula(form, 3.0, x, alpha, beta, np.ones((1, 2)))
    np.testing.assert_allclose(values["output"], [expected])


@pytest.mark.parametrize("form", FORMS)
def test_the_references_gradients_are_the_derivatives_of_its_output(form: Form) -> None:
    """By central differences in the widest floats there are: no derivation to get wrong."""
    rng = np.random.default_rng(0)
    given = {"x": rng.normal(size=(2, 3, 5)), "alpha": rng.normal(size=5), "beta": rng.normal(size=5)}
    upstream, step = rng.normal(size=(2, 3, 5)), 1e-5
    values, _ = by_formula(form, 1e-2, **given, upstream=upstream)
    for name, gradient in (("x", "input_gradient"), ("alpha", "alpha_gradient"), ("beta", "beta_gradient")):
        for index in np.ndindex(given[name].shape):
            losses = []
            for sign in (1, -1):
                moved = {key: value.copy() for key, value in given.items()}
                moved[name][index] += sign * step
                losses.append((by_formula(form, 1e-2, **moved, upstream=upstream)[0]["output"] * upstream).sum())
            derivative = (losses[0] - losses[1]) / (2 * step)
            np.testing.assert_allclose(values[gradient][index], derivative, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("form", FORMS)
def test_a_constant_row_passes_on_no_gradient_of_its_deviation(form: Form) -> None:
    upstream = np.array([[1.0, 2.0, 3.0, 4.0]])
    values, _ = by_formula(form, 1e-2, np.full((1, 4), 3.0), np.ones(4), np.zeros(4), upstream)
    divisor = 1e-2 if form == "deviation" else 1e-1
    np.testing.assert_allclose(values["input_gradient"], (upstream - 2.5) / divisor)


def test_the_tolerance_is_roundings_times_condition_and_the_last_rounding_on_both_sides() -> None:
    # 2 * (16 * 2^-23 * 3 + 2^-10 / 2 * 8)
    assert tolerance(np.array(-8.0), np.array(3.0), "float32", "float16") == 96 * 2.0**-23 + 8 * 2.0**-10


def measured(ours: dict[str, np.ndarray], allowed: float = 0.5, **dtypes: str) -> dict[str, Any]:
    expected = {name: np.zeros(2, np.float32) for name in QUANTITIES}
    return measure(
        expected | ours,
        expected,
        {name: np.full(2, allowed) for name in QUANTITIES},
        dict.fromkeys(QUANTITIES, "float32") | dtypes,
    )


def test_a_case_is_measured_by_its_worst_quantity() -> None:
    row = measured({"output": np.array([0.25, -0.125], np.float32), "alpha_gradient": np.array([0, -0.5], np.float32)})
    assert row["ok"]
    assert (row["output"], row["alpha_gradient"], row["ratio"], row["output_error"]) == (0.5, 1.0, 1.0, 0.25)
    assert not measured({"beta_gradient": np.array([0, 0.501], np.float32)})["ok"]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_never_within_tolerance(wrong: float) -> None:
    for name in QUANTITIES:
        row = measured({name: np.array([0, wrong], np.float32)})
        assert not row["ok"]
        assert row[name] == row["ratio"] == np.inf
    assert not measured({}, allowed=np.inf)["ok"]  # nor is everything within a tolerance without end


def test_another_dtype_or_shape_is_never_within_tolerance() -> None:
    assert not measured({}, output="float16")["ok"]
    assert not measured({"output": np.zeros(1, np.float32)})["ok"]  # though it could be broadcast
    assert measured({"output": np.zeros(2, np.float16)}, output="float16")["ok"]
