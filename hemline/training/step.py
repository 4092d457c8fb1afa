"""The training step: exercise 2, and nothing else.

    step = make_step(model, groups)
    loss, correct = step(x, y, weight, position)        # inside a tf.function

`loss_scale` and `replicas` wrap it: they replace the tape or one of the two halves, and leave the rest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from hemline.models.random_layers import at
from hemline.training.groups import Group

Gradients = list[list[tf.Tensor]]  # by group, then by variable
Computed = tuple[tf.Tensor, tf.Tensor, Gradients]  # loss, correct examples, gradients


def position_of(epoch: int, step: int) -> int:
    """A number that grows with every step of a run. epoch: from 1; step: within it, from 0."""
    return (epoch << 32) + step


@dataclass(frozen=True)
class Step:
    """What happens to one batch, in two halves."""

    compute: Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], Computed]
    apply: Callable[[Gradients], None]

    def __call__(
        self, x: tf.Tensor, y: tf.Tensor, weight: tf.Tensor, position: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean loss before the update, and how many examples were right.

        weight: (B,), 1 or, for padding, 0. position: of the step in the run, a scalar int64.
        """
        loss, correct, gradients = self.compute(x, y, weight, tf.reduce_sum(weight), position)
        self.apply(gradients)
        return loss, correct


def make_step(
    model: keras.Model,
    groups: Sequence[Group],
    new_tape: Callable[[], tf.GradientTape] = tf.GradientTape,
    label_smoothing: float = 0.0,
) -> Step:
    """The step of the exercise. model: (B, H, W, C) uint8 to (B, classes) logits.

    label_smoothing: share of an example's label that all classes have in equal parts (Szegedy et al., 2016).
    """

    def compute(x: tf.Tensor, y: tf.Tensor, weight: tf.Tensor, examples: tf.Tensor, position: tf.Tensor) -> Computed:
        """x: (B, H, W, C) uint8. y: (B,). weight: (B,). examples: what the sum of losses is divided by."""
        with new_tape() as tape, at(position):
            logits = tf.cast(model(x, training=True), tf.float32)  # (B, classes)
            example_loss = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)  # (B,)
            if label_smoothing:  # the cross-entropy with equal parts is the mean over the classes
                even = tf.reduce_logsumexp(logits, axis=-1) - tf.reduce_mean(logits, axis=-1)  # (B,)
                example_loss = (1 - label_smoothing) * example_loss + label_smoothing * even
            loss = tf.reduce_sum(example_loss * weight) / examples
            if penalties := model.losses:  # of layers with a regularizer; a replica adds its share
                loss += tf.cast(tf.add_n(penalties), tf.float32) * tf.reduce_sum(weight) / examples
        gradients = tape.gradient(loss, [[variable.value for variable in group.variables] for group in groups])
        hits = (weight > 0) & (tf.argmax(logits, axis=-1, output_type=tf.int32) == y)  # (B,)
        return loss, tf.reduce_sum(tf.cast(hits, tf.int32)), gradients

    def apply(gradients: Gradients) -> None:
        for group, own in zip(groups, gradients, strict=True):
            group.optimizer.apply(own, group.variables)

    return Step(compute, apply)
