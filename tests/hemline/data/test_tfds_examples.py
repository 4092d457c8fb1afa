"""TFDS beyond its catalogue's plain names: a builder of one's own, other features, other sizes, no test split."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds

from hemline.config.data import DataConfig
from hemline.data import sources
from hemline.data.dataset import DatasetRef, load_split
from hemline.data.decoding import examples_of, prepare, verified
from hemline.errors import DatasetError
from tests.hemline.data.builders import Sketches

OWN = "tests.hemline.data.builders:Sketches"
FITTING: dict[str, Any] = {"image_key": "sketch", "label_key": "kind", "image_size": 6, "test_share": 0.3}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks the network fails the test."""
    monkeypatch.setattr(sources.requests, "head", lambda url, **options: pytest.fail(f"asked {url}"))


def config(tmp_path: Path, **fields: Any) -> DataConfig:
    return DataConfig(dataset=OWN, data_dir=tmp_path, **FITTING | fields)


def refused(config: DataConfig) -> str:
    with pytest.raises(DatasetError) as caught:
        examples_of(config)
    assert "Received: " in str(caught.value)
    return str(caught.value)


def rows(ref: DatasetRef, split: str) -> set[bytes]:
    return {image.tobytes() for image in load_split(ref, split)[0]}


def test_a_builder_of_ones_own_is_prepared_scaled_and_split(tmp_path: Path) -> None:
    ref = prepare(config(tmp_path))
    assert (ref.full_name, ref.image_shape, ref.class_names) == ("sketches/1.2.0", (6, 6, 3), ["dark", "bright"])
    sizes = {name: split.examples for name, split in ref.splits.items()}
    assert sum(sizes.values()) == 60
    assert 8 <= sizes["test"] <= 28  # 18 on average
    assert not rows(ref, "train") & rows(ref, "test")
    images, labels = load_split(ref, "train")
    np.testing.assert_array_equal(images.mean(axis=(1, 2, 3)) > 125, labels)


def test_a_share_is_the_same_whatever_the_images_are_made_into(tmp_path: Path) -> None:
    """It is taken by what TFDS has, before anything is scaled."""
    one, other = prepare(config(tmp_path)), prepare(config(tmp_path, grayscale=True, image_size=9))
    assert other.image_shape == (9, 9, 1)
    for split in ("train", "test"):
        np.testing.assert_array_equal(load_split(one, split)[1], load_split(other, split)[1])
    assert prepare(config(tmp_path, split_seed=1)).fingerprint != one.fingerprint


def test_without_a_share_it_is_refused_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: it was refused after it had been decoded, and in every later run again."""
    monkeypatch.setattr("hemline.data.decoding.write_split", lambda *given: pytest.fail("decoded"))
    plain = config(tmp_path, test_share=None)
    with pytest.raises(DatasetError, match=r"must have the split 'test'.*or set test_share"):
        prepare(plain)
    assert refused(plain).endswith("Choose another data set, or set test_share, e.g. 0.2.")  # now TFDS knows it


def test_a_share_of_a_data_set_with_a_test_split_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builder = sources.find_builder(config(tmp_path))
    monkeypatch.setattr(
        type(builder),
        "_split_generators",
        lambda self, _: {name: self._generate_examples() for name in ("train", "test")},
    )
    with pytest.raises(DatasetError, match="test_share must be for data without a test split"):
        prepare(config(tmp_path))
    assert prepare(config(tmp_path, test_share=None)).splits["test"].examples == 60


def test_a_new_version_of_ones_own_builder_is_decoded_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = prepare(config(tmp_path))
    assert verified(config(tmp_path)) == before
    monkeypatch.setattr(Sketches, "VERSION", tfds.core.Version("1.3.0"))
    assert verified(config(tmp_path)) is None
    assert prepare(config(tmp_path)).full_name == "sketches/1.3.0"


def test_a_builder_that_cannot_be_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Sketches, **options: object) -> None:
        raise ValueError("there is no configuration")

    monkeypatch.setattr(Sketches, "__init__", fail)
    assert "sketches: there is no configuration" in refused(config(tmp_path))


@pytest.mark.parametrize(
    ("dataset", "sentence"),
    [
        ("tests.hemline.data.nowhere:Sketches", "a builder must be importable"),
        ("tests.hemline.data.builders:Sketch", "a builder must be importable"),
        ("tests.hemline.data.builders:NOT_A_BUILDER", "a builder must be a class derived from"),
        ("tests.hemline.data.builders:Unfinished", "a builder must be a class derived from"),
        ("pathlib:Path", "a builder must be a class derived from"),
    ],
)
def test_what_is_no_builder_is_refused(dataset: str, sentence: str, tmp_path: Path) -> None:
    message = refused(DataConfig(dataset=dataset, data_dir=tmp_path))
    assert message.startswith(sentence)
    assert repr(dataset) in message


@pytest.mark.parametrize(
    ("dataset", "own"), [("mnist:3.0.1", False), ("eurosat/rgb:2.0.0", False), ("folder:Pets", False), (OWN, True)]
)
def test_a_version_is_no_class(dataset: str, own: bool) -> None:
    assert DataConfig(dataset=dataset).has_own_builder == own


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"image_key": "image"}, "the data set must have the features 'image' and 'kind' (a ClassLabel)."),
        ({"label_key": "sketch"}, "the data set must have the features 'sketch' and 'sketch' (a ClassLabel)."),
        ({"image_size": None}, "images must be uint8 and all of one size."),
    ],
)
def test_features_that_do_not_fit_are_refused(fields: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    assert refused(config(tmp_path, **fields)).startswith(sentence)
