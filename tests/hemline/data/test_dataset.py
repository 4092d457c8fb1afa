"""Data is decoded once, and used only while it is what was decoded."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.splits import SplitDict

from hemline.config.data import DataConfig
from hemline.config.retrain import RetrainConfig
from hemline.data import decoding, sources
from hemline.data.dataset import DatasetRef, check_sizes, for_run, hashes, load_split, load_training
from hemline.data.decoding import KNOWN_FINGERPRINTS, prepare
from hemline.data.sources import check_known, find_builder, prepare_files
from hemline.errors import ConfigurationError, DatasetError

FlipByte = Callable[[Path, int], None]
ARRAYS = ["train-images.u8", "train-labels.i4", "test-images.u8", "test-labels.i4"]


@pytest.fixture
def mocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every TFDS data set, made up by TFDS itself: its shapes and labels, 12 random examples a split."""
    monkeypatch.setattr(sources, "SOURCES", {"mock": lambda builder, config, stack: None})
    # The mock leaves the splits' sizes unknown, and a batch of everything would be one of 2 ** 63.
    monkeypatch.setattr(SplitDict, "total_num_examples", 12)
    with tfds.testing.mock_data(num_examples=12):
        yield


@pytest.fixture
def mnist(mocked: None, tmp_path: Path) -> DataConfig:
    return DataConfig(dataset="mnist", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [
        ("mnist", (28, 28, 1), 10),
        ("mnist:3.0.1", (28, 28, 1), 10),
        ("cifar10", (32, 32, 3), 10),
        ("eurosat/rgb", (64, 64, 3), 10),
        ("svhn_cropped", (32, 32, 3), 10),
        ("cifar100", (32, 32, 3), 100),
    ],
)
@pytest.mark.usefixtures("mocked")
def test_any_data_set_of_images_and_labels_works_by_name(
    name: str, shape: tuple[int, int, int], classes: int, tmp_path: Path
) -> None:
    config = DataConfig(dataset=name, data_dir=tmp_path)
    check_known(config)
    ref = prepare(config)
    assert ref.full_name.startswith(name.replace(":", "/"))
    assert ref.image_shape == shape
    assert len(ref.class_names) == classes
    images, labels = load_split(ref, "train")
    assert (images.shape, images.dtype) == ((12, *shape), np.uint8)
    assert (labels.shape, labels.dtype) == ((12,), np.int32)
    assert ref.path.parent == tmp_path / "decoded"


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("imdb_reviews", "the data set must have the features 'image' and 'label'"),  # no image
        ("binarized_mnist", "the data set must have the features 'image' and 'label'"),  # no label
        ("coco", "the data set must have the features 'image' and 'label'"),  # labels of boxes
        ("cats_vs_dogs", "images must be uint8 and all of one size"),
    ],
)
def test_other_kinds_of_data_are_refused_before_they_are_fetched(name: str, rule: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        check_known(DataConfig(dataset=name, data_dir=tmp_path))
    assert str(caught.value).startswith(rule)
    assert f"Received: {name}/" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("fashionmnist", "Did you mean fashion_mnist?"),
        ("fashion_mnist:9.9.9", "fashion_mnist"),
        ("eurosat/none", "Did you mean eurosat?"),
        ("no such thing", "See tensorflow.org/datasets/catalog."),
    ],
)
def test_an_unknown_name_is_refused_with_a_suggestion(name: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        check_known(DataConfig(dataset=name, data_dir=tmp_path))
    assert str(caught.value).startswith("dataset must be a name in the TFDS catalogue. Received: ")
    assert repr(name) in str(caught.value)
    assert hint in str(caught.value)


def test_data_is_decoded_once(mnist: DataConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(mnist)
    monkeypatch.setattr(decoding, "decode", lambda config: pytest.fail("decoded again"))
    assert prepare(mnist) == first


def test_what_was_not_decoded_yet_is_not_verified(tmp_path: Path) -> None:
    assert decoding.verified(DataConfig(dataset="mnist", data_dir=tmp_path)) is None


@pytest.mark.parametrize("name", ARRAYS)
def test_one_flipped_byte_is_noticed_and_decoded_away(name: str, mnist: DataConfig, flip_byte: FlipByte) -> None:
    first = prepare(mnist)
    flip_byte(first.path / name, -1)
    with pytest.raises(DatasetError, match=rf"{name} must have the SHA-256 \w+\. Received: \w+\. Run again"):
        load_split(first, name.partition("-")[0])
    assert decoding.verified(mnist) is None
    assert prepare(mnist) == first
    assert decoding.verified(mnist) == first


@pytest.mark.parametrize("damage", [b"", b"short"])
@pytest.mark.parametrize("name", ARRAYS)
def test_a_truncated_file_is_noticed_and_decoded_away(name: str, damage: bytes, mnist: DataConfig) -> None:
    first = prepare(mnist)
    (first.path / name).write_bytes(damage)
    with pytest.raises(DatasetError, match=name):
        load_split(first, name.partition("-")[0])
    assert prepare(mnist) == first


def test_a_record_of_another_size_is_refused(tiny: DatasetRef) -> None:
    """The bytes are right, but the record would cut them into other images."""
    split = tiny.splits["train"].model_copy(update={"examples": 299})
    with pytest.raises(DatasetError, match="must have the sizes of their record"):
        load_split(tiny.model_copy(update={"splits": {"train": split}}), "train")


def test_a_missing_file_is_noticed_and_decoded_again(mnist: DataConfig) -> None:
    first = prepare(mnist)
    (first.path / "test-labels.i4").unlink()
    with pytest.raises(DatasetError, match=r"test-labels\.i4 must be readable"):
        load_split(first, "test")
    assert prepare(mnist) == first


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"full_name": 3}', "no json", "\xff"])
def test_a_damaged_record_is_decoded_away(damage: str, mnist: DataConfig) -> None:
    first = prepare(mnist)
    (first.path / "dataset.json").write_text(damage, encoding="latin-1")
    assert decoding.verified(mnist) is None
    assert prepare(mnist) == first


def test_decoding_that_fails_leaves_nothing_behind(mnist: DataConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, value: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(decoding, "write_json", fail)
    with pytest.raises(KeyboardInterrupt):
        prepare(mnist)
    assert list((mnist.data_path / "decoded").iterdir()) == []


def test_a_known_data_set_must_have_its_known_fingerprint(mnist: DataConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KNOWN_FINGERPRINTS, "mnist/3.0.1", "0" * 64)
    with pytest.raises(DatasetError) as caught:
        prepare(mnist)
    assert str(caught.value).startswith(f"mnist/3.0.1 must have the fingerprint {'0' * 64}. Received: ")
    assert "delete " in str(caught.value)
    assert decoding.verified(mnist) is None


def test_a_known_data_set_is_held_against_its_fingerprint_on_every_run(
    mnist: DataConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Arrays and record may have been changed together.
    prepare(mnist)
    monkeypatch.setitem(KNOWN_FINGERPRINTS, "mnist/3.0.1", "0" * 64)
    assert decoding.verified(mnist) is None


def test_the_fingerprint_covers_pixels_labels_order_and_names(tiny: DatasetRef) -> None:
    split = tiny.splits["train"]
    changed: list[dict[str, Any]] = [
        {"splits": tiny.splits | {"train": split.model_copy(update={"images": "0"})}},
        {"splits": tiny.splits | {"train": split.model_copy(update={"labels": "0"})}},
        {"splits": {"train": split}},
        {"class_names": tiny.class_names[::-1]},
        {"image_shape": (4, 2, 2)},
    ]
    fingerprints = [tiny.fingerprint, *(tiny.model_copy(update=update).fingerprint for update in changed)]
    assert len(set(fingerprints)) == 6


def test_the_fingerprint_does_not_depend_on_the_place(tiny: DatasetRef) -> None:
    assert tiny.model_copy(update={"path": Path("/elsewhere")}).fingerprint == tiny.fingerprint
    assert DatasetRef.model_validate_json(tiny.model_dump_json()).fingerprint == tiny.fingerprint


def test_validation_is_held_out_from_the_end_of_the_train_split(tiny: DatasetRef) -> None:
    images, labels = load_split(tiny, "train")
    (train_images, train_labels), (held_out_images, held_out_labels) = load_training(tiny, 60)
    assert (len(train_images), len(held_out_images)) == (240, 60)
    np.testing.assert_array_equal(np.concatenate([train_images, held_out_images]), images)
    np.testing.assert_array_equal(np.concatenate([train_labels, held_out_labels]), labels)


def test_validation_on_the_test_split_trains_on_the_whole_train_split(tiny: DatasetRef) -> None:
    training, validation = load_training(tiny, "test")
    for got, expected in zip(
        (*training, *validation), (*load_split(tiny, "train"), *load_split(tiny, "test")), strict=True
    ):
        np.testing.assert_array_equal(got, expected)


def test_sizes_that_leave_one_batch_are_accepted(tiny: DatasetRef) -> None:
    check_sizes(tiny, validation=299, batch_size=1)
    check_sizes(tiny, validation=60, batch_size=240)
    check_sizes(tiny, validation="test", batch_size=300)


@pytest.mark.parametrize("validation", [300, 301])
def test_validation_must_leave_something_to_train_on(validation: int, tiny: DatasetRef) -> None:
    with pytest.raises(ConfigurationError, match=f"validation must be < .* validation={validation} of 300 examples"):
        check_sizes(tiny, validation, batch_size=1)


@pytest.mark.parametrize(("validation", "batch_size", "examples"), [(60, 241, 240), ("test", 301, 300)])
def test_a_batch_must_not_exceed_what_is_trained_on(
    validation: int, batch_size: int, examples: int, tiny: DatasetRef
) -> None:
    with pytest.raises(ConfigurationError, match=f"batch_size={batch_size} for {examples} examples"):
        check_sizes(tiny, validation, batch_size)


@pytest.mark.parametrize(("missing", "there"), [("train", "test"), ("test", "train")])
def test_both_splits_are_needed(missing: str, there: str, tiny: DatasetRef) -> None:
    half = tiny.model_copy(update={"splits": {there: tiny.splits[there]}})
    with pytest.raises(DatasetError, match=f"must have the split '{missing}'. Received: tiny/1.0.0 with {there}"):
        check_sizes(half, 60, batch_size=1)


# --- the real data


def test_fashion_mnist_is_upstreams(fashion_mnist: DatasetRef) -> None:
    assert fashion_mnist.full_name == "fashion_mnist/3.0.1"
    assert fashion_mnist.fingerprint == KNOWN_FINGERPRINTS["fashion_mnist/3.0.1"]
    assert {name: split.examples for name, split in fashion_mnist.splits.items()} == {"train": 60000, "test": 10000}
    assert fashion_mnist.image_shape == (28, 28, 1)
    assert fashion_mnist.class_names[0] == "T-shirt/top"
    _, labels = load_split(fashion_mnist, "test")
    assert np.bincount(labels).tolist() == [1000] * 10


def test_its_record_on_disk_is_the_reference(fashion_mnist: DatasetRef) -> None:
    assert json.loads((fashion_mnist.path / "dataset.json").read_text()) == fashion_mnist.record()


def test_a_copied_directory_is_read_where_it_is(mnist: DataConfig, tmp_path: Path, flip_byte: FlipByte) -> None:
    """A record that names the place it was made would lead to the other directory, unchecked."""
    prepare(mnist)
    copied = mnist.model_copy(update={"data_dir": tmp_path / "copy"})
    shutil.copytree(mnist.data_path, copied.data_path)
    ref = decoding.verified(copied)
    assert ref is not None
    assert ref.path.is_relative_to(copied.data_path)
    flip_byte(ref.path / "train-images.u8", 0)
    assert decoding.verified(copied) is None
    assert decoding.verified(mnist) is not None


def test_a_changed_name_in_the_record_is_noticed(mnist: DataConfig) -> None:
    record = prepare(mnist).path / "dataset.json"
    record.write_text(record.read_text().replace("3.0.1", "3.0.0"))
    assert decoding.verified(mnist) is None


def test_the_files_that_are_kept_make_the_data_again_and_are_verified(
    fashion_mnist: DatasetRef, tmp_path: Path, flip_byte: FlipByte
) -> None:
    config = DataConfig(data_dir=tmp_path)
    shutil.copytree(fashion_mnist.path.parents[1] / "downloads" / "manual", config.manual_path)
    assert prepare(config).fingerprint == fashion_mnist.fingerprint
    assert not (tmp_path / "fashion_mnist").exists()
    shutil.rmtree(tmp_path / "decoded")
    flip_byte(config.manual_path / "train-images-idx3-ubyte.gz", 1000)
    with pytest.raises(DatasetError, match=r"train-images-idx3-ubyte\.gz must have the SHA-256"):
        prepare(config)


@pytest.mark.slow
def test_tfds_stores_the_same_examples_in_the_same_order_and_one_flipped_byte_of_them_names_their_directory(
    fashion_mnist: DatasetRef, tmp_path: Path, flip_byte: FlipByte
) -> None:
    config = DataConfig(data_dir=tmp_path, manual_dir=fashion_mnist.path.parents[1] / "downloads" / "manual")
    copy = tmp_path / fashion_mnist.full_name
    prepare_files(find_builder(config), config)
    assert prepare(config).fingerprint == fashion_mnist.fingerprint
    shutil.rmtree(tmp_path / "decoded")
    (record,) = copy.glob("*-train.tfrecord-*")
    flip_byte(record, record.stat().st_size // 2)
    with pytest.raises(DatasetError) as caught:
        prepare(config)
    message = str(caught.value)
    assert message.startswith(f"prepared data must be readable. Received: {copy}: ")
    assert message.endswith(f"It is corrupt: delete {copy} and run again.")
    assert not (tmp_path / "decoded" / "fashion_mnist").exists()


def test_memory_decides_once_whether_a_run_streams(tiny: DatasetRef, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: the memory was measured at each use, so that a run could change its mind on the way."""
    size = 370 * 16  # bytes of all images

    def memory(available: int) -> None:
        monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=available))

    memory(4 * size)
    assert not for_run(tiny, streaming=None).streaming
    memory(4 * size - 1)
    assert for_run(tiny, streaming=None).streaming
    assert not for_run(tiny, streaming=False).streaming
    assert isinstance(load_split(for_run(tiny, streaming=True), "test")[0], np.memmap)
    assert not isinstance(load_split(for_run(tiny, streaming=False), "test")[0], np.memmap)
    assert for_run(tiny, streaming=True).fingerprint == tiny.fingerprint


class Larger(DataConfig):
    """As if a field had been added."""

    enlarged: int = 28


def test_every_field_of_the_data_is_part_of_the_cache_and_of_the_directory(tmp_path: Path) -> None:
    """Regression: both listed fields by hand, and left out a new one."""
    plain, larger = Larger(data_dir=tmp_path), Larger(data_dir=tmp_path, enlarged=32)
    assert plain.decoded_path == DataConfig(data_dir=tmp_path).decoded_path == tmp_path / "decoded" / "fashion_mnist"
    assert larger.decoded_path.parent == plain.decoded_path.parent
    assert larger.decoded_path != plain.decoded_path
    assert Larger(data_dir=tmp_path, enlarged=64).decoded_path != larger.decoded_path
    of_both: dict[str, Any] = {"data_dir": tmp_path, "manual_dir": tmp_path / "by hand", "image_size": 32}
    of_both |= {"grayscale": True, "test_share": 0.1, "split_seed": 1}
    of_tfds = of_both | {"dataset": "mnist", "image_key": "picture", "label_key": "kind"}
    of_a_folder = of_both | {"dataset": f"folder:{tmp_path}", "unreadable": "skip"}
    assert {*of_tfds, *of_a_folder} == set(DataConfig.model_fields), "give the new field a value that is no default"
    for fields in (of_tfds, of_a_folder):
        assert RetrainConfig(**fields).data == DataConfig(**fields)
        for name in set(fields) - {"data_dir", "manual_dir"}:
            others = {key: value for key, value in fields.items() if key != name}
            if name != "dataset":
                assert DataConfig(**others).decoded_path != DataConfig(**fields).decoded_path


def test_a_hash_is_of_the_pixels_alone() -> None:
    images = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3, 1)
    one, other = hashes(images)
    assert one != other
    assert hashes(images[::-1].copy()).tolist() == [other, one]
    assert hashes(images).dtype == np.uint64
    assert hashes(images[:0]).shape == (0,)
