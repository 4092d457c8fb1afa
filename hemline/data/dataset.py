"""The examples of a run: arrays on disk, verified by fingerprint, kept uint8.

    ref = for_run(prepare(DataConfig()), config.streaming)
    images, labels = load_split(ref, "train")   # (N, H, W, C) uint8, (N,) int32

Images that do not fit in memory are mapped from disk (np.memmap), which is decided once for a run. The fingerprint
covers pixels, labels and their order, and is verified whenever arrays are loaded: a run never trains on anything but
what its record names. Mapped files are verified before they are read, not while. Arrays are a snapshot: when their
source changes, new ones take their place, and the old ones are set aside for whoever refers to them.
"""

import hashlib
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
from pydantic import BaseModel

from hemline.errors import ConfigurationError, DatasetError
from hemline.storage.files import sha256_of

RECORD = "dataset.json"  # beside the arrays, and in the directory of each run that they are for
LOCK = ".hemline.lock"  # beside decoded/: runs that start together on a new machine share the first one's work
AGAIN = "Run again: the arrays are decoded anew from the prepared data."
Arrays = tuple[np.ndarray, np.ndarray]  # images (N, H, W, C) uint8 and labels (N,) int32


class Split(BaseModel):
    """One split's arrays: how many examples, and the SHA-256 of its images' and its labels' file."""

    examples: int
    images: str
    labels: str


class DatasetRef(BaseModel):
    """What steps tell each other about the data: where it is, what it must be, and how to load it."""

    full_name: str
    path: Path
    image_shape: tuple[int, int, int]
    class_names: list[str]
    splits: dict[str, Split]
    streaming: bool = False  # images are mapped from disk and read as they are used
    left_out: int = 0  # files of a folder that are no usable pictures
    listing: str | None = None  # SHA-256 of the list of a folder's files; None for a data set of TFDS

    @property
    def fingerprint(self) -> str:
        """SHA-256 over every array of every split, in order, and the label set."""
        identity = self.model_dump(mode="json", exclude={"path", "streaming", "left_out", "listing"})
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    @property
    def aside(self) -> Path:
        """Where the arrays are once newer ones have taken their place, as long as a version refers to them."""
        return self.path.with_name(f"{self.path.name}@{self.fingerprint[:16]}")

    def split(self, name: str) -> Split:
        """Raises DatasetError if there is no such split."""
        if name not in self.splits:
            raise DatasetError(
                f"the data set must have the split {name!r}. Received: {self.full_name} with {', '.join(self.splits)}. "
                "Choose another data set."
            )
        return self.splits[name]

    def record(self) -> dict[str, Any]:
        """What dataset.json holds: the data, and not how a run loads it."""
        return self.model_dump(mode="json", exclude={"streaming"}) | {"fingerprint": self.fingerprint}


def check_sizes(ref: DatasetRef, validation: int | Literal["test"], batch_size: int) -> None:
    """Refuses too few examples to train on."""
    examples = ref.split("train").examples
    if validation != "test":
        if validation >= examples:
            raise ConfigurationError(
                f"validation must be < the train split. Received: validation={validation} of {examples} examples. "
                "Hold out fewer."
            )
        examples -= validation
    if batch_size > examples:
        raise ConfigurationError(
            f"batch_size must be <= the examples to train on. Received: batch_size={batch_size} for "
            f"{examples} examples. Make the batch smaller."
        )
    ref.split("test")  # raises DatasetError if there is none


def for_run(ref: DatasetRef, streaming: bool | None) -> DatasetRef:
    """The same data, with the decision how this run loads it; None decides by the free memory."""
    size = sum(split.examples for split in ref.splits.values()) * math.prod(ref.image_shape)
    too_large = size > psutil.virtual_memory().available / 4  # TensorFlow makes a copy
    return ref.model_copy(update={"streaming": too_large if streaming is None else streaming})


def load_split(ref: DatasetRef, name: str) -> Arrays:
    """Images, an np.memmap if the run streams, and labels. Raises DatasetError if they changed on disk."""
    try:
        return _load(ref, name)
    except DatasetError:  # newer data may have come at any moment
        if not ref.aside.is_dir():
            raise
        return _load(ref.model_copy(update={"path": ref.aside}), name)


def require_whole(ref: DatasetRef) -> Path:
    """The directory of its files, which are read for their digests alone. Raises DatasetError if one was changed."""
    for path in (ref.path, ref.aside):
        try:
            for name in ref.splits:
                _load(ref.model_copy(update={"path": path, "streaming": True}), name)
            break
        except DatasetError:
            if path == ref.aside or not ref.aside.is_dir():
                raise
    return path


def _load(ref: DatasetRef, name: str) -> Arrays:
    split = ref.split(name)
    path = ref.path / f"{name}-images.u8"
    try:
        if ref.streaming:
            _require_digest(path, sha256_of(path), split.images)
            images: np.ndarray = np.memmap(path, np.uint8, "r")
        else:
            images = np.frombuffer(_verified(path, split.images), np.uint8)
        labels = np.frombuffer(_verified(ref.path / f"{name}-labels.i4", split.labels), "<i4")
    except OSError as error:
        raise DatasetError(f"{error.filename} must be readable. Received: {error.strerror}. {AGAIN}") from error
    shape = (split.examples, *ref.image_shape)
    if (images.size, labels.size) != (math.prod(shape), split.examples):
        raise DatasetError(f"arrays must have the sizes of their record. Received: {ref.path} of another. {AGAIN}")
    return images.reshape(shape), labels


def _verified(path: Path, expected: str) -> bytes:
    content = path.read_bytes()
    _require_digest(path, hashlib.sha256(content).hexdigest(), expected)
    return content


def _require_digest(path: Path, received: str, expected: str) -> None:
    if received != expected:
        raise DatasetError(f"{path} must have the SHA-256 {expected}. Received: {received}. {AGAIN}")


def load_training(ref: DatasetRef, validation: int | Literal["test"]) -> tuple[Arrays, Arrays]:
    """The arrays to train on, and those to validate on: `validation` examples from the train split's end, or 'test'."""
    images, labels = load_split(ref, "train")
    if validation == "test":
        return (images, labels), load_split(ref, "test")
    return (images[:-validation], labels[:-validation]), (images[-validation:], labels[-validation:])


def hashes(images: np.ndarray) -> np.ndarray:
    """(N,) uint64 of images (N, H, W, C) uint8: equal for equal pixels; 3 s for a million of 28 x 28, 2 cores."""
    digests = (hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in images)
    return np.frombuffer(b"".join(digests), "<u8")


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
