"""Pictures of a model's quality: what is in them, of few classes and of many."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hemline.records.run import CalibrationBin, ClassChange
from hemline.report.quality import CLASSES, class_changes, confusion_map, most_confused, reliability
from tests.hemline.report.examples import texts


def test_each_class_has_its_gain_and_its_flips() -> None:
    changes = [
        ClassChange(name="coat", examples=1000, difference_points=-2.25, negative_flips=30),
        ClassChange(name="$x_1", examples=7, difference_points=0, negative_flips=0.5),
    ]
    assert {"coat", "$x_1", "-2.2", "+0.0", "30 of 1,000", "0.5 of 7"} <= texts(class_changes(changes))


@pytest.mark.parametrize("bins", [[(0.9, 0.8, 1234)], [(0.3, 0.0, 1), (0.99, 1.0, 2)]])
def test_calibration_has_the_number_of_examples_of_each_bin(bins: list[tuple[float, float, int]]) -> None:
    svg = reliability([CalibrationBin(confidence=c, accuracy=a, examples=n) for c, a, n in bins])
    assert {f"{n:,}" for _, _, n in bins} <= texts(svg)


def written(path: Path, matrix: np.ndarray, names: list[str]) -> Path:
    pd.DataFrame(matrix, index=pd.Index(names, name="true"), columns=names).to_csv(path)
    return path


def test_of_few_classes_all_are_shown_with_their_numbers(tmp_path: Path) -> None:
    # Names as those of MNIST and of pandas' empty cells.
    path = written(tmp_path / "confusion.csv", np.array([[1200, 3, 0], [0, 5, 0], [0, 0, 0]]), ["0", "NA", "2"])
    table = most_confused(path)
    assert table.to_numpy().tolist() == [[1200, 3, 0], [0, 5, 0], [0, 0, 0]]
    assert list(table.index) == list(table.columns) == ["0", "NA", "2"]
    assert {"1,200", "3", "5", "NA"} <= texts(confusion_map(table))
    assert most_confused(written(path, np.array([[7]]), ["only"])).to_numpy().tolist() == [[7]]


def test_of_many_classes_those_with_most_mistakes_are_shown(tmp_path: Path) -> None:
    matrix = np.diag(np.full(200, 50))
    confused = list(range(7, 200, 7))[:CLASSES]
    for place, row in enumerate(confused):
        matrix[row, confused[place - 1]] = 5
    matrix[3, 4] = 1
    table = most_confused(written(tmp_path / "confusion.csv", matrix, [f"class {i}" for i in range(200)]))
    shown = {f"class {i}" for i in confused}
    assert len(table) == CLASSES
    assert shown <= set(table.index)
    assert [name for name in table.index if name in shown] == [f"class {i}" for i in confused]  # in their order
    assert table.loc["class 14", "class 7"] == 5
    svg = confusion_map(table)
    assert shown <= texts(svg)
    assert "50" not in texts(svg)
    assert len(svg) < 20_000


def test_of_very_many_classes_there_are_pairs_alone(tmp_path: Path) -> None:
    rows = [("a", "a", 9), ("a", "b", 2), ("c", "c", 9), *((f"n{i}", "a", 1) for i in range(2000))]
    path = tmp_path / "confusion.csv"
    pd.DataFrame(rows, columns=["true", "predicted", "examples"]).set_index("true").to_csv(path)
    table = most_confused(path)
    assert len(table) <= CLASSES
    assert table.loc["a", "a"] == 9
    assert "c" not in table
