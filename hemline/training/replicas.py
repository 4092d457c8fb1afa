"""A step on several devices: each replica takes its share of every batch, and their gradients are summed.

    step = on_replicas(make_step(model, groups), model, groups, xla=True)   # inside a tf.distribute strategy's scope

Replicas stay equal bit for bit; the result agrees with one device's up to the order of a sum
(tests/hemline/training/test_strategies.py). BatchNormalization looks at each replica's share alone, as in Keras; its
moving averages are then averaged, where Keras lets them go apart and saves the first replica's.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from hemline.training.groups import Group
from hemline.training.step import Computed, Gradients, Step


def on_replicas(step: Step, model: keras.Model, groups: Sequence[Group], xla: bool) -> Step:
    """The same step, its batches divided. Loss and correct examples are the whole batch's, gradients each replica's.

    xla: whether a replica's share is compiled.
    """
    strategy = tf.distribute.get_strategy()
    averages = [weight for weight in model.non_trainable_weights if tf.as_dtype(weight.dtype).is_floating]
    parts = strategy.num_replicas_in_sync
    compiled = tf.function(step.compute, jit_compile=xla, autograph=False)  # and no more: XLA compiles no communication

    def compute_share(
        x: tf.Tensor, y: tf.Tensor, weight: tf.Tensor, examples: tf.Tensor, position: tf.Tensor
    ) -> Computed:
        """Takes the k-th of equal parts. `examples` are those of all replicas, so that gradients add up."""
        k = tf.distribute.get_replica_context().replica_id_in_sync_group

        def mine(batch: tf.Tensor) -> tf.Tensor:
            return tf.stack(tf.split(batch, parts))[k]

        other = position + tf.cast(k, tf.int64) * 2**48  # random layers draw other numbers on each replica
        return compiled(mine(x), mine(y), mine(weight), examples, other)

    def compute(x: tf.Tensor, y: tf.Tensor, weight: tf.Tensor, examples: tf.Tensor, position: tf.Tensor) -> Computed:
        loss, correct, gradients = strategy.run(compute_share, (x, y, weight, examples, position))
        return strategy.reduce("SUM", loss, axis=None), strategy.reduce("SUM", correct, axis=None), gradients

    def apply_share(gradients: Gradients) -> None:
        """Keras sums the replicas' gradients: doing it here would double them. But it clips before it sums."""
        clipped = [bool(group.optimizer.global_clipnorm) for group in groups]
        step.apply([_summed_in_first(own) if clips else own for clips, own in zip(clipped, gradients, strict=True)])
        for average in averages:
            average.assign(tf.distribute.get_replica_context().all_reduce("MEAN", average.value))

    def apply(gradients: Gradients) -> None:
        strategy.run(apply_share, (gradients,))

    return Step(compute, apply)


def _summed_in_first(gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """The replicas' sums on the first of them and zeros on the others, since it is the sum that must be clipped."""
    context = tf.distribute.get_replica_context()
    first = tf.cast(context.replica_id_in_sync_group == 0, tf.float32)
    return [first * gradient for gradient in context.all_reduce("SUM", gradients)]
