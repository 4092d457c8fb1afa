"""Loss scaling for float16 (Micikevicius et al., 2018, arXiv:1710.03740).

    loss_scale = LossScale()
    step = loss_scale.around(make_step(model, groups, loss_scale.tape))

Many gradients are below 6e-8, the smallest number of float16. So the loss is multiplied by a power of 2, which costs
no digit, and its gradients are divided by it. A step whose gradients overflow is left out and the scale halved; after
GROWTH steps without overflow it is doubled. Keras's LossScaleOptimizer keeps a scale for each optimizer; here several
optimizers share one loss.
"""

from dataclasses import replace
from typing import Any

import tensorflow as tf

from hemline.training.step import Gradients, Step

FIRST, GROWTH = 2.0**15, 2000  # Keras's


class LossScale(tf.Module):
    """The scale and the steps since it last changed, both part of a checkpoint."""

    def __init__(self) -> None:
        super().__init__(name="loss_scale")
        self.scale = tf.Variable(FIRST, trainable=False, name="scale")
        self.finite_steps = tf.Variable(0, trainable=False, name="finite_steps")

    def tape(self) -> tf.GradientTape:
        """A tape that takes gradients of the scaled loss and divides them by the scale."""
        return _ScaledTape(self.scale)

    def around(self, step: Step) -> Step:
        """The same step, left out, on all replicas or on none, if a gradient is not finite."""
        strategy = tf.distribute.get_strategy()

        def apply(gradients: Gradients) -> None:
            finite = strategy.reduce("SUM", strategy.run(_overflows, (gradients,)), axis=None) == 0
            tf.cond(finite, lambda: step.apply(gradients), lambda: None)
            scale, grows = self.scale, self.finite_steps + 1 == GROWTH
            scale.assign(tf.where(finite, tf.where(grows, 2 * scale, scale), tf.maximum(scale / 2, 1)))
            self.finite_steps.assign(tf.where(finite & ~grows, self.finite_steps + 1, 0))

        return replace(step, apply=apply)


class _ScaledTape(tf.GradientTape):
    def __init__(self, scale: tf.Variable):
        super().__init__()
        self._scale = scale

    def gradient(self, loss: tf.Tensor, variables: Any) -> Any:
        scale = tf.convert_to_tensor(self._scale)
        scaled = super().gradient(loss, variables, output_gradients=scale)
        return tf.nest.map_structure(lambda gradient: gradient / scale, scaled)


def _overflows(gradients: Gradients) -> tf.Tensor:
    """How many of the gradients have a value that is not finite."""
    overflows = [tf.reduce_any(~tf.math.is_finite(gradient)) for gradient in tf.nest.flatten(gradients)]
    return tf.add_n([tf.cast(overflow, tf.int32) for overflow in overflows])
