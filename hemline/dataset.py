"""The examples of a run: decoded once, verified by fingerprint, kept uint8.

    ref = prepare(DataConfig())                 # seconds the first time, then milliseconds
    images, labels = load_split(ref, "train")   # (N, H, W, C) uint8, (N,) int32
    (images, labels), validation = load_training(ref, validation=5000, mapped=too_large(ref))

TFDS decodes PNGs at 5 s an epoch; here they are decoded once, into raw arrays beside the prepared data. Images
that do not fit in memory are mapped from there (np.memmap); decoding never holds more than a batch.
The fingerprint covers pixels, labels and their order, and is checked whenever arrays are loaded: a run never
trains on anything else than what its record names. Mapped files are checked before they are read, not while.
"""

import fcntl
import hashlib
import json
import logging
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import psutil
from pydantic import BaseModel

from hemline.config import DataConfig
from hemline.errors import ConfigurationError, DatasetError
from hemline.files import require_writable, sha256_of, whole_directory, write_json

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

log = logging.getLogger(__name__)

# What upstream's files decode to. A prepared TFDS directory has no checksums of its own to be held against.
KNOWN_FINGERPRINTS = {
    "fashion_mnist/3.0.1": "7fb9c19b5a4fd2abc97e9033ba0cce9d9ad1b559f825309c75ab1ae0f6191faf",
}


class Split(BaseModel):
    """One split's arrays: how many examples, and the SHA-256 of train-images.u8 and train-labels.i4."""

    examples: int
    images: str
    labels: str


class DatasetRef(BaseModel):
    """All that crosses a task's border about the data: where it is and what it must be."""

    full_name: str
    path: Path
    image_shape: tuple[int, int, int]
    class_names: list[str]
    splits: dict[str, Split]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over every array of every split, in order, and the label set."""
        identity = self.model_dump(mode="json", exclude={"path"})
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    def record(self) -> dict[str, Any]:
        """What dataset.json holds."""
        return self.model_dump(mode="json") | {"fingerprint": self.fingerprint}


def prepare(config: DataConfig) -> DatasetRef:
    """Decoded arrays of the data set, made now or by an earlier run."""
    if ref := verified(config):
        return ref
    require_writable(config.data_path, "data_dir")
    with _lock(config.data_path / ".hemline.lock"):
        return verified(config) or _decode(config)  # another run may have done it meanwhile


def verified(config: DataConfig) -> DatasetRef | None:
    """What an earlier run decoded, if every byte of it is still as it was."""
    record = _directory(config) / "dataset.json"
    if not record.exists():
        return None
    try:
        written = json.loads(record.read_bytes())
        ref = DatasetRef.model_validate(written | {"path": record.parent})  # wherever it was copied to
        if written.get("fingerprint") != ref.fingerprint:
            raise DatasetError(f"{record} must have the fingerprint of its content. {_AGAIN}")
        _require_known(ref)
        for name in ref.splits:
            load_split(ref, name, mapped=True)
    except (TypeError, ValueError, DatasetError) as error:
        log.warning("%s is not used: %s", record.parent, error)
        return None
    return ref


def load_split(ref: DatasetRef, name: str, mapped: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, H, W, C) uint8 and labels (N,) int32. Raises DatasetError if they changed on disk.

    mapped: images are an np.memmap, read as they are used.
    """
    split = _split(ref, name)
    path = ref.path / f"{name}-images.u8"
    try:
        if mapped:
            _require_digest(path, sha256_of(path), split.images)
            images: np.ndarray = np.memmap(path, np.uint8, "r")
        else:
            images = np.frombuffer(_checked(path, split.images), np.uint8)
        labels = np.frombuffer(_checked(ref.path / f"{name}-labels.i4", split.labels), "<i4")
    except OSError as error:
        raise DatasetError(f"{error.filename} must be readable. Received: {error.strerror}. {_AGAIN}") from error
    shape = (split.examples, *ref.image_shape)
    if (images.size, labels.size) != (math.prod(shape), split.examples):
        raise DatasetError(f"arrays must have the sizes of their record. Received: {ref.path} of another. {_AGAIN}")
    return images.reshape(shape), labels


_AGAIN = "Run again: the arrays are decoded anew from the prepared data."


def _checked(path: Path, expected: str) -> bytes:
    content = path.read_bytes()
    _require_digest(path, hashlib.sha256(content).hexdigest(), expected)
    return content


def _require_digest(path: Path, received: str, expected: str) -> None:
    if received != expected:
        raise DatasetError(f"{path} must have the SHA-256 {expected}. Received: {received}. {_AGAIN}")


def too_large(ref: DatasetRef) -> bool:
    """Whether the images would take more than a quarter of the memory there is: TensorFlow copies them once."""
    size = sum(split.examples for split in ref.splits.values()) * math.prod(ref.image_shape)
    return size > psutil.virtual_memory().available / 4


def load_training(
    ref: DatasetRef, validation: int | Literal["test"], mapped: bool = False
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """(images, labels) to train on and (images, labels) to validate on.

    validation: that many examples from the end of the train split, or 'test' for the test split.
    """
    images, labels = load_split(ref, "train", mapped)
    if validation == "test":
        return (images, labels), load_split(ref, "test", mapped)
    return (images[:-validation], labels[:-validation]), (images[-validation:], labels[-validation:])


def write_split(directory: Path, name: str, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> Split:
    """Writes a split's arrays, images (B, H, W, C) and labels (B,) a batch, as raw bytes: no header to go wrong."""
    examples, pixels, classes = 0, hashlib.sha256(), hashlib.sha256()
    with (
        (directory / f"{name}-images.u8").open("wb") as images_file,
        (directory / f"{name}-labels.i4").open("wb") as labels_file,
    ):
        for images, labels in batches:
            examples += len(labels)
            for array, file, digest in (
                (images.astype(np.uint8), images_file, pixels),
                (labels.astype("<i4"), labels_file, classes),
            ):
                file.write(array.tobytes())
                digest.update(array.tobytes())
    return Split(examples=examples, images=pixels.hexdigest(), labels=classes.hexdigest())


def check_known(config: DataConfig) -> None:
    """Raises DatasetError unless TFDS knows the data set and it is one of images and labels."""
    from hemline.sources import find_builder

    _image_classification(find_builder(config))


def check_sizes(ref: DatasetRef, validation: int | Literal["test"], batch_size: int) -> None:
    """Raises ConfigurationError if there are too few examples to train on."""
    examples = _split(ref, "train").examples
    if validation != "test":
        if validation >= examples:
            raise ConfigurationError(
                f"validation must be < the train split. Received: validation={validation} of {examples} "
                "examples. Hold out fewer examples."
            )
        examples -= validation
    if batch_size > examples:
        raise ConfigurationError(
            f"batch_size must be <= the examples to train on. Received: batch_size={batch_size} for "
            f"{examples} examples. Make the batch smaller."
        )
    _split(ref, "test")


def _split(ref: DatasetRef, name: str) -> Split:
    if name not in ref.splits:
        raise DatasetError(
            f"the data set must have the split {name!r}. Received: {ref.full_name} with "
            f"{', '.join(ref.splits)}. Choose another data set."
        )
    return ref.splits[name]


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One preparation at a time: runs that start together on a new machine share the first one's work."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _require_known(ref: DatasetRef, prepared: Path | None = None) -> None:
    known = KNOWN_FINGERPRINTS.get(ref.full_name, ref.fingerprint)
    if ref.fingerprint != known:
        source = prepared or ref.path
        raise DatasetError(
            f"{ref.full_name} must have the fingerprint {known}. Received: {ref.fingerprint} from {source}. "
            f"It was changed: delete {source} and run again."
        )


def _directory(config: DataConfig) -> Path:
    return config.data_path / "decoded" / config.dataset.replace(":", "-").replace("/", "-")


def _decode(config: DataConfig) -> DatasetRef:
    # TFDS and TensorFlow take seconds to import, and are not needed while the arrays are whole.
    import tensorflow as tf
    import tensorflow_datasets as tfds

    from hemline.sources import find_builder, prepare_files, unreadable

    builder = find_builder(config)
    shape, class_names = _image_classification(builder)
    prepare_files(builder, config)
    directory = _directory(config)
    splits = {}
    with whole_directory(directory, replace=True) as temporary:
        for name in ("train", "test"):
            if builder.info.splits and name not in builder.info.splits:
                continue
            try:
                batches = tfds.as_numpy(builder.as_dataset(split=name, batch_size=1000, shuffle_files=False))
                splits[name] = write_split(temporary, name, ((batch["image"], batch["label"]) for batch in batches))
            except (tf.errors.OpError, KeyError, RuntimeError) as error:
                raise unreadable(builder.data_path, error) from error
        ref = DatasetRef(
            full_name=builder.info.full_name,
            path=directory,
            image_shape=shape,
            class_names=class_names,
            splits=splits,
        )
        _require_known(ref, prepared=builder.data_path)
        write_json(temporary / "dataset.json", ref.record())
    return ref


def _image_classification(builder: "tfds.core.DatasetBuilder") -> tuple[tuple[int, int, int], list[str]]:
    """Image shape and class names. Raises DatasetError if the data set is of another kind."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    named = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    image, label = named.get("image"), named.get("label")
    if not isinstance(label, tfds.features.ClassLabel) or not isinstance(image, tfds.features.Image):
        raise DatasetError(
            "the data set must have the features 'image' and 'label' (a ClassLabel). "
            f"Received: {builder.info.full_name} with {features}. Choose an image-classification data set."
        )
    if None in image.shape or image.dtype != np.uint8:
        raise DatasetError(
            "images must be uint8 and all of one size. "
            f"Received: {builder.info.full_name} with shape {image.shape}, {image.dtype}. Choose another data set."
        )
    return image.shape, list(label.names)
