"""The report of a run: what a reader decides by comes first, and all of it fits into the UI."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hemline.data.dataset import DatasetRef
from hemline.records.run import CalibrationBin, ClassChange, ClassScore, Decision, Mistake, Record
from hemline.report.curves import MEASURES
from hemline.report.gallery import gallery
from hemline.report.html import data_uri
from hemline.report.parity import parity_map
from hemline.report.run import Ending, run_report
from hemline.report.tiles import mistakes_grid
from hemline.storage.attempts import Attempt
from tests.hemline.report.conftest import FOUND, LEAK, PICTURES

COMPARED = {
    "compared_with": "7",
    "difference_points": 0.125,
    "interval_low": -0.347,
    "interval_high": 0.587,
    "negative_flips": 278,
    "examples": 10_000,
}
CHANGE = ClassChange(name="dark", examples=20, difference_points=5, negative_flips=2)
KEPT = Decision(verdict="kept", champion="7", challenger="8", sentence="kept tiny 7: no better", measurements=COMPARED)
FIRST = Decision(verdict="promoted", champion=None, challenger="8", sentence="promoted tiny 8: there was no champion")


def attempt(number: int, after: str = "") -> Attempt:
    began = datetime(2026, 1, 2, tzinfo=UTC)
    return Attempt(number=number, owner="a", host="h", pid=1, started=0, began=began, after=after)


def report(record: Record, decision: Decision = KEPT, **changes: object) -> str:
    parts: dict[str, object] = {"checks": FOUND, "seconds": {"start": 4.0, "train": 6.0}, "attempts": [attempt(1)]}
    return run_report(record, "A run", PICTURES, Ending(decision, **(parts | changes)))  # type: ignore[arg-type]


def test_what_a_reader_decides_by_comes_first(record: Record) -> None:
    assert report(record).startswith(
        """# A run

**Kept tiny 7: no better.**

| verdict | kept |
| --- | --- |
| accuracy | 90.00% of 70 test examples, 95 % interval 80.77% to 95.07% |
| difference to champion 7 | +0.12 points, 95 % interval -0.35 to +0.59 |
| device | cpu, a processor |
| duration | 10 s |
| resumed | no |
| new in the data | 1,200 new examples, 3 gone, 5 relabelled since champion 7 |

## Curves
"""
    )


def test_a_first_run_has_no_difference_and_no_section_of_it(record: Record) -> None:
    text = report(record, FIRST, checks=FOUND.model_copy(update={"change": None, "remarks": ["there is none", "b"]}))
    assert "| difference to the champion | there is none to compare with |" in text
    assert "| new in the data | there is none; b |" in text
    assert "## Difference to the champion" not in text
    assert "## Learning rates" not in text  # as of an early version
    assert "| new in the data | was not looked at |" in report(record, FIRST, checks=None)


def test_a_champion_that_could_not_be_compared_with_is_not_named_as_compared(record: Record) -> None:
    decision = KEPT.model_copy(update={"measurements": COMPARED | {"compared_with": "6", "interval_low": -1e-9}})
    assert "| difference to 6, a champion before | +0.12 points, 95 % interval -0.00 to +0.59 |" in report(
        record, decision
    )


@pytest.mark.parametrize(("seconds", "words"), [(59.4, "59 s"), (300, "5 min"), (9000, "2.5 h")])
def test_how_long_it_took(record: Record, seconds: float, words: str) -> None:
    text = report(record, seconds={"train": seconds})
    assert f"| duration | {words} |" in text
    assert f"| train | {seconds:.2f} | 100% |" in text


def test_a_run_that_went_on_says_after_what(record: Record) -> None:
    text = report(record, attempts=[attempt(1), attempt(2, "killed by SIGKILL")])
    assert "| resumed | yes: attempt 2; the one before: killed by SIGKILL |" in text


def test_sections_come_in_the_order_in_which_a_reader_asks(record: Record) -> None:
    names = ["running_loss", "classes", "confusion", "calibration", "groups"]
    pictures = PICTURES | {name: data_uri(f"<svg id='{name}'/>") for name in names}
    decision = KEPT.model_copy(update={"classes": [CHANGE]})
    text = run_report(record, "A run", pictures, Ending(decision, FOUND, {"train": 1.0}, [attempt(1)]))
    assert [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")] == [
        "Curves",
        "Running loss",
        "Difference to the champion by class",
        "Confusion matrix",
        "Calibration, size and speed",
        "Most confident mistakes",
        "Learning rates, gradients and weights",
        "Where the time went",
        "LayerNorm parity",
        "Data",
        "Configuration",
        "How it was made",
    ]
    places = [text.index(pictures[name]) for name in ("learning_curves", *names[:4], "mistakes", "groups", "parity")]
    assert places == sorted(places)
    assert "had right and this version has wrong: 278 of 10,000 examples." in text
    assert LEAK.sentence in text.partition("## Data")[2].partition("## ")[0]


@pytest.mark.parametrize("classes", [10, 200])
def test_it_fits_into_the_ui_whatever_it_holds(record: Record, tmp_path: Path, classes: int) -> None:
    """Below 200 KB, with a long run, photographs of noise, which compresses worst, and long names."""
    rng = np.random.default_rng(0)
    names = [f"a class with a long name, and number {number}" for number in range(classes)]
    groups = [f"group_{letter}_{measure}" for letter in "abcd" for measure in MEASURES]
    columns = ["train_loss", "train_accuracy", "val_loss", "val_accuracy", *groups]
    epochs = [{"epoch": epoch, **dict(zip(columns, rng.random(len(columns)), strict=True))} for epoch in range(1, 31)]
    (tmp_path / "iterations.parquet").mkdir()
    for epoch in range(1, 31):
        step = np.arange(400) + epoch * 400
        table = pd.DataFrame({"epoch": epoch, "step": step, "running_loss": rng.random(400)})
        table.to_parquet(tmp_path / "iterations.parquet" / f"epoch-{epoch:05d}.parquet")
    matrix = rng.integers(1, 1000, size=(classes, classes))
    pd.DataFrame(matrix, index=pd.Index(names, name="true"), columns=names).to_csv(tmp_path / "confusion.csv")
    changes = [ClassChange(name=name, examples=1000, difference_points=-1.5, negative_flips=77) for name in names[:20]]
    wrong = [Mistake(index=i, true=names[i % 10], predicted=names[0], probability=0.99) for i in range(16)]
    bins = [CalibrationBin(confidence=(n + 0.5) / 15, accuracy=rng.random(), examples=12_345) for n in range(15)]
    scores = {name: ClassScore(examples=1000, precision=0.5, recall=0.5, f1=0.5) for name in names}
    evaluation = record.evaluation.model_copy(update={"classes": scores, "mistakes": wrong, "calibration": bins})
    dataset = DatasetRef(**(record.dataset.model_dump() | {"class_names": names}))
    record = record.model_copy(update={"evaluation": evaluation, "epochs": epochs, "dataset": dataset})
    decision = KEPT.model_copy(update={"classes": changes})
    drawn = gallery(record, tmp_path, decision, epochs)
    photographs = rng.integers(0, 256, size=(16, 32, 32, 3), dtype=np.uint8)
    parity = pd.DataFrame([{"policy": p, "inputs": i, "ratio": 0.123} for p in "abcdef" for i in "abcdefgh"])
    drawn |= {"mistakes": mistakes_grid(photographs, wrong), "parity": parity_map(parity)}
    assert drawn.keys() == {*PICTURES, "running_loss", "classes", "confusion", "calibration", "groups"}
    pictures = {name: data_uri(svg) for name, svg in drawn.items()}
    found = FOUND.model_copy(update={"findings": [LEAK] * 30})
    text = run_report(record, "A run", pictures, Ending(decision, found, {"train": 1.0}, [attempt(1)]))
    sizes = {name: len(address) for name, address in pictures.items()}
    assert len(text.encode()) < 200_000, sizes
    assert ("The classes with most mistakes of 200" in text) == (classes == 200)
