"""Loss scaling for float16 (Micikevicius et al., 2018, arXiv:1710.03740).

    loss_scale = LossScale()
    gradients = tape.gradient(loss_scale.up(loss), ...)
    loss_scale.apply_if_finite(gradients, update)       # update(gradients): divided by the scale again

float16 ends at 6e-8, where many gradients begin. The loss is multiplied by a power of 2, which costs no digit,
and so are they. A step whose gradients overflow is left out and the scale halved; after GROWTH steps without
one it is doubled. Keras's LossScaleOptimizer keeps a scale for each optimizer; here one loss has several.
"""

from collections.abc import Callable

import tensorflow as tf

FIRST, GROWTH = 2.0**15, 2000  # Keras's


class LossScale(tf.Module):
    """The scale and the steps since it last changed, both part of a checkpoint."""

    def __init__(self) -> None:
        super().__init__(name="loss_scale")
        self.scale = tf.Variable(FIRST, trainable=False, name="scale")
        self.finite_steps = tf.Variable(0, trainable=False, name="finite_steps")

    def up(self, loss: tf.Tensor) -> tf.Tensor:
        """What the gradients are to be taken of."""
        return loss * self.scale

    def apply_if_finite(self, gradients: list[tf.Tensor], update: Callable[[list[tf.Tensor]], None]) -> None:
        """For graphs, outside the replicas: all of them take the step or none does."""
        strategy = tf.distribute.get_strategy()
        gradients = strategy.run(self._down, (gradients,))
        finite = strategy.reduce("SUM", strategy.run(_overflows, (gradients,)), axis=None) == 0
        if finite:
            update(gradients)
        grows = self.finite_steps + 1 == GROWTH
        self.scale.assign(tf.where(finite, tf.where(grows, 2 * self.scale, self.scale), tf.maximum(self.scale / 2, 1)))
        self.finite_steps.assign(tf.where(finite & ~grows, self.finite_steps + 1, 0))

    def _down(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        return [gradient / self.scale for gradient in gradients]


def _overflows(gradients: list[tf.Tensor]) -> tf.Tensor:
    """How many of the gradients have a value that is not finite."""
    return tf.add_n([tf.cast(tf.reduce_any(~tf.math.is_finite(gradient)), tf.int32) for gradient in gradients])
