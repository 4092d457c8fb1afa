"""What a model makes of a whole split, in one compiled pass: of validation after each epoch, and of the test split.

    predict = compile_predict(model)
    logits = predict(images)                # images: (N, H, W, C) uint8; logits: (N, classes) float32
    quality, table = evaluate(predict, images, labels, class_names)

Scores are means over the examples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from hemline.records.run import ClassScore, Mistake, Quality
from hemline.runtime.devices import under_xla
from hemline.runtime.programs import Programs

BATCH = 1000  # examples a step; bounds memory, does not change a result
PIECE = 100 * BATCH  # examples a call, for splits that do not fit in memory
BINS = 15  # of confidence, equally wide
MISTAKES = 16  # that are shown
MATRIX = 1000  # classes; the matrix of 10,000 is 200 MB of zeros

Predict = Callable[[np.ndarray], np.ndarray]


def compile_predict(model: keras.Model, programs: Programs | None = None) -> Predict:
    """A function from images (N, H, W, C) uint8 to logits (N, classes) float32, compiled once for each image shape.

    programs: of models beside this one; what computes the same is then not compiled again.
    """

    @tf.function(jit_compile=under_xla(model))
    def logits_of(batches: tf.Tensor) -> tf.Tensor:  # (steps, BATCH, H, W, C)
        return tf.map_fn(
            lambda x: tf.cast(model(x, training=False), tf.float32), batches, fn_output_signature=tf.float32
        )

    run = programs.shared(logits_of) if programs else logits_of

    def predict(images: np.ndarray) -> np.ndarray:
        batch = min(BATCH, len(images))
        pieces = []
        for start in range(0, len(images), PIECE):
            piece = images[start : start + PIECE]
            padding = -len(piece) % batch  # of the last, partial batch; its logits are dropped
            padded = np.pad(piece, [(0, padding), *[(0, 0)] * (piece.ndim - 1)]) if padding else piece
            logits = run(tf.constant(padded.reshape(-1, batch, *piece.shape[1:])))
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
    """(classes, classes) counts; rows are the true class, columns the predicted one.

    Of more than MATRIX classes, only pairs that there are: a true class, a predicted one, and how many examples.
    """
    from sklearn.metrics import confusion_matrix

    if len(class_names) > MATRIX:
        names = np.array(class_names)
        pairs = pd.DataFrame({"true": names[labels], "predicted": names[logits.argmax(axis=1)]})
        return pairs.groupby(["true", "predicted"]).size().rename("examples").reset_index("predicted")
    counts = confusion_matrix(labels, logits.argmax(axis=1), labels=range(len(class_names)))
    return pd.DataFrame(counts, index=pd.Index(class_names, name="true"), columns=class_names)


def wilson(correct: int, examples: int) -> tuple[float, float]:
    """95 % interval of a share, which holds near 0 and 1 too."""
    from scipy.stats import binomtest

    low, high = binomtest(correct, examples).proportion_ci(confidence_level=0.95, method="wilson")
    return float(low), float(high)


def probabilities_of(logits: np.ndarray) -> np.ndarray:
    """Softmax in float64. (N, classes)"""
    odds = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error: how far confidence and accuracy are apart, averaged over the examples.

    Examples are binned by the probability of their predicted class, [0, 1/15), [1/15, 2/15), ...; a bin's gap
    is between its mean of these and its share of correct ones. probabilities: (N, classes).
    """
    confidence = probabilities.max(axis=1)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)  # (N,)
    surplus = confidence - (probabilities.argmax(axis=1) == labels)
    return float(np.abs(np.bincount(bins, weights=surplus, minlength=BINS)).sum() / len(labels))


def class_scores(predicted: np.ndarray, labels: np.ndarray, class_names: list[str]) -> dict[str, ClassScore]:
    """Precision, recall and F1 of each class."""
    from sklearn.metrics import precision_recall_fscore_support

    scores = precision_recall_fscore_support(
        labels, predicted, labels=range(len(class_names)), average=None, zero_division=np.nan
    )
    shares = np.array(scores[:3]).T.tolist()  # (classes, 3)
    rows = [[None if np.isnan(share) else share for share in row] for row in shares]
    return {
        name: ClassScore(examples=int(examples), precision=precision, recall=recall, f1=f1)
        for name, (precision, recall, f1), examples in zip(class_names, rows, scores[3], strict=True)
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
    return Quality(
        split="test",
        examples=len(labels),
        loss=score.loss,
        accuracy=score.accuracy,
        accuracy_interval=wilson(int((predicted == labels).sum()), len(labels)),
        classes=class_scores(predicted, labels, class_names),
        calibration_error=calibration_error(probabilities, labels),
        calibration_bins=BINS,
        mistakes=most_confident_mistakes(probabilities, labels, class_names),
    ), table
