"""Layer normalisation (Ba et al., 2016, arXiv:1607.06450), written by hand: exercise 1.

    y = LayerNorm(epsilon=1e-3)(x)      # x, y: (..., features); trainable alpha (ones) and beta (zeros): (features,)

    epsilon_on="variance"               alpha * (x - mean) / sqrt(variance + epsilon) + beta
    epsilon_on="deviation"              alpha * (x - mean) / (sqrt(variance) + epsilon) + beta

Keras and the exercise's listing compute the first, the exercise's text has the second. They differ by a factor
sqrt(v + e) / (sqrt(v) + e): 5e-4 at unit variance and epsilon 1e-3, and more than 0.3 where the deviation is near
epsilon. `hemline.proofs.parity` compares this layer with `keras.layers.LayerNormalization`.
"""

import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import keras
import tensorflow as tf

Form = Literal["variance", "deviation"]
LANES = 16


@keras.saving.register_keras_serializable(package="hemline")
class LayerNorm(keras.layers.Layer):
    """Normalises the last axis, then scales by alpha and shifts by beta.

    Half-precision inputs are normalised in float32 and cast back, as Keras does: in float16 the squares alone would
    cost an error of 0.18.

    It can replace `keras.layers.LayerNormalization()`: variables, shapes and dtypes are the same under every policy,
    masks are passed on, and `set_weights` takes the other's. It differs (Keras 3.15;
    tests/hemline/models/test_layer_norm_substitute.py) in that

    - its variables are called alpha and beta, not gamma and beta, so files of weights do not fit;
    - it normalises the last axis, always scales and shifts, has no initializers, regularizers or constraints to
      choose, has `epsilon_on`, and refuses epsilon 0;
    - a result is rounded to the policy's dtype only. Keras rounds it to the inputs' first, e.g. to whole numbers;
    - float32 gradients for inputs hold for deviations above 4e12, where Keras's are up to 60 % off
      (always under XLA, sometimes elsewhere);
    - second derivatives are those of the formula. Keras's leave out that the mean depends on the inputs.
    """

    def __init__(
        self,
        epsilon: float = 1e-3,
        epsilon_on: Form = "variance",
        **kwargs: Any,
    ):
        if not 0 < epsilon < math.inf:
            raise ValueError(
                f"epsilon must be finite and > 0, or a constant row divides by zero. Received: epsilon={epsilon}. "
                "Use 1e-3, Keras's default."
            )
        if epsilon_on not in get_args(Form):
            raise ValueError(
                "epsilon_on must be 'variance' (Keras) or 'deviation' (the exercise's text). "
                f"Received: epsilon_on={epsilon_on!r}."
            )
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.epsilon_on = epsilon_on
        self.supports_masking = True
        self.autocast = False  # a float32 input under a mixed policy keeps its precision up to the last cast

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes alpha and beta, (features,) each; float32 unless the dtype policy says otherwise."""
        features = input_shape[-1] if len(input_shape) > 0 else None
        if features is None:
            raise ValueError(
                "The last dimension of the inputs must be known, since alpha and beta have its size. "
                f"Received: input_shape={tuple(input_shape)}. Give the model an Input with a full shape."
            )
        self.input_spec = keras.layers.InputSpec(axes={-1: features})  # broadcasting would hide a wrong size
        self.alpha = self.add_weight(name="alpha", shape=(features,), initializer="ones", autocast=False)
        self.beta = self.add_weight(name="beta", shape=(features,), initializer="zeros", autocast=False)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """inputs: (..., features), any float dtype. Returns the same shape in the compute dtype."""
        x = tf.convert_to_tensor(inputs)
        if x.dtype != tf.float64:
            x = tf.cast(x, tf.float32)
        alpha, beta = tf.cast(self.alpha, x.dtype), tf.cast(self.beta, x.dtype)
        return tf.cast(alpha * _normalise(x, self.epsilon, self.epsilon_on) + beta, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the input."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this layer again."""
        return super().get_config() | {"epsilon": self.epsilon, "epsilon_on": self.epsilon_on}


def _normalise(x: tf.Tensor, epsilon: float, epsilon_on: Form) -> tf.Tensor:
    """(x - mean) / divisor over the last axis, with its gradient written out.

    XLA makes fewer and larger kernels of it than of the derivatives of mean and variance one by one: the whole
    training step takes 0.82 of the time (python -m bench.training). The gradient depends on x alone, so that it can be
    differentiated again; XLA computes what it shares with the forward pass once.
    """

    def parts(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """y (..., features), 1 / divisor (..., 1), and slope (..., 1): d divisor / dx is slope * y / features."""
        # Not tf.nn.moments: it hides the mean from the variance's derivative, which makes second derivatives wrong.
        centred = x - _mean(x)
        variance = _mean(centred * centred)
        # Not tf.cast(epsilon, ...): a Python float becomes float32 before it becomes float64.
        e = tf.constant(epsilon, x.dtype)
        if epsilon_on == "variance":
            scale = tf.math.rsqrt(variance + e)
            return centred * scale, scale, tf.ones_like(scale)
        deviation = _sqrt(variance)
        return centred / (deviation + e), 1 / (deviation + e), 1 + tf.math.divide_no_nan(e, deviation)

    @tf.custom_gradient
    def normalise(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            # Through centred, through the mean in it, and through the divisor. Written with y, which is about 1:
            # the cube of the scale is below the smallest float32 from a deviation of 1e13 on.
            y, scale, slope = parts(x)
            return scale * (upstream - _mean(upstream) - slope * _mean(upstream * y) * y)

        return parts(x)[0], gradient

    return normalise(x)


def _mean(x: tf.Tensor) -> tf.Tensor:
    """Over the last axis, (..., 1): of LANES columns side by side, then of the LANES means.

    On a CPU, XLA adds up a row one number after another, but columns LANES at a time: the two layers of a
    training step take 24 µs in place of 53 (python -m bench.step). Sizes that are known are no operations of their own,
    which would take 0.2 s of a run.
    """
    features = x.shape[-1]
    if features % LANES == 0:
        rows = x.shape[:-1] if x.shape[:-1].is_fully_defined() else tf.unstack(tf.shape(x)[:-1])
        x = tf.reduce_mean(tf.reshape(x, [*rows, features // LANES, LANES]), axis=-2)
    return tf.reduce_mean(x, axis=-1, keepdims=True)


def _sqrt(variance: tf.Tensor) -> tf.Tensor:
    """Square root with gradient zero at zero. There it is infinite, and infinity times zero is NaN under XLA."""
    # The inner `where` keeps the root away from zero, the outer one puts the value back.
    positive = variance > 0
    return tf.where(positive, tf.sqrt(tf.where(positive, variance, tf.ones_like(variance))), tf.zeros_like(variance))
