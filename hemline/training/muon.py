"""Muon for less than half of the arithmetic: Keras's, with its Newton-Schulz iteration on the small Gram matrix.

    optimizer = Muon(0.05, weight_decay=0.1, ns_steps=3)        # otherwise as keras.optimizers.Muon

A Newton-Schulz step replaces X by X p(X'X) with p(r) = a + b r + c r^2, which moves every singular value of X towards
1. So after all of them X stands as it was, times one product of symmetric matrices. It is these that are multiplied
here, (s, s) where X is (rows, s), and X enters twice, for X'X and at the end: 123 MFLOP for 784 x 128 and 5 steps, in
place of 278 (https://dao-lab.ai/blog/2026/gram-newton-schulz).

In half precision the iteration must begin anew from X after two steps, or rounding makes eigenvalues of X'X negative
and then large. float32, which variables have here under every policy, bears 5 steps
(tests/hemline/training/test_muon.py). docs/performance.md says what fewer steps cost and gain (python -m bench.muon).
"""

import keras
import tensorflow as tf

CONVOLUTION = 4  # axes of its kernel
NORM_EPSILON = 1e-7  # Keras's: no gradient has no direction


@keras.saving.register_keras_serializable(package="hemline")
class Muon(keras.optimizers.Muon):
    """Keras's Muon, variables and all; its updates are the same up to rounding.

    Besides matrices it takes kernels of convolutions, (height, width, in, out), as matrices of `out` columns. Keras's
    would quietly train them by Adam.
    """

    def zeropower_via_newtonschulz5(self, x: tf.Tensor, steps: int) -> tf.Tensor:
        """The matrix with x's singular vectors and all singular values near 1. x: (..., columns)."""
        return tf.reshape(orthogonal(_matrix(x), steps, (self.muon_a, self.muon_b, self.muon_c)), x.shape)

    def lr_adjust(self, x: tf.Tensor) -> tf.Tensor:
        """The update for a matrix of this size. x: (..., columns)."""
        return tf.reshape(super().lr_adjust(_matrix(x)), x.shape)

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        return len(variable.shape) != CONVOLUTION and super()._should_use_adamw(variable)


def _matrix(x: tf.Tensor) -> tf.Tensor:
    return tf.reshape(x, (-1, x.shape[-1]))


def orthogonal(x: tf.Tensor, steps: int, coefficients: tuple[float, float, float]) -> tf.Tensor:
    """x (rows, columns) after some Newton-Schulz steps, at least 1, begun from x over its Frobenius norm."""
    a, b, c = coefficients
    rows, columns = x.shape
    tall = rows > columns
    unit = tf.eye(min(rows, columns), dtype=x.dtype)

    def polynomial(gram: tf.Tensor) -> tf.Tensor:
        return a * unit + b * gram + c * gram @ gram

    gram = tf.matmul(x, x, transpose_a=tall, transpose_b=not tall)  # (s, s), s the shorter side
    norm = tf.sqrt(tf.linalg.trace(gram)) + NORM_EPSILON
    gram /= norm * norm
    factor = polynomial(gram)
    product = factor / norm  # in place of x
    for _ in range(steps - 1):
        gram = factor @ gram @ factor  # on both sides, so that rounding leaves it symmetric
        factor = polynomial(gram)
        product @= factor
    return x @ product if tall else product @ x
