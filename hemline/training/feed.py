"""The examples of a chunk of steps, in the order an epoch's permutation puts them.

    feed = Feed(images, labels)
    for rows, labels, indices in feed(order):                   # order: (chunks, steps, B) int32
        x, y, weight = feed.batch(rows, labels, indices[step])  # in the compiled step

A batch that is not full is filled up with other examples of no weight: in the order, ~i stands for example i without
weight. So a layer that looks at a whole batch, such as BatchNormalization, sees images of the data and nothing else.

Arrays in memory lie on the device, whole, and `indices` are the order itself. Arrays mapped from disk (np.memmap) are
read by a tf.data pipeline, AHEAD of the training, and `indices` count within the chunk. Either way a step sees the same
bytes, so the result has the same bits. `make bench` measures what the second costs.
"""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

AHEAD = 2  # chunks that are read before they are asked for
WORD = 8  # bytes

Examples = tuple[tf.Tensor, tf.Tensor, tf.Tensor]  # a chunk's rows (M, words), labels (M,) and indices (steps, B)


class Feed:
    """images: (N, H, W, C) uint8, in memory or np.memmap. labels: (N,) int32, in memory."""

    def __init__(self, images: np.ndarray, labels: np.ndarray):
        self.shape = images.shape[1:]
        rows = images.reshape(len(images), -1)
        # XLA gathers element by element: in words of 8 bytes an image takes an eighth of the time.
        self._rows = rows.view(np.int64) if rows.shape[1] % WORD == 0 else rows  # (N, words) or (N, bytes)
        self._labels = labels.astype(np.int32)
        self._in_memory = not isinstance(images, np.memmap)
        if self._in_memory:
            self._rows, self._labels = tf.constant(self._rows), tf.constant(self._labels)

    def __call__(self, order: np.ndarray) -> Iterator[Examples]:
        """The examples of each chunk. order: (chunks, steps, B) int32."""
        if self._in_memory:
            return ((self._rows, self._labels, tf.constant(indices)) for indices in order)
        return iter(self._streamed(order))

    def batch(self, rows: tf.Tensor, labels: tf.Tensor, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """x: (B, H, W, C) uint8. y: (B,). weight: (B,) float32, 0 where the index is negative. indices: (B,)."""
        present = _examples(indices)
        gathered = tf.gather(rows, present)
        pixels = gathered if gathered.dtype == tf.uint8 else tf.bitcast(gathered, tf.uint8)
        x = tf.reshape(pixels, (-1, *self.shape))
        return x, tf.gather(labels, present), tf.cast(indices >= 0, tf.float32)

    def _streamed(self, order: np.ndarray) -> tf.data.Dataset:
        size = order[0].size
        within = np.arange(size, dtype=np.int32).reshape(order.shape[1:])

        def read(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return self._rows[flat], self._labels[flat]

        def examples(indices: tf.Tensor) -> Examples:
            flat = tf.reshape(_examples(indices), [-1])
            rows, labels = tf.numpy_function(read, [flat], [self._rows.dtype, tf.int32])
            rows, labels = tf.ensure_shape(rows, (size, self._rows.shape[1])), tf.ensure_shape(labels, (size,))
            return rows, labels, tf.where(indices < 0, ~within, within)

        return tf.data.Dataset.from_tensor_slices(order).map(examples).prefetch(AHEAD)


def _examples(indices: tf.Tensor) -> tf.Tensor:
    """i for i and for ~i."""
    return tf.where(indices < 0, -1 - indices, indices)
