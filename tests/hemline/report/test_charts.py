"""Pictures are reproducible, so that a version's checksum is too."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hemline.records.run import Mistake
from hemline.report.charts import compare_curves, data_picture, learning_curves, mistakes_grid, parity_map

EPOCHS = pd.DataFrame(
    {
        "epoch": [1, 2],
        "train_loss": [1.0, 0.5],
        "val_loss": [1.1, 0.6],
        "train_accuracy": [0.5, 0.7],
        "val_accuracy": [0.4, 0.6],
    }
)


def test_the_same_table_gives_the_same_bytes() -> None:
    assert learning_curves(EPOCHS) == learning_curves(EPOCHS.copy())


def test_another_table_gives_another_picture() -> None:
    assert learning_curves(EPOCHS) != learning_curves(EPOCHS + 1)


def test_another_process_gives_the_same_bytes() -> None:
    script = f"""
import sys, pandas as pd
from hemline.report.charts import learning_curves, mistakes_grid
from hemline.records.run import Mistake
sys.stdout.write(learning_curves(pd.DataFrame({EPOCHS.to_dict("list")!r})))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == learning_curves(EPOCHS)


def test_it_is_svg_without_a_date_or_a_script() -> None:
    svg = learning_curves(EPOCHS)
    assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert "<dc:date>" not in svg
    assert "<script" not in svg


def test_one_epoch_is_enough() -> None:
    assert "<svg" in learning_curves(EPOCHS[:1])


CASES = pd.DataFrame(
    {
        "policy": ["float32", "float32", "float64", "float64"],
        "inputs": ["normal", "normal", "normal", "huge"],
        "ratio": [0.25, 0.5, 3e-5, float("inf")],
    }
)


def test_a_parity_map_has_the_worst_of_each_policy_and_input() -> None:
    svg = parity_map(CASES)
    assert svg == parity_map(CASES.copy())
    root = ET.fromstring(svg)
    texts = {"".join(text.itertext()).strip() for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"0.5", "3e-05", "inf", "float32", "float64", "normal", "huge"} <= texts
    assert "0.25" not in texts
    assert len(svg) < 50_000  # it is part of a report that the UI lists


def mistakes(number: int) -> list[Mistake]:
    return [Mistake(index=i, true="$x_1", predicted="a<b & c", probability=0.987) for i in range(number)]


@pytest.mark.parametrize("shape", [(4, 4, 1), (32, 20, 3), (8, 8, 2)])
def test_every_mistake_is_shown_with_what_it_is_and_was_called(shape: tuple[int, int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(9, *shape), dtype=np.uint8)
    svg = mistakes_grid(images, mistakes(9))
    assert svg == mistakes_grid(images, mistakes(9))
    page = ET.fromstring(svg)
    texts = [text for text in page.itertext() if text.strip()]
    assert sum("called a<b & c 99%" in text for text in texts) == 9
    assert sum("$x_1" in text for text in texts) == 9  # and not as mathematics
    assert len(page.findall(".//{http://www.w3.org/2000/svg}image")) == 9


def test_no_mistake_is_an_empty_picture() -> None:
    assert "<image" not in mistakes_grid(np.zeros((1, 4, 4, 1), np.uint8), [])


def test_a_grid_of_large_photographs_fits_into_a_report() -> None:
    noise = np.random.default_rng(0).integers(0, 256, size=(16, 224, 224, 3), dtype=np.uint8)  # compresses worst
    assert len(mistakes_grid(noise, mistakes(16))) * 4 / 3 < 180_000


@pytest.mark.parametrize("name", ["curves.svg", "curves.png"])
def test_several_runs_are_drawn_over_each_other(tmp_path: Path, name: str) -> None:
    def drawn(*runs: pd.DataFrame) -> bytes:
        compare_curves([(f"run {number}", run) for number, run in enumerate(runs)], tmp_path / name)
        return (tmp_path / name).read_bytes()

    assert drawn(EPOCHS, EPOCHS + 1) == drawn(EPOCHS, EPOCHS + 1) != drawn(EPOCHS)
    assert drawn(EPOCHS, EPOCHS[:1])  # one ended earlier


def texts(svg: str) -> set[str]:
    return {text.strip() for text in ET.fromstring(svg).itertext() if text.strip()}


def test_the_data_has_its_classes_by_split_and_its_images_under_their_captions() -> None:
    now = {"train": {"coat": 300, "$x_1": 100}, "test": {"coat": 30, "$x_1": 10}}
    shown = [(np.full((4, 4, 1), 9, np.uint8), "new\ncoat"), (np.full((50, 30, 3), 9, np.uint8), "leaks\n$x_1")]
    svg = data_picture({"train": {"coat": 200}}, now, shown)
    assert svg == data_picture({"train": {"coat": 200}}, now, shown)
    assert {"train", "test", "coat", "$x_1", "the champion's", "this run's", "new", "leaks"} <= texts(svg)
    assert svg.count("<image") == 2
    assert "the champion's" not in texts(data_picture({}, now, []))
    assert "<image" not in data_picture({}, now, [])


def test_ten_thousand_classes_and_large_photographs_fit_into_an_artifact() -> None:
    counts = {f"a class with the number {number}": number for number in range(10_000)}
    noise = np.random.default_rng(0).integers(0, 256, size=(12, 224, 224, 3), dtype=np.uint8)  # compresses worst
    changed = counts | {"a class with the number 7000": 0}
    svg = data_picture({"train": counts}, {"train": changed, "test": counts}, [(image, "new\nA") for image in noise])
    assert len(svg) * 4 / 3 < 180_000
    assert "train: 20 of 10,000 classes" in texts(svg)
