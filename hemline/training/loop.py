"""The custom training loop: exercise 2. No `fit`, several times as fast, exact to the step.

    trainer = Trainer(model, groups, images, labels, batch_size=128, seed=42)
    for epoch in range(1, 6):
        for chunk in trainer.epoch(epoch):
            chunk.losses, chunk.correct     # one value for each step

Images stay uint8 and are gathered by a permutation keyed by (seed, epoch), so that there is no generator
whose state could be lost. CHUNK steps run in one compiled call; between calls Python is back in control, to
show progress and to be cancelled.

Made inside a `tf.distribute` strategy's scope, each replica takes its share of every batch, and their
gradients are summed. Replicas stay equal bit for bit; the result agrees with one device's
up to the order of a sum (tests/hemline/training/test_strategies.py).

`make bench` measures this loop beside `fit`, the chapter's loop, PyTorch, JAX and the matrix products
alone. Of the step's time, on 2 cores: LayerNorm's written-out gradient 0.82, images gathered in words of 8
bytes 0.94, chunks of 128 steps in place of 64 0.92, all kept; two half-batches 0.93 to 1.1, `where` in place
of `tensor_scatter_nd_update` 1.00, XLA's vector, fusion and oneDNN flags within the spread, left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from hemline.errors import DivergenceError
from hemline.training.feed import Feed
from hemline.training.groups import Group
from hemline.training.loss_scale import LossScale

CHUNK = 128  # steps in a compiled call, 70 ms here; an epoch in one call is no faster, and could not be interrupted


Computed = tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]  # loss, hits and gradients of a part of a batch


@dataclass(frozen=True)
class Chunk:
    """What a run of consecutive steps did. Arrays have one value for each step."""

    epoch: int
    first_step: int  # within the epoch, from 0
    losses: np.ndarray  # (steps,) float32, mean over the step's examples, before its update
    correct: np.ndarray  # (steps,) int32, examples whose largest logit was their label's
    examples: np.ndarray  # (steps,) int32, the batch size except in the last step of an epoch


class Trainer:
    """Trains a model on arrays.

    model: (B, H, W, C) uint8 to (B, classes) logits. groups: who trains which variable.
    images: (N, H, W, C) uint8, in memory or np.memmap. labels: (N,) int32.
    loss_scale: for float16, whose smallest number is 6e-8; None takes gradients as they are.
    """

    def __init__(
        self,
        model: keras.Model,
        groups: Sequence[Group],
        images: np.ndarray,
        labels: np.ndarray,
        *,
        batch_size: int,
        seed: int,
        loss_scale: LossScale | None = None,
    ):
        self.batch_size, self.seed = batch_size, seed
        self.examples = len(images)
        self.steps = -(-self.examples // batch_size)
        self.batch_sizes = np.full(self.steps, batch_size, np.int32)  # (steps,), examples in each
        self.batch_sizes[-1] = self.examples - (self.steps - 1) * batch_size
        self._feed = Feed(images, labels)
        self._run_steps = _compile_steps(model, groups, self._feed, loss_scale)

    def permutation(self, epoch: int) -> np.ndarray:
        """(steps, batch) int32 indices of the epoch's examples in order; -1 fills the last batch."""
        order = tf.random.experimental.stateless_shuffle(tf.range(self.examples), seed=[self.seed, epoch])
        padding = self.steps * self.batch_size - self.examples
        return np.pad(order.numpy(), (0, padding), constant_values=-1).reshape(self.steps, self.batch_size)

    def epoch(self, epoch: int, first_step: int = 0, stop_every: int | None = None) -> Iterator[Chunk]:
        """Passes once over the examples, or over the rest of them from `first_step` on.

        stop_every: a chunk ends at every multiple of this many steps, besides where CHUNK ends it.
        Raises DivergenceError after a chunk with a non-finite loss.
        """
        spans = list(_spans(first_step, self.steps, stop_every))
        permutation = self.permutation(epoch)
        # One shape for all chunks, whatever their length, or XLA would compile each length.
        order = np.full((len(spans), CHUNK, self.batch_size), -1, np.int32)
        for row, (start, end) in zip(order, spans, strict=True):
            row[: end - start] = permutation[start:end]
        for (start, end), (rows, labels, indices) in zip(spans, self._feed(order), strict=True):
            # Tensors: each Python number would be a new trace.
            losses, correct = self._run_steps(rows, labels, indices, tf.constant(end - start))
            chunk = Chunk(
                epoch=epoch,
                first_step=start,
                losses=losses.numpy()[: end - start],
                correct=correct.numpy()[: end - start],
                examples=self.batch_sizes[start:end],
            )
            if not np.isfinite(chunk.losses).all():
                bad = start + int(np.argmin(np.isfinite(chunk.losses)))
                raise DivergenceError(
                    f"the training loss must stay finite. Received: loss={chunk.losses[bad - start]} at "
                    f"epoch {epoch}, iteration {bad + 1} of {self.steps}. Lower the learning rates."
                )
            yield chunk


def _summed_in_first(gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """The replicas' sums on the first of them, and zeros on the others.

    Keras clips what each replica has and sums it then; it is the sum that must be clipped.
    """
    context = tf.distribute.get_replica_context()
    first = tf.cast(context.replica_id_in_sync_group == 0, tf.float32)
    return [first * gradient for gradient in context.all_reduce("SUM", gradients)]


def _spans(start: int, steps: int, stop_every: int | None) -> Iterator[tuple[int, int]]:
    """First and last step of each chunk. Where one ends does not change a bit, so a checkpoint may fall anywhere."""
    while start < steps:
        stop = steps if stop_every is None else (start // stop_every + 1) * stop_every
        end = min(start + CHUNK, stop, steps)
        yield start, end
        start = end


def _compile_steps(
    model: keras.Model, groups: Sequence[Group], feed: Feed, loss_scale: LossScale | None
) -> tf.types.experimental.PolymorphicFunction:
    """The step of the exercise, and a compiled loop over a chunk of them."""
    variables = [variable for group in groups for variable in group.variables]
    strategy = tf.distribute.get_strategy()
    alone = strategy.num_replicas_in_sync == 1

    def compute(x: tf.Tensor, y: tf.Tensor, weight: tf.Tensor, examples: tf.Tensor) -> Computed:
        """x: (B, H, W, C) uint8. y: (B,). weight: (B,), 0 for padding. examples: of all replicas together."""
        with tf.GradientTape() as tape:
            logits = tf.cast(model(x, training=True), tf.float32)  # (B, classes)
            example_loss = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)  # (B,)
            loss = tf.reduce_sum(example_loss * weight) / examples
            scaled = loss if loss_scale is None else loss_scale.up(loss)
        gradients = tape.gradient(scaled, [variable.value for variable in variables])
        hits = (weight > 0) & (tf.argmax(logits, axis=-1, output_type=tf.int32) == y)
        return loss, tf.reduce_sum(tf.cast(hits, tf.int32)), gradients

    def apply(gradients: list[tf.Tensor]) -> None:
        each = iter(gradients)
        for group in groups:
            own = [next(each) for _ in group.variables]
            if group.optimizer.global_clipnorm and not alone:
                own = _summed_in_first(own)
            group.optimizer.apply(own, group.variables)

    def update(gradients: list[tf.Tensor]) -> None:
        strategy.run(apply, (gradients,))  # Keras sums the replicas' gradients; doing it here would double them

    compiled = compute if alone else tf.function(compute, jit_compile=True)

    def compute_share(x: tf.Tensor, y: tf.Tensor, weight: tf.Tensor) -> Computed:
        """One replica's part of the batch: the k-th of equal parts."""
        k, parts = tf.distribute.get_replica_context().replica_id_in_sync_group, strategy.num_replicas_in_sync

        def mine(batch: tf.Tensor) -> tf.Tensor:
            return tf.stack(tf.split(batch, parts))[k]

        return compiled(mine(x), mine(y), mine(weight), tf.reduce_sum(weight))

    def train_step(rows: tf.Tensor, labels: tf.Tensor, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        present = tf.maximum(indices, 0)  # (B,)
        x, y = feed.pictures(rows, present), tf.gather(labels, present)
        weight = tf.cast(indices >= 0, tf.float32)  # (B,), 0 for the padding of the last batch
        loss, hits, gradients = strategy.run(compute_share, (x, y, weight))
        if loss_scale is None:
            update(gradients)
        else:
            loss_scale.apply_if_finite(gradients, update)
        return strategy.reduce("SUM", loss, axis=None), strategy.reduce("SUM", hits, axis=None)

    # XLA compiles no communication between replicas: with several, only `compute` is compiled.
    # `while`, not `for i in tf.range(steps)`: XLA compiles the latter anew for every bound.
    @tf.function(jit_compile=alone)
    def run_steps(rows, labels, order, steps):  # type: ignore[no-untyped-def]
        losses = tf.zeros([CHUNK], tf.float32)
        correct = tf.zeros([CHUNK], tf.int32)
        i = tf.constant(0)
        while i < steps:
            loss, hits = train_step(rows, labels, order[i])
            losses = tf.tensor_scatter_nd_update(losses, [[i]], [loss])
            correct = tf.tensor_scatter_nd_update(correct, [[i]], [hits])
            i += 1
        return losses, correct

    return run_steps
