"""Models of one's own, as a user would write them. For tests, not a test."""

from typing import Any

import keras
import tensorflow as tf
from keras import layers

from hemline.models.random_layers import Dropout, RandomFlip, RandomShift

Shape = tuple[int, int, int]


def everything(image_shape: Shape, classes: int, seed: int, precision: str, units: int = 16) -> keras.Model:
    """Augmentation, a regularizer, BatchNormalization and dropout; no layer has a name, none but ours a seed."""
    return keras.Sequential(
        [
            keras.Input(image_shape, dtype="uint8"),
            RandomFlip(seed=seed),
            RandomShift(1, seed=seed + 1),
            layers.Rescaling(1 / 255, dtype=precision),
            layers.Flatten(dtype=precision),
            layers.Dense(units, kernel_regularizer="l2", dtype=precision),
            layers.BatchNormalization(dtype=precision),
            layers.Activation("relu", dtype=precision),
            Dropout(0.5, seed=seed + 2, dtype=precision),
            layers.Dense(classes, dtype="float32"),
        ]
    )


def without_dtype(image_shape: Shape, classes: int, seed: int, precision: str) -> keras.Model:
    """Only the last layer says what it computes in."""
    return ending(layers.Dense(5), layers.Dense(classes, dtype="float32"), image_shape=image_shape)


def backbone() -> keras.Model:
    """As from keras.applications: built before it is used, so that its variables' paths do not begin with its name."""
    pixels = keras.Input((4, 4, 1))
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(2, 3, name="conv")(pixels))
    return keras.Model(pixels, layers.Dropout(0.5, name="drop")(layers.Flatten()(x)), name="backbone")


def on(network: keras.Model) -> keras.Model:
    """The network with a layer of logits."""
    images = keras.Input((4, 4, 1), dtype="uint8")
    return keras.Model(images, layers.Dense(3, name="top")(network(layers.Rescaling(1 / 255)(images))))


def ending(*last: layers.Layer, image_shape: Shape = (4, 4, 1)) -> keras.Sequential:
    """Scaled and flattened pixels, then these layers."""
    start = [keras.Input(image_shape, dtype="uint8"), layers.Rescaling(1 / 255), layers.Flatten()]
    return keras.Sequential([*start, *last])


class Unregistered(layers.Layer):
    """A layer that Keras does not find when it loads a model."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs


@keras.saving.register_keras_serializable(package="tests")
class Forgetful(layers.Layer):
    """A layer whose get_config leaves out what it was told."""

    def __init__(self, factor: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.factor * inputs

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


def two_outputs() -> keras.Model:
    images = keras.Input((4, 4, 1), dtype="uint8")
    flat = layers.Flatten()(layers.Rescaling(1 / 255)(images))
    return keras.Model(images, [layers.Dense(3)(flat), layers.Dense(2)(flat)])


def idle_layer() -> keras.Model:
    """A model with weights that no gradient reaches."""
    images = keras.Input((4, 4, 1), dtype="uint8")
    flat = layers.Flatten()(layers.Rescaling(1 / 255)(images))
    argmax = keras.ops.cast(keras.ops.argmax(layers.Dense(3, name="idle")(flat), axis=-1, keepdims=True), "float32")
    return keras.Model(images, layers.Dense(3)(keras.ops.concatenate([flat, argmax], axis=-1)))


@keras.saving.register_keras_serializable(package="tests")
class Noisy(layers.Layer):
    """A layer that draws by a state of TensorFlow's own."""

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        return inputs + tf.random.uniform(tf.shape(inputs)) if training else inputs


@keras.saving.register_keras_serializable(package="tests")
class NoisyByKeras(layers.Layer):
    """A layer that draws by a state of Keras's own, which no layer has."""

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        return inputs + keras.random.uniform(tf.shape(inputs)) if training else inputs


@keras.saving.register_keras_serializable(package="tests")
class Counting(layers.Layer):
    """A layer with a state that is not among its weights."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.calls = [tf.Variable(0.0, name="calls")]

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        return inputs / (1 + self.calls[0].assign_add(1.0)) if training else inputs


@keras.saving.register_keras_serializable(package="tests")
class FailingInTraining(layers.Layer):
    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if training:
            raise ValueError("there is no such mode")
        return inputs


def defined_inside() -> keras.Model:
    @keras.saving.register_keras_serializable(package="tests")
    class Inside(layers.Layer):
        def call(self, inputs: tf.Tensor) -> tf.Tensor:
            return inputs

    return ending(Inside(), layers.Dense(3))


class Subclass(keras.Model):
    """A model that does not say what it takes."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs


def failing(image_shape: Shape, classes: int, seed: int, precision: str) -> keras.Model:
    raise ValueError("there is no such width")
