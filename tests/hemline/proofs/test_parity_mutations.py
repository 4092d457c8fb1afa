"""Parity, which holds for the right layer, fails for every wrong one.

Each mutant is the layer with one mistake, in the forward pass or in the gradient written by hand. A third of the
layers, run eagerly, shows each, so that the whole table does; mistakes of one mode only are tried in that mode.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest
import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

from hemline.models.layer_norm import LayerNorm
from hemline.proofs import parity
from hemline.proofs.grid import variants

Gradient = Callable[..., tf.Tensor]


def mean(values: tf.Tensor, axis: int = -1) -> tf.Tensor:
    return tf.reduce_mean(values, axis=axis, keepdims=True)


def right_gradient(upstream: tf.Tensor, y: tf.Tensor, scale: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    return scale * (upstream - mean(upstream) - slope * y * mean(upstream * y))


@dataclass(frozen=True)
class Recipe:
    """The layer in parts, each of which a mutant may have wrong."""

    axis: int = -1
    variance: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = lambda x, centred: mean(centred * centred)
    epsilon: Callable[[float, tf.DType], tf.Tensor] = lambda epsilon, dtype: tf.constant(epsilon, dtype)
    outside: Callable[[str], bool] = lambda epsilon_on: epsilon_on == "deviation"
    wide: Callable[[tf.DType], tf.DType] = lambda dtype: tf.float64 if dtype == tf.float64 else tf.float32
    gradient: Gradient = right_gradient
    affine: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor] = lambda y, alpha, beta: alpha * y + beta
    last: Callable[[tf.Tensor], tf.Tensor] = lambda output: output
    cast: Callable[[tf.Tensor, str], tf.Tensor] = tf.cast

    def layer(self) -> type[LayerNorm]:
        """As a class for `parity.compare`."""
        recipe = self

        class Mutant(LayerNorm):
            def call(self, inputs: tf.Tensor) -> tf.Tensor:
                dtype = recipe.wide(inputs.dtype)
                x, alpha, beta = (tf.cast(value, dtype) for value in (inputs, self.alpha, self.beta))
                y = recipe.normalise(x, self.epsilon, self.epsilon_on)
                return recipe.cast(recipe.last(recipe.affine(y, alpha, beta)), self.compute_dtype)

        return Mutant

    def normalise(self, x: tf.Tensor, epsilon: float, epsilon_on: str) -> tf.Tensor:
        outside = self.outside(epsilon_on)

        @tf.custom_gradient
        def normalised(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
            centred, e = x - mean(x, self.axis), self.epsilon(epsilon, x.dtype)
            variance = self.variance(x, centred)
            deviation = tf.sqrt(variance)
            divisor = deviation + e if outside else tf.sqrt(variance + e)
            y = centred / divisor
            slope = tf.math.divide_no_nan(divisor, deviation) if outside else tf.ones_like(divisor)
            return y, lambda upstream: self.gradient(upstream, y, 1 / divisor, slope)

        return normalised(x)


def biased(x: tf.Tensor, centred: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(centred * centred, axis=-1, keepdims=True) / max(1, x.shape[-1] - 1)


def cancelling(x: tf.Tensor, centred: tf.Tensor) -> tf.Tensor:
    return tf.maximum(mean(x * x) - mean(x) ** 2, 0)


def without_mean(upstream: tf.Tensor, y: tf.Tensor, scale: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    return scale * (upstream - slope * y * mean(upstream * y))


def without_variance(upstream: tf.Tensor, y: tf.Tensor, scale: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    return scale * (upstream - mean(upstream))


def cubed(upstream: tf.Tensor, y: tf.Tensor, scale: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    centred = y / scale
    return scale * (upstream - mean(upstream)) - slope * scale**3 * centred * mean(upstream * centred)


@tf.custom_gradient
def swapped(y: tf.Tensor, alpha: tf.Tensor, beta: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple]]:
    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        instances = list(range(len(y.shape) - 1))
        of_alpha, of_beta = (tf.reduce_sum(values, axis=instances) for values in (upstream * y, upstream))
        return upstream * alpha, of_beta, of_alpha

    return alpha * y + beta, gradient


class AlphaStartsAtZero(LayerNorm):
    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        self.alpha.assign(tf.zeros_like(self.alpha))


class AnotherDefaultEpsilon(LayerNorm):
    def __init__(self, epsilon: float = 1e-5, **others: Any):
        super().__init__(epsilon=epsilon, **others)


HALF = {"policy": {"float16", "bfloat16", "mixed_float16", "mixed_bfloat16"}}
FLOAT64 = {"policy": {"float64"}}
# The mistake, and where alone it shows.
MUTANTS: dict[str, tuple[Recipe | type[LayerNorm], dict[str, set[Any]]]] = {
    "the axis before the last": (Recipe(axis=-2), {}),
    "divides by n - 1": (Recipe(variance=biased), {"features": {2, 7, 16, 64, 784}}),
    "variance as a difference": (Recipe(variance=cancelling), {"inputs": {"large_offset", "constant_rows"}}),
    "no alpha": (Recipe(affine=lambda y, alpha, beta: y + beta), {}),
    "no beta": (Recipe(affine=lambda y, alpha, beta: alpha * y), {}),
    "gradients of alpha and beta swapped": (Recipe(affine=swapped), {}),
    "epsilon outside the root": (Recipe(outside=lambda epsilon_on: True), {"form": {"variance"}}),
    "epsilon through float32": (Recipe(epsilon=tf.cast), FLOAT64),
    "float64 in float32": (Recipe(wide=lambda dtype: tf.float32), FLOAT64),
    "half precision in itself": (Recipe(wide=lambda dtype: dtype), HALF),
    "output left in float32": (Recipe(cast=lambda output, dtype: output), HALF),
    "gradient without the mean": (Recipe(gradient=without_mean), {}),
    "gradient without the variance": (Recipe(gradient=without_variance), {}),
    "gradient with the cube of the scale": (Recipe(gradient=cubed), {"inputs": {"huge"}}),
    "not a number": (Recipe(last=lambda output: output * float("nan")), {}),
    "alpha starts at zero": (AlphaStartsAtZero, {"as_built": {True}}),
    "another default epsilon": (AnotherDefaultEpsilon, {"as_built": {True}}),
}


@pytest.fixture(autouse=True)
def a_third_of_the_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "variants", lambda grid: variants(grid)[::3])


def failures(mutant: Recipe | type[LayerNorm], *modes: parity.Mode) -> pd.DataFrame:
    table = parity.compare(mutant.layer() if isinstance(mutant, Recipe) else mutant, modes=modes)
    return table[~table["ok"]]


def test_the_layer_in_parts_without_a_mistake_passes() -> None:
    # Otherwise the tests below would show nothing.
    assert failures(Recipe(), "eager").empty


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_layer_is_caught(name: str) -> None:
    mutant, alone = MUTANTS[name]
    failed = failures(mutant, "eager")
    assert not failed.empty
    for axis, values in alone.items():
        assert set(failed[axis]) <= values


def under_xla() -> bool:
    return bool(GraphOrParentsInXlaContext(ops.get_default_graph()))


@pytest.mark.parametrize(
    ("mode", "wrong"),
    [("graph", lambda: not tf.executing_eagerly() and not under_xla()), ("xla", under_xla)],
)
def test_a_layer_that_is_wrong_in_one_mode_alone_is_caught_in_that_mode(
    mode: parity.Mode, wrong: Callable[[], bool]
) -> None:
    """Which the eager part, where it is right, cannot show."""
    assert not wrong()
    failed = failures(Recipe(last=lambda output: output * 1.01 if wrong() else output), mode)
    assert (failed["inputs"] != "training").any()
