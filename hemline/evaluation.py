"""What a model makes of a whole split, in one compiled pass.

    predict = compile_predict(model)
    logits = predict(images)                # images: (N, H, W, C) uint8; logits: (N, classes) float32
    score = Score.of(logits, labels)        # loss and accuracy: means over the examples

Validation after each epoch and the final judgement on the test split are this same code.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from hemline.record import Evaluation

BATCH = 1000  # examples a step; bounds memory, does not change a result
PIECE = 100 * BATCH  # examples a call, for splits that do not fit in memory

Predict = Callable[[np.ndarray], np.ndarray]


def compile_predict(model: keras.Model) -> Predict:
    """A function from images (N, H, W, C) uint8 to logits (N, classes) float32.

    The last, partial batch is padded and the padding's logits are dropped, so every example counts
    once. Compiled anew only for another shape of images.
    """

    @tf.function(jit_compile=True)
    def logits_of(batches: tf.Tensor) -> tf.Tensor:  # (steps, BATCH, H, W, C)
        return tf.map_fn(
            lambda x: tf.cast(model(x, training=False), tf.float32), batches, fn_output_signature=tf.float32
        )

    def predict(images: np.ndarray) -> np.ndarray:
        batch = min(BATCH, len(images))
        pieces = []
        for start in range(0, len(images), PIECE):
            piece = images[start : start + PIECE]
            padding = -len(piece) % batch
            padded = np.pad(piece, [(0, padding), *[(0, 0)] * (piece.ndim - 1)]) if padding else piece
            logits = logits_of(tf.constant(padded.reshape(-1, batch, *piece.shape[1:])))
            pieces.append(logits.numpy().reshape(len(padded), -1)[: len(piece)])
        return np.concatenate(pieces)

    return predict


@dataclass(frozen=True)
class Score:
    """Means over examples, not over batches: the last, smaller batch counts by its size."""

    loss: float
    accuracy: float

    @classmethod
    def of(cls, logits: np.ndarray, labels: np.ndarray) -> "Score":
        """logits: (N, classes). labels: (N,)."""
        shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
        log_probability = shifted[np.arange(len(labels)), labels] - np.log(np.exp(shifted).sum(axis=1))
        return cls(loss=float(-log_probability.mean()), accuracy=float((logits.argmax(axis=1) == labels).mean()))


def confusion(logits: np.ndarray, labels: np.ndarray, class_names: list[str]) -> pd.DataFrame:
    """(classes, classes) counts; rows are the true class, columns the predicted one."""
    classes = range(len(class_names))
    table = pd.crosstab(labels, logits.argmax(axis=1)).reindex(index=classes, columns=classes, fill_value=0)
    table.index, table.columns = pd.Index(class_names, name="true"), pd.Index(class_names)
    return table


def evaluate(
    predict: Predict, images: np.ndarray, labels: np.ndarray, class_names: list[str]
) -> tuple[Evaluation, pd.DataFrame]:
    """The evaluation and its confusion matrix on the test split."""
    logits = predict(images)
    score, table = Score.of(logits, labels), confusion(logits, labels, class_names)
    counts = table.sum(axis=1)
    return Evaluation(
        split="test",
        examples=len(labels),
        loss=score.loss,
        accuracy=score.accuracy,
        class_accuracy={name: table.loc[name, name] / counts[name] for name in class_names if counts[name] > 0},
    ), table
