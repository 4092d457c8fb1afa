"""Images under their captions: which, and how large they may become."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from hemline.records.run import Mistake
from hemline.report.tiles import data_picture, mistakes_grid
from tests.hemline.report.examples import SVG, texts


def mistakes(number: int) -> list[Mistake]:
    return [Mistake(index=i, true="$x_1", predicted="a<b & c", probability=0.987) for i in range(number)]


@pytest.mark.parametrize("shape", [(4, 4, 1), (32, 20, 3), (8, 8, 2)])
def test_every_mistake_is_shown_with_what_it_is_and_was_called(shape: tuple[int, int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(9, *shape), dtype=np.uint8)
    svg = mistakes_grid(images, mistakes(9))
    assert svg == mistakes_grid(images, mistakes(9))
    page = ET.fromstring(svg)
    shown = [text for text in page.itertext() if text.strip()]
    assert sum("called a<b & c 99%" in text for text in shown) == 9
    assert sum("$x_1" in text for text in shown) == 9  # and not as mathematics
    assert len(page.findall(f".//{SVG}image")) == 9


def test_no_mistake_is_an_empty_picture() -> None:
    assert "<image" not in mistakes_grid(np.zeros((1, 4, 4, 1), np.uint8), [])


def test_a_grid_of_large_photographs_leaves_room_in_a_report() -> None:
    for side in (29, 32, 224):
        noise = np.random.default_rng(0).integers(0, 256, size=(16, side, side, 3), dtype=np.uint8)  # compresses worst
        assert len(mistakes_grid(noise, mistakes(16))) * 4 / 3 < 70_000


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
