"""The layer beside Keras's own, where it claims to stand in for it, and where it says that it differs."""

import copy
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from hemline.models.layer_norm import Form, LayerNorm
from tests.forked import Forked

FORMS: list[Form] = ["variance", "deviation"]
POLICIES = ["float32", "float64", "mixed_float16", "mixed_bfloat16", "float16", "bfloat16"]
MODES: dict[str, Callable] = {
    "eager": lambda function: function,
    "graph": tf.function,
    "xla": lambda function: tf.function(function, jit_compile=True),
}
Kind = type[keras.layers.Layer]
KINDS: list[Kind] = [LayerNorm, keras.layers.LayerNormalization]
in_every_mode = pytest.mark.parametrize("mode", MODES)


def drawn(*shape: int, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).normal(size=shape))


# Shapes and dtypes


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("given", ["float16", "bfloat16", "float32", "float64", "int32", "uint8"])
@pytest.mark.parametrize("shape", [(4,), (None, 4), (3, None, 4), (None, None, None, 4)])
def test_symbolic_calls_say_the_same(policy: str, given: str, shape: tuple[int | None, ...]) -> None:
    specs = [kind(dtype=policy).compute_output_spec(keras.KerasTensor(shape, given)) for kind in KINDS]
    assert specs[0].shape == specs[1].shape == shape
    assert specs[0].dtype == specs[1].dtype
    outputs = [kind(dtype=policy)(keras.Input(batch_shape=shape, dtype=given)) for kind in KINDS]
    assert outputs[0].shape == outputs[1].shape == shape
    assert outputs[0].dtype == outputs[1].dtype


@in_every_mode
@pytest.mark.parametrize("shape", [(0, 4), (3, 0, 4), (4,)])
def test_without_instances_or_without_a_batch_axis(mode: str, shape: tuple[int, ...]) -> None:
    def outcome(kind: Kind) -> list[np.ndarray]:
        layer = kind()
        layer.build(shape)

        # A batch of no known size, as in a model. Traced for a size of 0, TensorFlow 2.21's optimizer of graphs
        # divides by it and kills the process, for the gradient of either layer.
        @tf.function(jit_compile=mode == "xla", input_signature=[tf.TensorSpec((*[None] * (len(shape) - 1), 4))])
        def call(x: tf.Tensor) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(x)
                output = layer(x)
            return [output, *tape.gradient(output, [x, *(v.value for v in layer.trainable_variables)])]

        return [value.numpy() for value in (call.python_function if mode == "eager" else call)(tf.ones(shape))]

    for ours, theirs in zip(*map(outcome, KINDS), strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)


def test_one_layer_takes_other_batches_and_ranks_once_it_is_built() -> None:
    for kind in KINDS:
        layer = kind()
        for shape in ((2, 4), (5, 4), (2, 3, 4)):
            assert layer(tf.ones(shape)).shape == shape


@in_every_mode
@pytest.mark.parametrize("features", [1, 3])
def test_another_number_of_features_is_refused_by_both(mode: str, features: int) -> None:
    for kind in KINDS:
        layer = kind()
        layer.build((None, 4))
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
            MODES[mode](layer)(tf.ones((2, features)))


@pytest.mark.parametrize("shape", [(None, None), ()])
def test_features_that_are_not_known_are_refused_by_both(shape: tuple[int | None, ...]) -> None:
    for kind in KINDS:
        with pytest.raises((ValueError, IndexError)):
            kind().build(shape)


def test_sparse_inputs_are_refused_by_both() -> None:
    for kind in KINDS:
        with pytest.raises(ValueError, match="Sparse"):
            kind()(tf.sparse.from_dense([[1.0, 0.0]]))


# Variables


def test_variables_go_from_one_to_the_other() -> None:
    ours, theirs = (kind(name="norm") for kind in KINDS)
    for layer in (ours, theirs):
        layer.build((None, 4))
    theirs.set_weights([np.arange(4.0), -np.arange(4.0)])
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(ours(drawn(3, 4)), theirs(drawn(3, 4)), rtol=1e-5, atol=1e-6)
    assert ours.count_params() == theirs.count_params() == 8
    assert [variable.path for variable in ours.weights] == ["norm/alpha", "norm/beta"]
    assert [variable.path for variable in theirs.weights] == ["norm/gamma", "norm/beta"]


def test_a_frozen_layer_has_no_trainable_variables() -> None:
    for kind in KINDS:
        layer = kind(trainable=False)
        layer.build((None, 4))
        assert (len(layer.trainable_variables), len(layer.non_trainable_variables)) == (0, 2)


@pytest.mark.parametrize("epsilon", [0.25, np.float32(0.25), np.float64(0.25)])
def test_a_configuration_is_json_and_makes_the_layer_again(epsilon: float) -> None:
    for kind in KINDS:
        text = json.dumps(keras.saving.serialize_keras_object(kind(epsilon=epsilon, dtype="mixed_float16")))
        again = keras.saving.deserialize_keras_object(json.loads(text))
        assert isinstance(again, kind)
        assert (again.epsilon, again.dtype_policy.name) == (0.25, "mixed_float16")


def test_models_with_it_are_copied_and_cloned() -> None:
    for kind in KINDS:
        model = keras.Sequential([keras.Input((4,)), kind(epsilon=0.25)])
        x = drawn(3, 4)
        for other in (copy.deepcopy(model), keras.models.clone_model(model)):
            assert other.layers[0] is not model.layers[0]
            np.testing.assert_array_equal(other(x), model(x))


# Inside a model


def test_a_mask_reaches_the_layer_behind() -> None:
    seen = []

    class Behind(keras.layers.Layer):
        supports_masking = True

        def call(self, inputs: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
            seen.append(mask)
            return inputs

    for kind in KINDS:
        norm = kind()
        assert norm.supports_masking
        Behind()(norm(keras.layers.Embedding(10, 4, mask_zero=True)(np.array([[3, 1, 0]]))))
    assert len(seen) == 2
    for mask in seen:
        np.testing.assert_array_equal(mask, [[True, True, False]])


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_fit_makes_the_same_of_both(policy: str, jit_compile: bool) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 8)).astype(np.float32), rng.normal(size=(64, 1)).astype(np.float32)
    losses, predictions = [], []
    for kind in KINDS:
        keras.utils.set_random_seed(1)
        model = keras.Sequential(
            [
                keras.Input((8,)),
                keras.layers.Dense(16, activation="tanh", dtype=policy),
                kind(dtype=policy),
                keras.layers.Dense(1, dtype="float32"),
            ]
        )
        model.compile(keras.optimizers.SGD(0.05), "mse", jit_compile=jit_compile)
        losses.append(model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0).history["loss"])
        predictions.append(model.predict(x, verbose=0))
    # Twelve steps: a hundred roundings of float32, a few of bfloat16 (an ulp is 2 ** -7), less of float16.
    tolerance = {"float32": 1e-5, "mixed_float16": 2e-3, "mixed_bfloat16": 2e-2}[policy]
    np.testing.assert_allclose(losses[0], losses[1], rtol=tolerance)
    np.testing.assert_allclose(predictions[0], predictions[1], rtol=tolerance, atol=tolerance)
    assert losses[0][-1] < losses[0][0]


# Derivatives


def test_jacobians_are_the_same_backwards_and_forwards() -> None:
    x, direction = drawn(2, 5), drawn(2, 5, seed=1)
    jacobians, products = [], []
    for kind in KINDS:
        layer = kind(dtype="float64")
        layer.build(x.shape)
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = layer(x)
        jacobians.append(tape.batch_jacobian(output, x))  # (2, 5, 5)
        with tf.autodiff.ForwardAccumulator(x, direction) as accumulator:
            output = layer(x)
        products.append(accumulator.jvp(output))
    np.testing.assert_allclose(jacobians[0], jacobians[1], atol=1e-13)
    np.testing.assert_allclose(products[0], products[1], atol=1e-13)
    np.testing.assert_allclose(products[0], tf.linalg.matvec(jacobians[0], direction), atol=1e-13)


def first_and_second(layer: keras.layers.Layer, mode: str) -> Callable[[tf.Tensor], tuple[np.ndarray, np.ndarray]]:
    """The gradient of a weighted sum of outputs, and the gradient of a weighted sum of that."""

    def call(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        weights, direction = (tf.cast(drawn(*x.shape, seed=seed), x.dtype) for seed in (1, 2))
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(layer(x) * weights)
            gradient = inner.gradient(loss, x)
            along = tf.reduce_sum(gradient * direction)
        return gradient, outer.gradient(along, x)

    compiled = MODES[mode](call)
    return lambda x: tuple(value.numpy() for value in compiled(x))


@in_every_mode
@pytest.mark.parametrize("form", FORMS)
def test_second_derivatives_are_the_slopes_of_the_first(form: Form, mode: str) -> None:
    layer = LayerNorm(epsilon=1e-2, epsilon_on=form, dtype="float64")
    layer.build((2, 5))
    layer.alpha.assign(drawn(5, seed=3))
    both, x, step = first_and_second(layer, mode), drawn(2, 5).numpy(), 1e-6
    direction = drawn(2, 5, seed=2).numpy()
    slopes = np.empty_like(x)
    for index in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[index] += step
        below[index] -= step
        (up, _), (down, _) = both(tf.constant(above)), both(tf.constant(below))
        slopes[index] = ((up - down) * direction).sum() / (2 * step)
    np.testing.assert_allclose(both(tf.constant(x))[1], slopes, rtol=1e-7, atol=1e-7)


@in_every_mode
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_second_derivatives_of_constant_rows_are_finite(form: Form, mode: str, dtype: str) -> None:
    layer = LayerNorm(epsilon_on=form, dtype=dtype)
    layer.build((2, 5))
    for value in first_and_second(layer, mode)(tf.fill((2, 5), tf.constant(3.0, dtype))):
        assert np.isfinite(value).all()


def test_kerass_second_derivatives_leave_out_the_mean() -> None:
    """It stops the gradient of the mean inside the variance, which the first derivative alone does not need."""
    layer = keras.layers.LayerNormalization(dtype="float64")
    layer.build((2, 5))
    ours = LayerNorm(dtype="float64")
    ours.build((2, 5))
    theirs, right = (first_and_second(each, "eager")(drawn(2, 5)) for each in (layer, ours))
    np.testing.assert_allclose(theirs[0], right[0], atol=1e-13)
    assert np.abs(theirs[1] - right[1]).max() > 0.1


@in_every_mode
@pytest.mark.parametrize("form", FORMS)
def test_gradients_hold_for_huge_deviations(form: Form, mode: str) -> None:
    """Regression: a gradient through the cube of 1 / deviation is cut off in float32 from 4e12 on."""
    x, upstream = drawn(8, 64), drawn(8, 64, seed=1)
    layer = LayerNorm(epsilon_on=form)
    layer.build(x.shape)

    def gradient(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = layer(x)
        return tape.gradient(output, x, output_gradients=tf.cast(upstream, tf.float32))

    small, huge = (MODES[mode](gradient)(tf.cast(x * size, tf.float32)).numpy() * size for size in (1e3, 1e17))
    np.testing.assert_allclose(huge, small, rtol=1e-4, atol=1e-4)


# What else differs


def test_keras_makes_whole_numbers_of_whole_numbers() -> None:
    x = tf.constant([[0, 100, 254]])
    ours, theirs = (kind()(x).numpy() for kind in KINDS)
    np.testing.assert_allclose(ours, LayerNorm()(tf.cast(x, tf.float32)))
    np.testing.assert_array_equal(theirs, np.trunc(ours))
    assert ours.dtype == theirs.dtype == np.float32


def test_keras_rounds_to_the_inputs_precision_first() -> None:
    x = tf.cast(drawn(3, 8), tf.float16)
    ours, theirs = (kind()(x).numpy() for kind in KINDS)
    np.testing.assert_array_equal(theirs, theirs.astype(np.float16))
    np.testing.assert_allclose(ours, theirs, rtol=2**-10)
    np.testing.assert_allclose(ours, LayerNorm()(tf.cast(x, tf.float32)))


def test_it_has_no_other_options() -> None:
    options: dict[str, Any] = {"axis": 1, "center": False, "gamma_initializer": "zeros", "beta_regularizer": "l2"}
    for name, value in options.items():
        keras.layers.LayerNormalization(**{name: value})
        with pytest.raises(ValueError, match=name):
            LayerNorm(**{name: value})


# Elsewhere


def gradient_of(function: Callable, x: tf.Tensor, mode: str) -> np.ndarray:
    def call(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = function(x)
        return tape.gradient(output, x, output_gradients=tf.ones_like(output) * tf.range(4.0))

    return MODES[mode](call)(x).numpy()


@in_every_mode
@pytest.mark.parametrize("form", FORMS)
def test_saved_models_are_differentiated_as_the_layer_is(form: Form, mode: str, tmp_path: Path) -> None:
    layer = LayerNorm(epsilon=0.25, epsilon_on=form)
    model = keras.Sequential([keras.Input((4,)), layer])
    layer.alpha.assign([1.0, 2.0, 3.0, 4.0])
    model.save(tmp_path / "model.keras")
    model.export(tmp_path / "exported", verbose=False)
    x = tf.cast(drawn(3, 4), tf.float32)
    exported = tf.saved_model.load(tmp_path / "exported")  # as a program that has not our class does
    for other in (keras.saving.load_model(tmp_path / "model.keras"), exported.serve):
        np.testing.assert_allclose(other(x), model(x), rtol=1e-6)
        np.testing.assert_allclose(gradient_of(other, x, mode), gradient_of(model, x, "eager"), rtol=1e-5, atol=1e-6)


def mirrored() -> None:
    """In a process of its own, which has two devices."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    rng = np.random.default_rng(0)
    x, upstream = (tf.constant(rng.normal(size=(2, 3, 4)), tf.float32) for _ in range(2))  # a replica, an instance
    strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    for form in FORMS:
        with strategy.scope():
            norm = of_four(form)
        compiled = tf.function(partial(with_gradients, norm), jit_compile=True)

        def replica(compiled: Callable = compiled) -> list[tf.Tensor]:
            number = tf.distribute.get_replica_context().replica_id_in_sync_group
            return compiled(x[number], upstream[number])

        results = tf.function(strategy.run)(replica)
        for number in range(2):
            for result, expected in zip(
                results, with_gradients(of_four(form), x[number], upstream[number]), strict=True
            ):
                result = strategy.experimental_local_results(result)[number]
                np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
    print("the same")


def of_four(form: Form) -> LayerNorm:
    norm = LayerNorm(epsilon_on=form)
    norm.build((None, 4))
    norm.alpha.assign([1.0, 2.0, 3.0, 4.0])
    return norm


def with_gradients(norm: LayerNorm, x: tf.Tensor, upstream: tf.Tensor) -> list[tf.Tensor]:
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = norm(x)
    variables = [variable.value for variable in norm.trainable_variables]
    return [output, *tape.gradient(output, [x, *variables], output_gradients=upstream)]


def test_compiled_replicas_have_the_gradients_of_one_device() -> None:
    done = Forked(mirrored).ended()
    assert (done.code, done.said) == (0, ["the same"]), done.errors
