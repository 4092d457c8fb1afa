"""What a first champion must show."""

from typing import Any

import numpy as np
import pytest

from hemline.config.retrain import RetrainConfig
from hemline.gate.case import Candidate, Case
from hemline.gate.first import doubts_about_first
from hemline.gate.spending import Look
from hemline.registry.versions import Manifest
from tests.hemline.registry.published import RECORD

NAMES = ["a", "b", "c"]
LABELS = np.repeat([0, 1, 2], [50, 30, 20])  # always answering a is right for half


def doubts(
    right: int, labels: np.ndarray = LABELS, val_accuracy: float | None = None, training: str = "abc", **config: Any
) -> list[str]:
    """Of a version that gets so many of the examples right; its validation accuracy is the same by default."""
    predictions = np.where(np.arange(len(labels)) < right, labels, (labels + 1) % 3)
    challenger = Candidate("1", predictions[None], RECORD.evaluation)
    case = Case("tiny", labels, NAMES, challenger, champion=None, look=Look("5" * 64, 0.05 / 365, 1, 364))
    accuracy = right / len(labels) if val_accuracy is None else val_accuracy
    epochs = [
        {"epoch": 1, "val_loss": 0.5, "val_accuracy": accuracy},
        {"epoch": 2, "val_loss": 0.6, "val_accuracy": 0.0},
    ]
    given = RetrainConfig(**{"name": "tiny", "validation": 200, "early_stopping": 1} | config)
    record = RECORD.model_copy(update={"config": given, "epochs": epochs if given.early_stopping else epochs[:1]})
    manifest = Manifest(**dict(record), version="1", files={})
    return doubts_about_first(case, manifest, np.array([NAMES.index(letter) for letter in training]))


def test_a_version_that_has_learned_is_beyond_doubt() -> None:
    assert doubts(90) == []
    assert doubts(90, early_stopping=None) == []


@pytest.mark.parametrize("right", [0, 15, 20, 50, 60])
def test_one_that_may_have_guessed_needs_a_person(right: int) -> None:
    (doubt,) = doubts(right)
    assert doubt.startswith("it is not proven better than always answering a, which is right for 50.00%: p ")
    assert doubt.endswith(" is above the level 0.00014")


def test_where_guessing_ends() -> None:
    # P(right >= 69 of 100 by a fair coin) is 9.2e-5, P(right >= 68) 2.0e-4.
    assert doubts(69) == []
    assert "p 0.0002 is above" in doubts(68)[0]


def test_another_accuracy_than_in_validation_needs_a_person() -> None:
    (doubt,) = doubts(75, val_accuracy=0.96)
    assert doubt.startswith("its validation accuracy 96.00% is not that of the test split: p ")
    assert doubt.endswith(" is below 0.0001, so the two hold different examples")
    assert doubts(90, val_accuracy=0.96) == []  # of 100 and of 200 examples, by chance
    assert len(doubts(90, val_accuracy=0.60)) == 1  # better than it should be is as strange


def test_validation_on_the_test_split_says_nothing_about_it() -> None:
    assert doubts(75, val_accuracy=0.96, validation="test", early_stopping=None) == []


def test_every_class_must_have_been_there() -> None:
    assert doubts(90, training="aac") == ["there is no training example of b"]
    assert doubts(78, labels=np.repeat([0, 1], [50, 30]), val_accuracy=0.98) == ["there is no test example of c"]


def test_one_class_alone_cannot_be_guessed_better() -> None:
    first, second = doubts(100, labels=np.zeros(100, int), val_accuracy=0.999)
    assert "always answering a, which is right for 100.00%: p 1 is above" in first
    assert second == "there is no test example of b, c"
