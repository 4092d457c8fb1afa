"""Every example counts once, whatever the size of the last batch."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemline.evaluation import scores as evaluation
from hemline.evaluation.scores import (
    BINS,
    Score,
    calibration,
    calibration_error,
    class_scores,
    compile_predict,
    confusion,
    evaluate,
    most_confident_mistakes,
    probabilities_of,
    wilson,
)
from hemline.models.mlp import build_mlp
from hemline.records.run import ClassScore, Mistake, Quality

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


def test_confusion_of_many_classes_has_the_pairs_that_there_are() -> None:
    """Of 10,000 classes it was 200 MB of zeros."""
    names, logits = [f"class {i}" for i in range(1001)], np.zeros((3, 1001), np.float32)
    logits[:, 7] = 1
    table = confusion(logits, np.array([7, 1000, 7]), names)
    assert table.to_csv() == "true,predicted,examples\nclass 1000,class 7,1\nclass 7,class 7,2\n"


def test_confusion_keeps_classes_that_are_absent() -> None:
    table = confusion(np.eye(3)[[1, 1]], np.array([1, 1]), NAMES)
    assert table.to_numpy().tolist() == [[0, 0, 0], [0, 2, 0], [0, 0, 0]]


def test_evaluate_gives_recall_by_class_and_none_for_an_absent_class() -> None:
    predicted = np.array([0, 0, 1, 0])

    def predict(images: np.ndarray) -> np.ndarray:
        return np.log(np.eye(3)[predicted] * 6 + 1)  # odds 7:1:1

    judged, table = evaluate(predict, np.zeros((4, 4, 4, 1), np.uint8), np.array([0, 0, 0, 1]), NAMES)
    assert (judged.split, judged.examples, judged.accuracy) == ("test", 4, 0.5)
    recall = {name: score.recall for name, score in judged.classes.items()}
    assert recall == {"a": pytest.approx(2 / 3), "b": 0.0, "c": None}
    assert judged.loss == pytest.approx((2 * math.log(9 / 7) + 2 * math.log(9)) / 4)
    assert table.to_numpy().sum() == 4
    assert judged.accuracy_interval == pytest.approx((0.15, 0.85), abs=1e-3)
    assert judged.classes["c"] == ClassScore(examples=0, precision=None, recall=None, f1=None)
    assert judged.calibration_bins == 15
    # Confidence 7/9 each, half of them right.
    assert judged.calibration_error == pytest.approx(7 / 9 - 1 / 2)
    assert [(one.confidence, one.accuracy, one.examples) for one in judged.calibration] == [
        (pytest.approx(7 / 9), 0.5, 4)
    ]
    assert [(mistake.index, mistake.true, mistake.predicted) for mistake in judged.mistakes] == [
        (2, "a", "b"),
        (3, "b", "a"),
    ]
    assert Quality.model_validate_json(judged.model_dump_json()) == judged
    early = judged.model_dump(exclude={"calibration"})
    assert Quality.model_validate(early).calibration == []


def test_wilson_worked_by_hand() -> None:
    # 8 of 10, z = 1.96: (0.8 + z^2/20 -+ z sqrt(0.016 + z^2/400)) / (1 + z^2/10)
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    low, high = wilson(10, 10)
    assert (low, high) == (pytest.approx(1 / (1 + 1.96**2 / 10), abs=1e-4), 1)
    assert wilson(8775, 10_000) == pytest.approx((0.87093, 0.88378), abs=1e-5)


@given(correct=st.integers(0, 50), more=st.integers(0, 50))
def test_the_shape_of_wilsons_interval(correct: int, more: int) -> None:
    examples = correct + more + 1
    low, high = wilson(correct, examples)
    assert 0 <= low <= correct / examples <= high <= 1
    mirrored = wilson(examples - correct, examples)
    assert (low, high) == pytest.approx((1 - mirrored[1], 1 - mirrored[0]))


def test_calibration_worked_by_hand() -> None:
    # Two in the bin around 0.95, of which one is right; one right in the bin around 0.6; one wrong around 0.5.
    probabilities = np.array([[0.95, 0.05], [0.05, 0.95], [0.6, 0.4], [0.5, 0.5]])
    bins = calibration(probabilities, np.array([0, 0, 0, 1]))
    assert [(one.confidence, one.accuracy, one.examples) for one in bins] == [
        (pytest.approx(0.5), 0, 1),
        (pytest.approx(0.6), 1, 1),
        (pytest.approx(0.95), 0.5, 2),
    ]
    error = calibration_error(bins)
    assert error == pytest.approx((2 * abs(0.95 - 0.5) + abs(0.6 - 1) + abs(0.5 - 0)) / 4)


def test_certainty_is_in_the_last_bin() -> None:
    probabilities = np.eye(2)[[0, 1, 1]]
    assert calibration_error(calibration(probabilities, np.array([0, 1, 1]))) == 0
    assert calibration_error(calibration(probabilities, np.array([1, 0, 0]))) == 1


def test_calibration_agrees_with_a_naive_loop() -> None:
    rng = np.random.default_rng(0)
    probabilities, labels = probabilities_of(rng.normal(size=(500, 4)) * 2), rng.integers(4, size=500)
    total = 0.0
    for number in range(BINS):
        inside = [
            (max(row), row.index(max(row)) == label)
            for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True)
            if number / BINS <= max(row) < (number + 1) / BINS
        ]
        if inside:
            confidence = sum(pair[0] for pair in inside) / len(inside)
            accuracy = sum(pair[1] for pair in inside) / len(inside)
            total += len(inside) / 500 * abs(confidence - accuracy)
    bins = calibration(probabilities, labels)
    assert calibration_error(bins) == pytest.approx(total)
    assert sum(one.examples for one in bins) == 500


def test_probabilities_do_not_overflow() -> None:
    np.testing.assert_allclose(
        probabilities_of(np.array([[1e4, 1e4], [0, -1e4]], np.float32)), [[0.5, 0.5], [1.0, 0.0]]
    )


def test_class_scores_worked_by_hand() -> None:
    # b: 3 are called so, of which 2 are; there are 4 of it. c is never called, d is not there at all.
    labels, predicted = np.array([0, 1, 1, 1, 1, 2]), np.array([0, 1, 1, 0, 0, 1])
    scores = class_scores(predicted, labels, ["a", "b", "c", "d"])
    assert {name: tuple(score.model_dump().values()) for name, score in scores.items()} == {
        "a": (1, pytest.approx(1 / 3), 1, pytest.approx(1 / 2)),
        "b": (4, pytest.approx(2 / 3), pytest.approx(1 / 2), pytest.approx(4 / 7)),
        "c": (1, None, 0, 0),
        "d": (0, None, None, None),
    }


def test_the_most_confident_mistakes_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.1, 0.9], [0.3, 0.7], [0.2, 0.8], [0.9, 0.1]])
    labels = np.array([1, 1, 1, 0, 0, 1])
    found = most_confident_mistakes(probabilities, labels, ["a", "b"])
    assert [mistake.index for mistake in found] == [1, 5, 4, 3, 0]  # equals in the split's order
    assert found[2] == Mistake(index=4, true="a", predicted="b", probability=0.8)
    monkeypatch.setattr(evaluation, "MISTAKES", 2)
    assert len(most_confident_mistakes(probabilities, labels, ["a", "b"])) == 2
    assert most_confident_mistakes(probabilities, np.array([0, 0, 1, 1, 1, 0]), ["a", "b"]) == []
