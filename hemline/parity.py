"""Proof that the hand-written LayerNorm is Keras's own: exercise 1c.

    table = compare()                   # a pandas row for each case
    require(table)                      # raises ParityError with the failing rows

Form "variance" is held against `keras.layers.LayerNormalization`, form "deviation", which Keras does
not have, against its formula in float64. Each case draws inputs, alpha, beta and an upstream gradient,
and compares the output and the gradients for inputs, alpha and beta.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import get_args

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from hemline.errors import ParityError
from hemline.layer_norm import Form, LayerNorm
from hemline.record import Parity

EPSILON = 1e-3
QUANTITIES = ("output", "input_gradient", "alpha_gradient", "beta_gradient")
SHAPES = {2: (32, 64), 3: (8, 7, 64), 4: (4, 5, 6, 16)}  # rank: (..., features)


@dataclass(frozen=True)
class Inputs:
    """How the inputs of a case are drawn, and what float32 may cost on them (see `_error`)."""

    draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
    output: float
    gradient: float


INPUTS = {
    "normal": Inputs(lambda rng, shape: rng.normal(size=shape), 2e-6, 1e-6),
    # The squares overflow float16, which ends at 65504, unless the layer computes in float32.
    "large": Inputs(lambda rng, shape: 300 * rng.normal(size=shape), 2e-6, 1e-6),
    # Rows that vary in the last digits of a float32 only.
    "near_constant": Inputs(lambda rng, shape: 5 + 1e-4 * rng.normal(size=shape), 2e-4, 2e-4),
    # The mean eats most digits; Keras itself is 2e-3 from float64 here.
    "large_offset": Inputs(lambda rng, shape: 1e4 + rng.normal(size=shape), 5e-3, 5e-3),
    # Exactly beta. Keras takes scale * mean (95 here, times alpha) from scale * x, which leaves their rounding.
    "constant_rows": Inputs(lambda rng, shape: np.full(shape, 3.0), 5e-5, 1e-6),
}
# What normal and large inputs may cost under other policies. The half ones round the same float32 value: one unit
# in the last place (2 ** -7 relative in bfloat16, 2 ** -10 in float16) and a second where it was a tie.
POLICIES = {"float64": 1e-11, "mixed_float16": 2e-3, "mixed_bfloat16": 8e-3}


def compare(layer: type[LayerNorm] = LayerNorm, seed: int = 0) -> pd.DataFrame:
    """A row for each case: case, form, rank, policy, inputs, four errors (`QUANTITIES`), two tolerances, ok.

    layer: the class under test; a test passes wrong ones.
    """
    rng = np.random.default_rng(seed)
    return pd.DataFrame([_compare_one(layer, case, rng) for case in _cases()])


def require(table: pd.DataFrame) -> None:
    """Raises ParityError, with the failing rows in it, unless every row is within its tolerance."""
    failed = table[~table["ok"]]
    if not failed.empty:
        shown = failed.drop(columns=["form", "rank", "policy", "inputs"])
        rows = "\n".join(str(row) for row in shown.to_dict("records"))
        raise ParityError(
            "LayerNorm must agree with its reference within tolerance before anything is trained. "
            f"Received: {len(failed)} of {len(table)} cases out of tolerance. Look for a change in "
            f"hemline/layer_norm.py, Keras, TensorFlow or the device.\n{rows}"
        )


def summary(table: pd.DataFrame) -> Parity:
    """The table in three numbers."""
    return Parity(
        cases=len(table),
        failed=int((~table["ok"]).sum()),
        worst_output_error=float(table["output_error"].max()),
    )


@dataclass(frozen=True)
class _Case:
    form: Form
    rank: int
    policy: str
    inputs: str

    @property
    def name(self) -> str:
        return f"{self.form}-rank{self.rank}-{self.policy}-{self.inputs}"


def _cases() -> Iterator[_Case]:
    for form in get_args(Form):
        for rank in SHAPES:
            for inputs in INPUTS:
                yield _Case(form, rank, "float32", inputs)
            for policy in POLICIES:
                for inputs in ("normal", "large"):
                    yield _Case(form, rank, policy, inputs)


Quantities = dict[str, np.ndarray]


def _compare_one(layer: type[LayerNorm], case: _Case, rng: np.random.Generator) -> dict[str, object]:
    shape = SHAPES[case.rank]
    policy = keras.DTypePolicy(case.policy)
    # Drawn as what the layers will see, so that the reference gets no other digits.
    x = tf.constant(INPUTS[case.inputs].draw(rng, shape), policy.compute_dtype)
    alpha = tf.constant(rng.normal(size=shape[-1:]), policy.variable_dtype)
    beta = tf.constant(rng.normal(size=shape[-1:]), policy.variable_dtype)
    upstream = tf.constant(rng.normal(size=shape), policy.compute_dtype)

    ours = _run(layer(epsilon=EPSILON, epsilon_on=case.form, dtype=policy), x, alpha, beta, upstream)
    if case.form == "variance":
        keras_layer = keras.layers.LayerNormalization(epsilon=EPSILON, dtype=policy)
        reference = _run(keras_layer, x, alpha, beta, upstream)
    else:
        reference = _deviation_in_float64(x, alpha, beta, upstream)

    errors = {name: _error(name, ours[name], reference[name]) for name in QUANTITIES}
    kind, magnification = INPUTS[case.inputs], _magnification(case.form, x)
    output_tolerance = POLICIES.get(case.policy, kind.output) * magnification
    gradient_tolerance = POLICIES.get(case.policy, kind.gradient) * magnification
    return {
        "case": case.name,
        "form": case.form,
        "rank": case.rank,
        "policy": case.policy,
        "inputs": case.inputs,
        **{f"{name}_error": error for name, error in errors.items()},
        "output_tolerance": output_tolerance,
        "gradient_tolerance": gradient_tolerance,
        "ok": all(  # a NaN is not
            error <= (output_tolerance if name == "output" else gradient_tolerance) for name, error in errors.items()
        ),
    }


def _error(quantity: str, ours: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference: relative where the expected value is above 1, absolute below.

    A gradient is a sum that may cancel, so its differences are held against the largest gradient.
    """
    size = np.abs(expected) if quantity == "output" else np.abs(expected).max()
    return float((np.abs(ours - expected) / np.maximum(1.0, size)).max())


def _magnification(form: str, x: tf.Tensor) -> float:
    """How much more than sqrt(v + epsilon) the divisor of a form magnifies rounding errors: 1 to 32."""
    if form == "variance":
        return 1.0
    variance = tf.cast(x, tf.float64).numpy().var(axis=-1)
    return float((np.sqrt(variance + EPSILON) / (np.sqrt(variance) + EPSILON)).max())


def _run(layer: keras.Layer, x: tf.Tensor, alpha: tf.Tensor, beta: tf.Tensor, upstream: tf.Tensor) -> Quantities:
    layer.build(x.shape)
    scale, shift = layer.trainable_variables  # alpha and beta here, gamma and beta in Keras
    scale.assign(alpha)
    shift.assign(beta)
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = layer(x)
        loss = tf.reduce_sum(output * upstream)
    sources = [x, scale.value, shift.value]
    # A layer that leaves alpha out has no gradient for it: zero, which is then out of tolerance.
    return _quantities(output, tape.gradient(loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO))


def _deviation_in_float64(x: tf.Tensor, alpha: tf.Tensor, beta: tf.Tensor, upstream: tf.Tensor) -> Quantities:
    """alpha * (x - mean) / (sqrt(variance) + epsilon) + beta, as the exercise's text has it."""
    x, alpha, beta, upstream = (tf.cast(value, tf.float64) for value in (x, alpha, beta, upstream))
    with tf.GradientTape() as tape:
        tape.watch([x, alpha, beta])
        centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
        variance = tf.reduce_mean(centred**2, axis=-1, keepdims=True)
        # The formula has no derivative at zero; by convention the deviation of a constant row passes none on.
        deviation = tf.where(variance > 0, tf.sqrt(tf.maximum(variance, 1e-300)), 0)
        output = alpha * centred / (deviation + tf.constant(EPSILON, tf.float64)) + beta
        loss = tf.reduce_sum(output * upstream)
    return _quantities(output, tape.gradient(loss, [x, alpha, beta]))


def _quantities(output: tf.Tensor, gradients: list[tf.Tensor]) -> Quantities:
    values = [tf.cast(value, tf.float64).numpy() for value in (output, *gradients)]
    return dict(zip(QUANTITIES, values, strict=True))
