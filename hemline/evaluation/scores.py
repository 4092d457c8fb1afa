"""What a model makes of a whole split, in one compiled pass: of validation after each epoch, and of the test split.

    predict = compile_predict(model)
    logits = predict(images)                # images: (N, H, W, C) uint8; logits: (N, classes) float32
    quality, table = evaluate(predict, images, labels, class_names)

Scores are means over the examples.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from hemline.records.run import CalibrationBin, ClassScore, Mistake, Quality
from hemline.runtime.devices import under_xla

BATCH = 1000  # examples a call; bounds memory, does not change a result
BINS = 15  # of confidence, equally wide
MISTAKES = 16  # that are shown
MATRIX = 1000  # classes; the matrix of 10,000 is 200 MB of zeros

Predict = Callable[[np.ndarray], np.ndarray]


def compile_predict(model: keras.Model) -> Predict:
    """A function from images (N, H, W, C) uint8 to logits (N, classes) float32.

    It is compiled once for an architecture and a shape of images: a run validates, evaluates and judges with one.
    """
    architecture = json.dumps(_without_beginning(json.loads(model.to_json())))
    logits_of = _program(architecture, tf.zeros([]).device, tf.distribute.get_strategy())

    def predict(images: np.ndarray) -> np.ndarray:
        batch = min(BATCH, len(images))
        variables = (model.trainable_variables, model.non_trainable_variables)
        weights = [[tf.convert_to_tensor(variable.value) for variable in own] for own in variables]
        pieces = []
        for start in range(0, len(images), batch):
            piece = images[start : start + batch]
            padding = batch - len(piece)  # of the last, partial batch; its logits are dropped
            padded = np.pad(piece, [(0, padding), *[(0, 0)] * (piece.ndim - 1)]) if padding else piece
            pieces.append(logits_of(weights, tf.constant(padded)).numpy()[: len(piece)])
        return np.concatenate(pieces)

    return predict


def _without_beginning(part: Any) -> Any:
    """A part of a model's configuration, without what its weights began with."""
    if isinstance(part, dict):
        zeros = {name: "zeros" for name, of in part.items() if of and name.endswith("_initializer")}
        return {name: _without_beginning(of) for name, of in part.items()} | zeros
    return [_without_beginning(of) for of in part] if isinstance(part, list) else part


@lru_cache(maxsize=4)
def _program(architecture: str, device: str, strategy: tf.distribute.Strategy) -> tf.types.experimental.GenericFunction:
    """From weights and a batch to logits; what is computed depends on these three, and not on a model's weights."""
    model = keras.models.model_from_json(architecture)

    @tf.function(jit_compile=under_xla(model), autograph=False)
    def logits_of(weights: list[list[tf.Tensor]], images: tf.Tensor) -> tf.Tensor:  # (B, H, W, C)
        logits, _ = model.stateless_call(*weights, images, training=False)
        return tf.cast(logits, tf.float32)

    return logits_of


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
    """(classes, classes) counts; rows are the true class, columns the predicted one.

    Of more than MATRIX classes, only pairs that there are: a true class, a predicted one, and how many examples.
    """
    if len(class_names) > MATRIX:
        names = np.array(class_names)
        pairs = pd.DataFrame({"true": names[labels], "predicted": names[logits.argmax(axis=1)]})
        return pairs.groupby(["true", "predicted"]).size().rename("examples").reset_index("predicted")
    return pd.DataFrame(
        _counts(logits.argmax(axis=1), labels, len(class_names)),
        index=pd.Index(class_names, name="true"),
        columns=class_names,
    )


def _counts(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """(classes, classes): how many examples of each true class were called each class."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def wilson(correct: int, examples: int) -> tuple[float, float]:
    """95 % interval of a share, which holds near 0 and 1 too: JASA 22 (1927) 209."""
    # scipy.stats has it, and takes half a second to import.
    z, share = 1.959963984540054, correct / examples
    middle = (share + z**2 / (2 * examples)) / (1 + z**2 / examples)
    half = z / (1 + z**2 / examples) * math.sqrt(share * (1 - share) / examples + z**2 / (4 * examples**2))
    return middle - half if correct else 0.0, middle + half if correct < examples else 1.0  # without rounding


def probabilities_of(logits: np.ndarray) -> np.ndarray:
    """Softmax in float64. (N, classes)"""
    odds = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def calibration(probabilities: np.ndarray, labels: np.ndarray) -> list[CalibrationBin]:
    """Confidence and accuracy of the examples binned by the probability of their predicted class.

    Bins are [0, 1/15), [1/15, 2/15), ...; one without an example is left out. probabilities: (N, classes).
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)  # (N,)
    counts, sums, hits = (np.bincount(bins, weights, minlength=BINS) for weights in (None, confidence, right))
    return [
        CalibrationBin(confidence=total / n, accuracy=correct / n, examples=n)
        for n, total, correct in zip(counts.tolist(), sums.tolist(), hits.tolist(), strict=True)
        if n
    ]


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Expected calibration error: how far confidence and accuracy of a bin are apart, averaged over the examples."""
    gaps = sum(one.examples * abs(one.confidence - one.accuracy) for one in bins)
    return gaps / sum(one.examples for one in bins)


def class_scores(predicted: np.ndarray, labels: np.ndarray, class_names: list[str]) -> dict[str, ClassScore]:
    """Precision, recall and F1 of each class; None where there is nothing to divide by."""
    classes = len(class_names)
    called, examples = np.bincount(predicted, minlength=classes), np.bincount(labels, minlength=classes)
    right = np.bincount(labels[predicted == labels], minlength=classes)

    def share(count: int, of: int) -> float | None:
        return count / of if of else None

    return {
        name: ClassScore(examples=n, precision=share(k, c), recall=share(k, n), f1=share(2 * k, c + n))
        for name, k, c, n in zip(class_names, right.tolist(), called.tolist(), examples.tolist(), strict=True)
    }


def most_confident_mistakes(probabilities: np.ndarray, labels: np.ndarray, names: list[str]) -> list[Mistake]:
    """The mistakes with the highest probability, worst first."""
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:MISTAKES]
    return [
        Mistake(index=i, true=names[labels[i]], predicted=names[predicted[i]], probability=float(confidence[i]))
        for i in worst.tolist()
    ]


def evaluate(
    predict: Predict, images: np.ndarray, labels: np.ndarray, class_names: list[str]
) -> tuple[Quality, pd.DataFrame]:
    """The quality of a model, and its confusion matrix on the test split."""
    logits = predict(images)
    probabilities, predicted = probabilities_of(logits), logits.argmax(axis=1)
    score, table = Score.of(logits, labels), confusion(logits, labels, class_names)
    bins = calibration(probabilities, labels)
    return Quality(
        split="test",
        examples=len(labels),
        loss=score.loss,
        accuracy=score.accuracy,
        accuracy_interval=wilson(int((predicted == labels).sum()), len(labels)),
        classes=class_scores(predicted, labels, class_names),
        calibration_error=calibration_error(bins),
        calibration_bins=BINS,
        calibration=bins,
        mistakes=most_confident_mistakes(probabilities, labels, class_names),
    ), table
