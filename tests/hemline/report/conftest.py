"""A record whose numbers a person can check, and what an ending may be."""

import pytest

from hemline.data.checks_found import Change, Example, Finding
from hemline.records.data import DataChecks
from hemline.records.run import ClassScore, Latency, Mistake, Record, Rows
from hemline.report.html import data_uri
from tests.hemline.conftest import FinishedRun

EPOCHS: Rows = [
    {"epoch": 1, "train_loss": 0.51234, "train_accuracy": 0.5, "val_loss": 0.6, "val_accuracy": 0.75, "iterations": 8},
    {"epoch": 2, "train_loss": 0.25, "train_accuracy": 0.625, "val_loss": 0.5, "val_accuracy": 0.875, "iterations": 8},
]
NAMES = ("learning_curves", "mistakes", "parity")  # of a version's pictures
PICTURES = {name: data_uri(f"<svg xmlns='http://www.w3.org/2000/svg' id='{name}'/>") for name in NAMES}
WRONG = [
    Mistake(index=69, true="dark", predicted="bright", probability=0.99),
    Mistake(index=3, true="bright", predicted="middling", probability=0.75),
]


LEAK = Finding(
    check="leaks",
    answer="ask",
    sentence="test has 4 examples of 70 (5.7%) with the pixels of an example of train",
    size=4 / 70,
    examples=[Example(split="test", index=3, name="cat/*_1|2_*.png")],
    more=3,
)
FOUND = DataChecks(
    fingerprint="f" * 64,
    champion="7",
    remarks=["something could not be compared"],
    counts={},
    champion_counts={},
    change=Change(new=1200, gone=3, relabelled=5),
    findings=[LEAK],
)


@pytest.fixture
def record(finished: FinishedRun) -> Record:
    evaluation = finished.evaluation.model_copy(
        update={
            "accuracy": 0.9,
            "accuracy_interval": (0.80769, 0.95068),
            "classes": {
                "dark": ClassScore(examples=20, precision=0.95, recall=0.9, f1=0.92432),
                "bright": ClassScore(examples=50, precision=None, recall=0.0, f1=None),
            },
            "calibration_error": 0.01234,
            "mistakes": WRONG,
            "latency": Latency(single_ms=0.402, batch_ms=1.5, batch_size=100, repeats=50),
            "size_bytes": 1_430_000,
        }
    )
    return finished.record.model_copy(update={"epochs": EPOCHS, "evaluation": evaluation})
