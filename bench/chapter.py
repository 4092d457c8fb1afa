"""The chapter's listing of exercise 2 as a script, training all variables: python bench/chapter.py fashion_mnist.npz

What one has who pastes the listing into a file: nothing is verified, and nothing is kept. `bench.run` measures a whole
run beside it, and `bench.training` an epoch. Of the listing three things differ: Keras 3 has other names for two calls,
all variables are trained and not four of ten, and arrays come from a file instead of the network.
"""

import sys
from collections.abc import Callable
from typing import TextIO

import keras
import numpy as np
import tensorflow as tf

EPOCHS, BATCH_SIZE = 5, 128


class LayerNorm(keras.layers.Layer):
    """The chapter's."""

    def __init__(self, eps: float = 1e-3, **arguments: object):
        super().__init__(**arguments)
        self.eps = eps

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Two vectors as wide as the input."""
        width = input_shape[-1]
        self.alpha = self.add_weight(name="alpha", shape=(width,), initializer="ones")
        self.beta = self.add_weight(name="beta", shape=(width,), initializer="zeros")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """inputs: (B, width)."""
        mean, variance = tf.nn.moments(inputs, axes=-1, keepdims=True)
        return self.alpha * (inputs - mean) / tf.sqrt(variance + self.eps) + self.beta


def training(images: np.ndarray, labels: np.ndarray, out: TextIO) -> tuple[keras.Model, Callable[[], float]]:
    """The model, and what trains it for an epoch and returns the loss. images: (N, H, W) float. labels: (N,)."""
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(60_000).batch(BATCH_SIZE)
    layers = [keras.Input(images.shape[1:]), keras.layers.Flatten()]
    for width in (128, 64):
        layers += [keras.layers.Dense(width), LayerNorm(), keras.layers.Activation("relu")]
    model = keras.Sequential([*layers, keras.layers.Dense(10)])
    upper = model.layers[-1].trainable_variables
    lower = [variable for variable in model.trainable_variables if all(variable is not other for other in upper)]
    adam, sgd = keras.optimizers.Adam(1e-3), keras.optimizers.SGD(1e-1)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    mean_loss, accuracy = keras.metrics.Mean(), keras.metrics.SparseCategoricalAccuracy()
    adam.build(lower)
    sgd.build(upper)

    @tf.function
    def train_step(x: tf.Tensor, y: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = loss_of(y, logits)
        gradients = tape.gradient(loss, [variable.value for variable in lower + upper])
        adam.apply(gradients[: len(lower)], lower)
        sgd.apply(gradients[len(lower) :], upper)
        mean_loss.update_state(loss)
        accuracy.update_state(y, logits)

    def epoch() -> float:
        mean_loss.reset_state()
        accuracy.reset_state()
        for iteration, (x, y) in enumerate(dataset, 1):
            train_step(x, y)
            print(f"{iteration} loss={mean_loss.result():.4f} acc={accuracy.result():.4f}", end="\r", file=out)
        return float(mean_loss.result())

    return model, epoch


def main(path: str) -> None:
    """Five epochs, each validated on the test split."""
    with np.load(path) as arrays:
        images, labels, val_images, val_labels = (arrays[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    images, val_images = images / 255.0, val_images / 255.0
    model, epoch = training(images, labels, sys.stdout)
    val_dataset = tf.data.Dataset.from_tensor_slices((val_images, val_labels)).batch(BATCH_SIZE)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    val_loss, val_accuracy = keras.metrics.Mean(), keras.metrics.SparseCategoricalAccuracy()

    @tf.function
    def val_step(x: tf.Tensor, y: tf.Tensor) -> None:
        logits = model(x, training=False)
        val_loss.update_state(loss_of(y, logits))
        val_accuracy.update_state(y, logits)

    for number in range(1, EPOCHS + 1):
        loss = epoch()
        val_loss.reset_state()
        val_accuracy.reset_state()
        for x, y in val_dataset:
            val_step(x, y)
        print(f"E{number} loss={loss:.4f} val_loss={val_loss.result():.4f} val_acc={val_accuracy.result():.4f}")


if __name__ == "__main__":
    main(sys.argv[1])
