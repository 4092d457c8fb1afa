"""The training step's loss with smoothed labels, against Keras's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from hemline.models import build
from hemline.training.groups import partition
from hemline.training.step import make_step
from tests.hemline.training.test_groups import muon

IMAGES = np.random.default_rng(0).integers(256, size=(6, 4, 4, 1), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 3, 4, 4], np.int32)
WEIGHT = np.array([1, 1, 1, 1, 1, 0], np.float32)  # the last is padding


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_smoothed_labels_are_as_in_keras(smoothing: float) -> None:
    model = build("mlp", (4, 4, 1), 5, seed=1)
    step = make_step(model, [], label_smoothing=smoothing)
    x, y, weight = tf.constant(IMAGES), tf.constant(LABELS), tf.constant(WEIGHT)
    loss, correct, _ = step.compute(x, y, weight, tf.constant(5.0), tf.constant(1))
    keras_own = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    logits = model(IMAGES[:5])
    assert float(loss) == pytest.approx(float(keras_own(np.eye(5)[LABELS[:5]], logits)), rel=1e-6)
    assert int(correct) == int((np.argmax(logits, axis=1) == LABELS[:5]).sum())  # of the true labels


def test_a_quarter_of_the_label_by_hand() -> None:
    # Logits 0 and ln 3: probabilities 1/4 and 3/4. Label 1: 3/4 + 1/8 = 7/8 of it, and 1/8 of label 0.
    model = keras.Sequential([keras.Input((1, 1, 1), dtype="uint8"), keras.layers.Flatten(), keras.layers.Dense(2)])
    model.layers[-1].set_weights([np.zeros((1, 2)), np.log([1, 3])])
    step = make_step(model, [], label_smoothing=0.25)
    one = tf.ones(1)
    loss, _, _ = step.compute(tf.zeros((1, 1, 1, 1), tf.uint8), tf.constant([1]), one, tf.constant(1.0), tf.constant(1))
    assert float(loss) == pytest.approx(7 / 8 * np.log(4 / 3) + 1 / 8 * np.log(4), rel=1e-6)


def test_muon_takes_the_kernel_of_a_convolution_as_a_matrix() -> None:
    """(height, width, in, out) by (height * width * in, out): the same updates, and none of Adam's."""
    kernel = keras.Variable(np.random.default_rng(1).standard_normal((3, 3, 4, 8)).astype(np.float32), name="kernel")
    matrix = keras.Variable(np.reshape(kernel, (36, 8)), name="kernel")
    gradients = np.random.default_rng(2).standard_normal((2, 3, 3, 4, 8)).astype(np.float32)
    group = muon("conv_*/kernel")["matrices"]
    cnn = build("cnn", (8, 8, 1), 3, seed=1)
    (made,) = partition(cnn, {"matrices": group}, frozen=["conv_*/bias", "norm_*", "logits"])
    assert made.optimizer.adam_velocities == [None] * 3
    for variable in (kernel, matrix):
        optimizer = type(made.optimizer).from_config(made.optimizer.get_config() | {"name": None})
        optimizer.build([variable])
        for gradient in gradients:
            optimizer.apply([tf.constant(gradient.reshape(variable.shape))], [variable])
    np.testing.assert_array_equal(np.reshape(kernel, (36, 8)), matrix)
