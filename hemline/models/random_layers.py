"""Layers that draw random numbers in training, and the same ones again when a killed run goes on.

    x = RandomFlip(seed=seed)(images)               # (B, H, W, C), any dtype: left and right, half of them
    x = RandomShift(2, seed=seed + 1)(x)            # up to 2 pixels up, down, left, right; zeros move in
    x = Dropout(0.3, seed=seed + 2)(x)              # any shape

    network = with_dropout_of_ours(keras.applications.EfficientNetB0(...), seed)

    with at(position):                              # the training loop does it, and gives each step another number
        model(images, training=True)

Keras's own random layers keep a generator's state, which a checkpoint does not have. What these draw is a function of
their seed and the step: give each layer another seed. In evaluation and serving they do nothing.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any

import keras
import tensorflow as tf

_position: ContextVar[tf.Tensor | None] = ContextVar("position", default=None)


@contextmanager
def at(position: tf.Tensor | int) -> Iterator[None]:
    """Inside, random layers draw the numbers of this step. position: a scalar int64 that no two steps share."""
    token = _position.set(tf.cast(position, tf.int64))
    try:
        yield
    finally:
        _position.reset(token)


class _RandomLayer(keras.layers.Layer):
    """Passes its inputs on, but for training: then `change` has its way."""

    def __init__(self, seed: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed
        self.supports_masking = True

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.change(inputs) if training else inputs

    def change(self, x: tf.Tensor) -> tf.Tensor:
        """The inputs as training sees them."""
        raise NotImplementedError

    def uniform(self, shape: Sequence[Any]) -> tf.Tensor:
        """Numbers of [0, 1), float32, of this layer at this step."""
        position = _position.get()
        if position is None:
            raise RuntimeError(
                f"a random layer draws by the training's step. Received: {self.name!r}, called with training=True "
                "where there is none. Call the model inside `with hemline.models.random_layers.at(step)`."
            )
        return tf.random.stateless_uniform(shape, seed=tf.stack([tf.constant(self.seed, tf.int64), position]))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the input."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this layer again."""
        return super().get_config() | {"seed": self.seed}


@keras.saving.register_keras_serializable(package="hemline")
class Dropout(_RandomLayer):
    """Sets a share `rate` of the values to 0 and divides the others by what is left (Srivastava et al., 2014)."""

    def __init__(self, rate: float, seed: int, noise_shape: Sequence[int | None] | None = None, **kwargs: Any):
        """noise_shape: of what is drawn, as Keras's: 1 where all of an axis share a fate, None for the input's size."""
        if not 0 <= rate < 1:
            raise ValueError(f"rate must be >= 0 and < 1, a share. Received: rate={rate}.")
        super().__init__(seed, **kwargs)
        self.rate, self.noise_shape = rate, noise_shape

    def change(self, x: tf.Tensor) -> tf.Tensor:
        """x: (B, ...) float."""
        sizes = tf.unstack(tf.shape(x))
        drawn = [size if given is None else given for size, given in zip(sizes, self.noise_shape or sizes, strict=True)]
        kept = self.uniform(drawn) >= self.rate
        return tf.where(kept, x / tf.constant(1 - self.rate, x.dtype), tf.zeros_like(x))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this layer again."""
        return super().get_config() | {"rate": self.rate, "noise_shape": self.noise_shape}


def with_dropout_of_ours(network: keras.Model, seed: int) -> keras.Model:
    """A finished network, e.g. of keras.applications, with this Dropout in place of Keras's, and the same weights."""
    numbers = count(seed)

    def clone(layer: keras.Layer) -> keras.Layer:
        if type(layer) is not keras.layers.Dropout:
            return type(layer).from_config(layer.get_config())
        return Dropout(layer.rate, next(numbers), layer.noise_shape, name=layer.name, dtype=layer.dtype_policy)

    copy = keras.models.clone_model(network, clone_function=clone, recursive=True)
    copy.set_weights(network.get_weights())
    return copy


def augmentation(seed: int, flip: bool, shift: int) -> list[keras.layers.Layer]:
    """Layers that change the pixels of training images. flip: mirror half of them. shift: pixels, both ways; 0 none."""
    layers = [RandomFlip(seed, name="flip")] if flip else []
    return layers + ([RandomShift(shift, seed + 1, name="shift")] if shift else [])


@keras.saving.register_keras_serializable(package="hemline")
class RandomFlip(_RandomLayer):
    """Mirrors half of the images, left to right."""

    def change(self, x: tf.Tensor) -> tf.Tensor:
        """x: (B, H, W, C)."""
        return tf.where(self.uniform((tf.shape(x)[0], 1, 1, 1)) < 0.5, x[:, :, ::-1], x)


@keras.saving.register_keras_serializable(package="hemline")
class RandomShift(_RandomLayer):
    """Moves each image by up to `pixels` along both axes, and fills with zeros."""

    def __init__(self, pixels: int, seed: int, **kwargs: Any):
        if pixels < 1:
            raise ValueError(f"pixels must be >= 1. Received: pixels={pixels}.")
        super().__init__(seed, **kwargs)
        self.pixels = pixels

    def change(self, x: tf.Tensor) -> tf.Tensor:
        """x: (B, H, W, C)."""
        shifts = tf.cast(self.uniform((tf.shape(x)[0], 2)) * (2 * self.pixels + 1), tf.int32)  # (B, 2), 0 to 2 pixels
        for axis in (1, 2):
            border = [[self.pixels] * 2 if each == axis else [0, 0] for each in range(4)]
            padded, size = tf.pad(x, border), tf.shape(x)[axis]
            for shift in range(2 * self.pixels + 1):  # a gather takes longer, one element after the other under XLA
                moved = padded[:, shift : shift + size] if axis == 1 else padded[:, :, shift : shift + size]
                x = tf.where(shifts[:, axis - 1, None, None, None] == shift, moved, x)
        return x

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this layer again."""
        return super().get_config() | {"pixels": self.pixels}
