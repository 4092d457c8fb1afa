"""The custom training loop: exercise 2. No `fit`, several times as fast, exact to the step.

    trainer = Trainer(model, groups, images, labels, batch_size=128, seed=42)
    for epoch in range(1, 6):
        for chunk in trainer.epoch(epoch):
            chunk.losses, chunk.correct     # one value for each step

Images stay uint8 and are gathered by a permutation keyed by (seed, epoch), so that there is no generator
whose state could be lost. CHUNK steps run in one compiled call; between calls Python is back in control, to
show progress and to be cancelled. Inside a `tf.distribute` strategy's scope, its replicas share every batch.

`make bench` measures this loop beside `fit`, the chapter's loop, PyTorch, JAX and the matrix products alone;
`python -m bench.step` says where a step's time goes. docs/performance.md has what was tried, kept and left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from hemline.errors import DivergenceError
from hemline.runtime.programs import Programs
from hemline.training.feed import Feed
from hemline.training.groups import Group
from hemline.training.loss_scale import LossScale
from hemline.training.replicas import on_replicas
from hemline.training.step import Step, make_step, position_of

CHUNK = 128  # steps in a compiled call, 70 ms here; an epoch in one call is no faster, and could not be interrupted
CHUNK_WITHOUT_XLA = 16  # what has no XLA has convolutions: a step takes 45 ms


@dataclass(frozen=True)
class Chunk:
    """What some consecutive steps did. Arrays have one value for each step."""

    epoch: int
    first_step: int  # within the epoch, from 0
    losses: np.ndarray  # (steps,) float32, mean over the step's examples, before its update
    correct: np.ndarray  # (steps,) int32, how many examples had their largest logit at their label


class Trainer:
    """Trains a model on arrays.

    model: (B, H, W, C) uint8 to (B, classes) logits. groups: which optimizer trains which variable.
    images: (N, H, W, C) uint8, in memory or np.memmap. labels: (N,) int32.
    loss_scale: for float16; None takes gradients as they are. label_smoothing: see `make_step`.
    xla: whether it compiles the steps.
    feed, programs: of these examples, and of other trainers beside this one, which then need not be made again.
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
        label_smoothing: float = 0.0,
        xla: bool = True,
        feed: Feed | None = None,
        programs: Programs | None = None,
    ):
        self.chunk = CHUNK if xla else CHUNK_WITHOUT_XLA
        self.batch_size, self.seed, self.examples = batch_size, seed, len(images)
        self.steps = -(-self.examples // batch_size)
        self.batch_sizes = np.full(self.steps, batch_size, np.int32)  # (steps,), examples in each
        self.batch_sizes[-1] = self.examples - (self.steps - 1) * batch_size
        self.feed = feed or Feed(images, labels)
        step = make_step(model, groups, loss_scale.tape if loss_scale else tf.GradientTape, label_smoothing)
        run_steps = _compile(step, model, groups, loss_scale, self.feed, self.chunk, xla)
        self.run_steps = programs.shared(run_steps) if programs else run_steps

    def permutation(self, epoch: int) -> np.ndarray:
        """(steps, batch) int32 indices of the epoch's examples in order; ~i fills the last batch, see Feed."""
        order = tf.random.experimental.stateless_shuffle(tf.range(self.examples), seed=[self.seed, epoch])
        padding = self.steps * self.batch_size - self.examples
        filled = np.concatenate([order.numpy(), ~np.resize(order.numpy(), padding)])
        return filled.reshape(self.steps, self.batch_size)

    def epoch(self, epoch: int, first_step: int = 0, stop_every: int | None = None) -> Iterator[Chunk]:
        """Passes once over the examples, or over the rest of them from `first_step` on.

        stop_every: a chunk ends at every multiple of this many steps, besides where CHUNK ends it.
        Raises DivergenceError after a chunk with a non-finite loss.
        """
        spans = list(_spans(first_step, self.steps, stop_every, self.chunk))
        permutation = self.permutation(epoch)
        # One shape for all chunks, whatever their length, or XLA would compile each length.
        order = np.full((len(spans), self.chunk, self.batch_size), -1, np.int32)
        for row, (start, end) in zip(order, spans, strict=True):
            row[: end - start] = permutation[start:end]
        for (start, end), (rows, labels, indices) in zip(spans, self.feed(order), strict=True):
            # Tensors: each Python number would be a new trace.
            first = tf.constant(position_of(epoch, start), tf.int64)
            losses, correct = self.run_steps(rows, labels, indices, tf.constant(end - start), first)
            chunk = Chunk(epoch, start, losses.numpy()[: end - start], correct.numpy()[: end - start])
            bad = np.flatnonzero(~np.isfinite(chunk.losses))
            if len(bad):
                raise DivergenceError(
                    f"the training loss must stay finite. Received: loss={chunk.losses[bad[0]]} at epoch {epoch}, "
                    f"iteration {start + bad[0] + 1} of {self.steps}. Lower the learning rates."
                )
            yield chunk


def _spans(start: int, steps: int, stop_every: int | None, chunk: int) -> Iterator[tuple[int, int]]:
    """First and last step of each chunk. Where one ends does not change a bit, so a checkpoint may fall anywhere."""
    while start < steps:
        stop = steps if stop_every is None else (start // stop_every + 1) * stop_every
        end = min(start + chunk, stop, steps)
        yield start, end
        start = end


def _compile(
    step: Step,
    model: keras.Model,
    groups: Sequence[Group],
    loss_scale: LossScale | None,
    feed: Feed,
    chunk: int,
    xla: bool,
) -> tf.types.experimental.PolymorphicFunction:
    """A loop over a chunk of steps: the exercise's, and around it what this run needs."""
    replicated = tf.distribute.get_strategy().num_replicas_in_sync > 1
    if replicated:
        step = on_replicas(step, model, groups, xla)
    if loss_scale:
        step = loss_scale.around(step)

    # XLA compiles no communication between replicas, and `for i in tf.range(steps)` anew for every bound. AutoGraph
    # would read all that a step calls, for half a second, and find nothing to convert; Keras's `fit` does without too.
    @tf.function(jit_compile=xla and not replicated, autograph=False)
    def run_steps(rows, labels, order, steps, first):  # type: ignore[no-untyped-def]
        def one(i, losses, correct):  # type: ignore[no-untyped-def]
            loss, hits = step(*feed.batch(rows, labels, order[i]), first + tf.cast(i, tf.int64))
            losses = tf.tensor_scatter_nd_update(losses, [[i]], [loss])
            correct = tf.tensor_scatter_nd_update(correct, [[i]], [hits])
            return i + 1, losses, correct

        begin = tf.constant(0), tf.zeros([chunk], tf.float32), tf.zeros([chunk], tf.int32)
        _, losses, correct = tf.while_loop(lambda i, *_: i < steps, one, begin)
        return losses, correct

    return run_steps
