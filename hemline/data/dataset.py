"""The examples of a run: decoded once, verified by fingerprint, kept uint8.

    ref = prepare(DataConfig())                 # seconds the first time, then milliseconds
    images, labels = load_split(ref, "train")   # (N, H, W, C) uint8, (N,) int32
    (images, labels), validation = load_training(ref, validation=5000, mapped=too_large(ref))

TFDS decodes PNGs at 5 s an epoch; here they are decoded once, into raw arrays beside the prepared data. Images
that do not fit in memory are mapped from there (np.memmap); decoding never holds more than a batch.
The fingerprint covers pixels, labels and their order, and is checked whenever arrays are loaded: a run never
trains on anything else than what its record names. Mapped files are checked before they are read, not while.
"""

import hashlib
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import psutil
from pydantic import BaseModel

from hemline.errors import DatasetError
from hemline.storage.files import sha256_of

if TYPE_CHECKING:
    pass


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


def _split(ref: DatasetRef, name: str) -> Split:
    if name not in ref.splits:
        raise DatasetError(
            f"the data set must have the split {name!r}. Received: {ref.full_name} with "
            f"{', '.join(ref.splits)}. Choose another data set."
        )
    return ref.splits[name]
