"""Every example counts once, whatever the size of the last batch."""

import math

import keras
import numpy as np
import pytest

from hemline import evaluation
from hemline.evaluation import Score, compile_predict, confusion, evaluate
from hemline.models import build_mlp

NAMES = ["a", "b", "c"]


def test_score_worked_by_hand() -> None:
    # Odds 1:3 of the first example and 1:1 of the second: losses ln(4/3) and ln 2; the tie goes to label 0.
    logits = np.array([[0.0, math.log(3)], [5.0, 5.0]], np.float32)
    score = Score.of(logits, np.array([1, 1]))
    assert score.loss == pytest.approx((math.log(4 / 3) + math.log(2)) / 2, rel=1e-6)
    assert score.accuracy == 0.5


def test_score_does_not_overflow() -> None:
    score = Score.of(np.array([[1e4, 0.0], [-1e4, 0.0]], np.float32), np.array([1, 1]))
    assert score.loss == pytest.approx(1e4 / 2)


def test_score_agrees_with_a_naive_loop() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(50, 3)).astype(np.float32), rng.integers(3, size=50)
    losses, hits = [], 0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        total = sum(math.exp(value) for value in row)
        losses.append(-math.log(math.exp(row[label]) / total))
        hits += row.index(max(row)) == label
    score = Score.of(logits, labels)
    assert score.loss == pytest.approx(sum(losses) / 50, rel=1e-6)
    assert score.accuracy == hits / 50
    # The mean of both halves' means is the whole's: no batch is weighted by anything but its size.
    head, tail = Score.of(logits[:40], labels[:40]), Score.of(logits[40:], labels[40:])
    assert score.loss == pytest.approx(0.8 * head.loss + 0.2 * tail.loss)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return build_mlp((4, 4, 1), classes=3, seed=0)


@pytest.mark.parametrize("examples", [1, 7, 8, 9, 21])
def test_padding_is_dropped(examples: int, model: keras.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "BATCH", 8)
    images = np.random.default_rng(examples).integers(0, 256, size=(examples, 4, 4, 1), dtype=np.uint8)
    logits = compile_predict(model)(images)
    assert (logits.shape, logits.dtype) == ((examples, 3), np.float32)
    # 1e-5: XLA sums 16 and 128 products of size 1 in another order than eager mode.
    np.testing.assert_allclose(logits, model(images), atol=1e-5)


def test_confusion_has_the_true_class_in_rows() -> None:
    logits = np.eye(3)[[0, 1, 1, 2]]
    table = confusion(logits, np.array([0, 0, 1, 1]), NAMES)
    assert table.to_numpy().tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert list(table.index) == list(table.columns) == NAMES
    assert table.index.name == "true"


def test_confusion_keeps_classes_that_are_absent() -> None:
    table = confusion(np.eye(3)[[1, 1]], np.array([1, 1]), NAMES)
    assert table.to_numpy().tolist() == [[0, 0, 0], [0, 2, 0], [0, 0, 0]]


def test_evaluate_gives_accuracy_by_class_without_absent_classes() -> None:
    predicted = np.array([0, 0, 1, 0])

    def predict(images: np.ndarray) -> np.ndarray:
        return np.log(np.eye(3)[predicted] * 6 + 1)  # odds 7:1:1

    judged, table = evaluate(predict, np.zeros((4, 4, 4, 1), np.uint8), np.array([0, 0, 0, 1]), NAMES)
    assert (judged.split, judged.examples, judged.accuracy) == ("test", 4, 0.5)
    assert judged.class_accuracy == {"a": pytest.approx(2 / 3), "b": 0.0}
    assert judged.loss == pytest.approx((2 * math.log(9 / 7) + 2 * math.log(9)) / 4)
    assert table.to_numpy().sum() == 4
