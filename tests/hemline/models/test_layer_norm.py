"""The layer against numbers worked by hand, and against Keras's rules for layers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from hemline.models.layer_norm import Form, LayerNorm

FORMS: list[Form] = ["variance", "deviation"]
POLICIES = ["float32", "float64", "mixed_float16", "mixed_bfloat16", "float16", "bfloat16"]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        # Mean 2, variance 1, epsilon 3. (x - 2) / sqrt(1 + 3) = -0.5, 0.5; times 2, 4; plus 10, 20.
        ("variance", [9.0, 22.0]),
        # (x - 2) / (sqrt(1) + 3) = -0.25, 0.25; times 2, 4; plus 10, 20.
        ("deviation", [9.5, 21.0]),
    ],
)
def test_values_worked_by_hand(form: Form, expected: list[float]) -> None:
    layer = LayerNorm(epsilon=3.0, epsilon_on=form)
    layer.build((None, 2))
    layer.alpha.assign([2.0, 4.0])
    layer.beta.assign([10.0, 20.0])
    np.testing.assert_allclose(layer(tf.constant([[1.0, 3.0], [11.0, 13.0]])), [expected, expected], rtol=1e-6)


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 4, 3), (2, 1, 4, 3)])
@pytest.mark.parametrize("form", FORMS)
def test_each_instance_is_normalised_over_its_last_axis_alone(form: Form, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=shape)
    y = LayerNorm(epsilon_on=form, dtype="float64")(tf.constant(x)).numpy()
    for index in np.ndindex(shape[:-1]):
        row = x[index]
        mean = sum(row) / 3
        variance = sum((value - mean) ** 2 for value in row) / 3
        divisor = (variance + 1e-3) ** 0.5 if form == "variance" else variance**0.5 + 1e-3
        np.testing.assert_allclose(y[index], (row - mean) / divisor, rtol=1e-12)


@pytest.mark.parametrize("policy", POLICIES)
def test_weights_are_those_of_keras(policy: str) -> None:
    ours, theirs = LayerNorm(dtype=policy), keras.layers.LayerNormalization(dtype=policy)
    for layer in (ours, theirs):
        layer.build((None, 5, 4))
    assert [weight.name for weight in ours.weights] == ["alpha", "beta"]
    for weight, expected, initial in zip(ours.trainable_variables, theirs.trainable_variables, (1, 0), strict=True):
        assert tuple(weight.shape) == tuple(expected.shape) == (4,)
        assert weight.dtype == expected.dtype
        np.testing.assert_array_equal(tf.cast(weight.value, tf.float32), np.full(4, initial))


@pytest.mark.parametrize("given", ["float16", "bfloat16", "float32", "float64", "int32", "uint8"])
@pytest.mark.parametrize("policy", POLICIES)
def test_output_has_the_dtype_that_keras_gives_it(policy: str, given: str) -> None:
    x = tf.cast(tf.constant([[1.0, 2.0, 4.0]]), given)
    ours, theirs = LayerNorm(dtype=policy), keras.layers.LayerNormalization(dtype=policy)
    assert ours(x).dtype == theirs(x).dtype
    symbolic = keras.KerasTensor((None, 3), given)
    assert ours.compute_output_spec(symbolic).dtype == theirs.compute_output_spec(symbolic).dtype


def test_whole_numbers_are_not_normalised_as_whole_numbers() -> None:
    # uint8 arithmetic would wrap around: 0 - 127 is 129.
    x = tf.constant([[0, 127, 254]], tf.uint8)
    np.testing.assert_allclose(LayerNorm()(x), [[-(1.5**0.5), 0, 1.5**0.5]], atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "float16"])
def test_half_precision_is_computed_in_float32(policy: str) -> None:
    # The squares of 300 are beyond float16's 65504. Mean 0, deviation 300.
    y = LayerNorm(dtype=policy)(tf.constant([[-300.0, 300.0]], tf.float16))
    np.testing.assert_array_equal(y, [[-1.0, 1.0]])


def test_float64_keeps_its_precision() -> None:
    # Regression: 1e-3 that went through float32 on its way to float64 is off by 5e-11.
    x = tf.constant(np.random.default_rng(0).normal(size=(4, 8)))
    ours, theirs = LayerNorm(dtype="float64"), keras.layers.LayerNormalization(dtype="float64")
    for layer in (ours, theirs):
        layer.build(x.shape)
        layer.trainable_variables[0].assign(np.full(8, 1 / 3))
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_saved_model_loads_in_safe_mode_and_gives_the_same(form: Form, policy: str, tmp_path: Path) -> None:
    layer = LayerNorm(epsilon=0.25, epsilon_on=form, dtype=policy, name="norm")
    model = keras.Sequential([keras.Input((3,)), layer])
    layer.alpha.assign([1.0, 2.0, 3.0])
    layer.beta.assign([4.0, 5.0, 6.0])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    x = tf.constant([[1.0, 5.0, 7.0]])
    assert loaded.get_layer("norm").get_config() == layer.get_config()
    np.testing.assert_array_equal(tf.cast(loaded(x), tf.float32), tf.cast(model(x), tf.float32))


def test_config_makes_the_layer_again() -> None:
    layer = LayerNorm(epsilon=0.5, epsilon_on="deviation", name="norm", dtype="mixed_float16", trainable=False)
    again = LayerNorm.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert (again.epsilon, again.epsilon_on, again.trainable) == (0.5, "deviation", False)


@pytest.mark.parametrize("shape", [(None, 4), (8, 4), (None, None, 4)])
def test_output_shape_is_the_inputs(shape: tuple[int | None, ...]) -> None:
    assert LayerNorm().compute_output_shape(shape) == shape


def test_batch_and_inner_axes_may_be_unknown() -> None:
    inputs = keras.Input((None, 4))
    outputs = LayerNorm()(inputs)
    assert outputs.shape == (None, None, 4)
    model = keras.Model(inputs, outputs)
    for shape in ((1, 2, 4), (3, 5, 4)):
        assert model(np.ones(shape, np.float32)).shape == shape


def test_a_mask_passes_through() -> None:
    embedded = keras.layers.Embedding(10, 4, mask_zero=True)(np.array([[3, 1, 0]]))
    np.testing.assert_array_equal(LayerNorm()(embedded)._keras_mask, [[True, True, False]])


@pytest.mark.parametrize("shape", [(None, None), ()])
def test_the_last_dimension_must_be_known(shape: tuple[int | None, ...]) -> None:
    with pytest.raises(
        ValueError, match=r"last dimension .* must be known.* Received: input_shape=.*Input with a full"
    ):
        LayerNorm().build(shape)


def test_another_number_of_features_is_refused() -> None:
    # One feature would broadcast to all of alpha's; Keras's layer refuses it.
    layer = LayerNorm()
    layer.build((None, 4))
    for features in (1, 3):
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
            layer(tf.ones((2, features)))


@pytest.mark.parametrize("epsilon", [0, -1e-3, float("nan"), float("inf")])
def test_epsilon_must_be_positive(epsilon: float) -> None:
    with pytest.raises(ValueError, match=r"epsilon must be finite and > 0.* Received: epsilon=.* Use 1e-3"):
        LayerNorm(epsilon=epsilon)


def test_epsilon_on_must_name_a_form() -> None:
    wrong: Any = "sigma"
    with pytest.raises(ValueError, match=r"must be 'variance' .* or 'deviation' .* Received: epsilon_on='sigma'"):
        LayerNorm(epsilon_on=wrong)


def compiled(function: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
    return tf.function(function, jit_compile=True)


@pytest.mark.parametrize("wrap", [lambda function: function, tf.function, compiled], ids=["eager", "graph", "xla"])
@pytest.mark.parametrize("form", FORMS)
def test_constant_rows_have_the_gradient_of_a_zero_deviation(
    form: Form, wrap: Callable[[Callable[[tf.Tensor], tf.Tensor]], Callable[[tf.Tensor], tf.Tensor]]
) -> None:
    """Regression: the square root's infinite slope at zero times zero was NaN, under XLA only.

    Upstream 1, 2, 3, 4 less its mean is -1.5, -0.5, 0.5, 1.5. At zero variance the divisor is epsilon
    (deviation) or its root (variance), and has no slope of its own.
    """
    layer = LayerNorm(epsilon=1e-2, epsilon_on=form)
    layer.build((None, 4))

    def gradient(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x) * tf.constant([1.0, 2.0, 3.0, 4.0]))
        return tape.gradient(loss, x)

    divisor = 1e-2 if form == "deviation" else 1e-1
    expected = np.array([[-1.5, -0.5, 0.5, 1.5]] * 2) / divisor
    np.testing.assert_allclose(wrap(gradient)(tf.fill((2, 4), 3.0)), expected, rtol=1e-4)
