"""Proof that the hand-written LayerNorm is right, and Keras's own: exercise 1c.

    table = compare()                   # a pandas row for each of 820 cases, in 8 s on two cores
    table = compare(grid="full")        # of 21,603: every combination, in 3 to 5 minutes
    table["ok"].all()                   # `hemline.proofs.parity_table` says more

A case is a layer on one kind of inputs in one mode (hemline/proofs/grid.py). Its output and its gradients for inputs,
alpha and beta are held against the formula in float64 (hemline/proofs/reference.py, which derives the tolerances) and,
for form "variance", against `keras.layers.LayerNormalization`. Cases with inputs "training" are short trainings from
the same weights, with this layer and with Keras's.

The proof depends on this module and on what it imports: nothing is imported here that does not decide the numbers.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from hemline.models.layer_norm import LayerNorm
from hemline.proofs.grid import AS_BUILT, INPUTS, MODES, Grid, Mode, Variant, computed_in, variants
from hemline.proofs.reference import QUANTITIES, Quantities, by_formula, measure, tolerance

AXES = ("form", "rank", "features", "policy", "epsilon", "as_built", "inputs", "mode", "reference")
LAYERS_IN_A_PROGRAM = 40  # compiled together a layer takes XLA half the time
STEPS, RATE = 20, 0.1  # of the short trainings


def compare(
    layer_class: type[LayerNorm] = LayerNorm, grid: Grid = "default", modes: Sequence[Mode] = MODES
) -> pd.DataFrame:
    """A row for each case: its name, its values on `AXES`, and what `measure` says. The same arguments, the same table.

    layer_class: what is under test; a test passes wrong ones.
    """
    rng = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    everything = variants(grid)
    for start in range(0, len(everything), LAYERS_IN_A_PROGRAM):
        rows += _compare_calls(layer_class, everything[start : start + LAYERS_IN_A_PROGRAM], modes, rng)
    rows += [_compare_training(layer_class, mode, "float64" if mode == "eager" else "float32", rng) for mode in modes]
    return pd.DataFrame(rows)


class _Trial(NamedTuple):
    """What goes into a layer, and what has to come out."""

    x: tf.Tensor
    upstream: tf.Tensor  # the gradient for the output
    references: dict[str, Quantities]
    allowed: Quantities


def _compare_calls(
    layer_class: type[LayerNorm], chunk: Sequence[Variant], modes: Sequence[Mode], rng: np.random.Generator
) -> Iterator[dict[str, object]]:
    """All kinds of inputs through these layers, which are one program in each mode."""
    ours, trials = {}, {}
    for variant in chunk:
        parameters = variant.parameters(rng)
        ours[variant] = variant.make(layer_class, parameters)
        theirs = variant.make(keras.layers.LayerNormalization, parameters) if variant.form == "variance" else None
        for inputs in INPUTS:
            trials[variant, inputs] = _prepare(variant, inputs, theirs, parameters, rng)
    for mode in modes:
        tried = [variant for variant in chunk if mode in variant.modes]
        program = _in_mode(mode, partial(_call_all, [ours[variant] for variant in tried]))
        for inputs in INPUTS:
            given = [trials[variant, inputs] for variant in tried]
            answers = program([trial.x for trial in given], [trial.upstream for trial in given])
            for variant, trial, answer in zip(tried, given, answers, strict=True):
                for reference, expected in trial.references.items():
                    measured = measure(_as_arrays(answer), expected, trial.allowed, variant.dtypes)
                    yield _names(variant, inputs, mode, reference) | measured


def _prepare(
    variant: Variant, inputs: str, theirs: keras.Layer | None, parameters: Sequence[tf.Tensor], rng: np.random.Generator
) -> _Trial:
    x, upstream = variant.draw(inputs, rng)
    given = (tensor.numpy().astype(np.float64) for tensor in (x, *parameters, upstream))
    values, conditions = by_formula(variant.form, variant.epsilon, *given)
    dtypes, wide = variant.dtypes, computed_in(variant.dtypes["output"])
    allowed = {name: tolerance(values[name], conditions[name], wide, dtypes[name]) for name in QUANTITIES}
    references = {"float64": values}
    # Keras is no witness for huge inputs: its gradient for them takes the cube of 1 / divisor, which float32 cannot
    # hold where the divisor is above 4e12. It is up to 60 % off then, always under XLA, sometimes eagerly (Keras 3.15).
    if theirs is not None and inputs != "huge":
        references["keras"] = _as_arrays(_call(theirs, x, upstream))  # eagerly, whatever the mode is
    return _Trial(x, upstream, references, allowed)


def _names(variant: Variant, inputs: str, mode: Mode, reference: str) -> dict[str, object]:
    """A row's case and its values on `AXES`."""
    given = "as_built" if variant.as_built else f"{variant.epsilon:g}"
    layer = f"{variant.form}-rank{variant.rank}-{variant.features}-{variant.policy}-{given}"
    of_layer = {axis: getattr(variant, axis) for axis in AXES[:-3]}
    call = {"inputs": inputs, "mode": mode, "reference": reference}
    return {"case": "-".join([layer, *call.values()])} | of_layer | call


def _compare_training(
    layer_class: type[LayerNorm], mode: Mode, policy: str, rng: np.random.Generator
) -> dict[str, object]:
    """Gradient descent from the same weights; a step adds its rounding and, being small, enlarges none before it."""
    variant, both = Variant("variance", 2, 16, policy, AS_BUILT), (layer_class, keras.layers.LayerNormalization)
    drawn = [tf.constant(rng.normal(size=shape), policy) for shape in ((32, 8), (32, 1), (8, 16), (16, 1))]
    ours, theirs = (_train(variant.make(one, []), mode, *drawn) for one in both)
    conditions = {name: STEPS * np.maximum(1, np.abs(values).max()) for name, values in theirs.items()}
    allowed = {name: tolerance(theirs[name], conditions[name], policy, policy) for name in theirs}
    return _names(variant, "training", mode, "keras") | measure(ours, theirs, allowed, variant.dtypes)


def _train(
    norm: keras.Layer, mode: Mode, x: tf.Tensor, targets: tf.Tensor, kernel: tf.Tensor, head: tf.Tensor
) -> Quantities:
    """Predictions after the training, and sums of the gradients in it: of the kernel below, alpha and beta."""
    variables = [tf.Variable(kernel), *(variable.value for variable in norm.trainable_variables)]
    first = [variable.numpy() for variable in variables]

    def predict() -> tf.Tensor:
        return tf.tanh(norm(x @ variables[0])) @ head  # (instances, 1)

    def step() -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((predict() - targets) ** 2)
        gradients = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        for variable, gradient in zip(variables, gradients, strict=True):
            variable.assign_sub(RATE * gradient)

    program = _in_mode(mode, step)
    for _ in range(STEPS):
        program()
    sums = [(before - variable.numpy()) / RATE for before, variable in zip(first, variables, strict=True)]
    return dict(zip(QUANTITIES, (predict().numpy(), *sums), strict=True))


def _in_mode(mode: Mode, function: Callable[..., Any]) -> Callable[..., Any]:
    return function if mode == "eager" else tf.function(function, jit_compile=mode == "xla", autograph=False)


def _call_all(
    layers: Sequence[keras.Layer], xs: Sequence[tf.Tensor], upstreams: Sequence[tf.Tensor]
) -> list[list[tf.Tensor]]:
    return [_call(*values) for values in zip(layers, xs, upstreams, strict=True)]


def _call(layer: keras.Layer, x: tf.Tensor, upstream: tf.Tensor) -> list[tf.Tensor]:
    """The four quantities. upstream: the gradient for the output."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = layer(x)
    sources = [x, *(variable.value for variable in layer.trainable_variables)]
    upstream = tf.cast(upstream, output.dtype)
    # A layer that leaves alpha out has no gradient for it: zero, which is then out of tolerance.
    zero = tf.UnconnectedGradients.ZERO
    return [output, *tape.gradient(output, sources, output_gradients=upstream, unconnected_gradients=zero)]


def _as_arrays(results: Sequence[tf.Tensor]) -> Quantities:
    return {name: result.numpy() for name, result in zip(QUANTITIES, results, strict=True)}
