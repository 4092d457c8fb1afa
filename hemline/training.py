"""The custom training loop: exercise 2. No `fit`, several times as fast, exact to the step.

    trainer = Trainer(model, groups, images, labels, batch_size=128, seed=42)
    for epoch in range(1, 6):
        for chunk in trainer.epoch(epoch):
            chunk.losses, chunk.correct     # one value for each step

Images stay uint8 on the device and are gathered by a permutation keyed by (seed, epoch), so that
there is no generator whose state could be lost. CHUNK steps run in one compiled call; between
calls Python is back in control, to show progress and to be cancelled.

`make bench` measures this loop beside `fit` and the chapter's loop.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from hemline.errors import DivergenceError
from hemline.optimizer_groups import Group

CHUNK = 64  # steps in a compiled call: 6 to 9 % slower than a whole epoch, and interruptible


@dataclass(frozen=True)
class Chunk:
    """What a run of consecutive steps did. Arrays have one value for each step."""

    epoch: int
    first_step: int  # within the epoch, from 0
    losses: np.ndarray  # (steps,) float32, mean over the step's examples, before its update
    correct: np.ndarray  # (steps,) int32, examples whose largest logit was their label's
    examples: np.ndarray  # (steps,) int32, the batch size except in the last step of an epoch


class Trainer:
    """Trains a model on arrays that fit on the device.

    model: (B, H, W, C) uint8 to (B, classes) logits. groups: who trains which variable.
    images: (N, H, W, C) uint8. labels: (N,) int32.
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
    ):
        self.batch_size, self.seed = batch_size, seed
        self.examples = len(images)
        self.steps = -(-self.examples // batch_size)
        self.batch_sizes = np.full(self.steps, batch_size, np.int32)  # (steps,), examples in each
        self.batch_sizes[-1] = self.examples - (self.steps - 1) * batch_size
        self._images, self._labels = tf.constant(images), tf.constant(labels, tf.int32)
        self._run_steps = _compile_steps(model, groups)

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
        order = tf.constant(self.permutation(epoch))
        start = first_step
        while start < self.steps:
            # Where a chunk ends does not change a bit, so a checkpoint may fall on any step.
            stop = self.steps if stop_every is None else (start // stop_every + 1) * stop_every
            end = min(start + CHUNK, stop, self.steps)
            # Tensors: each Python number would be a new trace.
            losses, correct = self._run_steps(self._images, self._labels, order, tf.constant(start), tf.constant(end))
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
            start = end


def _compile_steps(model: keras.Model, groups: Sequence[Group]) -> tf.types.experimental.PolymorphicFunction:
    """The step of the exercise, and a compiled loop over a chunk of them."""
    variables = [variable for group in groups for variable in group.variables]

    def train_step(images: tf.Tensor, labels: tf.Tensor, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        present = indices >= 0  # (B,), False for the padding of the last batch
        x = tf.gather(images, tf.maximum(indices, 0))  # (B, H, W, C) uint8
        y = tf.gather(labels, tf.maximum(indices, 0))  # (B,)
        weight = tf.cast(present, tf.float32)
        with tf.GradientTape() as tape:
            logits = model(x, training=True)  # (B, classes)
            example_loss = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)  # (B,)
            loss = tf.reduce_sum(example_loss * weight) / tf.reduce_sum(weight)
        gradients = iter(tape.gradient(loss, [variable.value for variable in variables]))
        for group in groups:
            group.optimizer.apply([next(gradients) for _ in group.variables], group.variables)
        hits = present & (tf.argmax(logits, axis=-1, output_type=tf.int32) == y)
        return loss, tf.reduce_sum(tf.cast(hits, tf.int32))

    # `while`, not `for i in tf.range(start, end)`: XLA compiles the latter anew for every bound.
    @tf.function(jit_compile=True)
    def run_steps(images, labels, order, start, end):  # type: ignore[no-untyped-def]
        losses = tf.zeros([CHUNK], tf.float32)
        correct = tf.zeros([CHUNK], tf.int32)
        i = start
        while i < end:
            loss, hits = train_step(images, labels, order[i])
            losses = tf.tensor_scatter_nd_update(losses, [[i - start]], [loss])
            correct = tf.tensor_scatter_nd_update(correct, [[i - start]], [hits])
            i += 1
        return losses, correct

    return run_steps
