"""The examples of a TFDS data set, by its name or of a builder of one's own.

examples = TfdsExamples(DataConfig(dataset="mnist"))        # refuses what has no images with labels
examples.prepare()                                          # fetches the files: hemline.data.sources
for images, labels in examples.batches("train"): ...
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from hemline.config.data import DataConfig
from hemline.data.dataset import Arrays, DatasetRef
from hemline.data.pictures import pixels
from hemline.data.sources import check_known, prepare_files, read_files, unreadable
from hemline.data.splitting import in_test, require_every_class
from hemline.errors import DatasetError

READ_ONCE = "fashion_mnist"  # everybody's first data set, and one whose fingerprint is known


class TfdsExamples:
    """Raises DatasetError if the data set is unknown or unsuitable."""

    def __init__(self, config: DataConfig):
        self.config = config
        self.builder, self.image_shape, self.class_names = check_known(config)
        self.full_name = self.builder.info.full_name
        self._read: dict[str, Arrays] | None = None
        self._check_splits()

    def prepare(self) -> None:
        """Fetches the files, unless they are there."""
        if self.builder.name == READ_ONCE and not self.builder.is_prepared():
            self._read = read_files(self.builder, self.config)
            return
        prepare_files(self.builder, self.config)
        self._check_splits()  # some are not known before

    def batches(self, split: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Images (B, H, W, C) uint8 and labels (B,) of a split."""
        share, counts = self.config.test_share, np.zeros(len(self.class_names), int)
        for images, labels in self._stored("train" if share else split):
            if share:
                digests = (hashlib.sha256(image.tobytes()).digest() for image in images)
                chosen = [in_test(digest, self.config.split_seed, share) == (split == "test") for digest in digests]
                images, labels = images[chosen], labels[chosen]
                counts += np.bincount(labels, minlength=len(counts))
            yield converted(images, self.config, self.image_shape), labels
        if share:
            require_every_class(self.full_name, {split: list(counts)}, self.class_names)

    def leave(self, directory: Path) -> dict[str, Any]:
        """Nothing: TFDS vouches for its files."""
        return {}

    def were(self, ref: DatasetRef) -> bool:
        """Whether the arrays are of this version."""
        return ref.full_name == self.full_name

    def _stored(self, split: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """What TFDS has, a batch at a time; a batch of one where images may differ in size."""
        if self._read:
            yield self._read[split]
            return
        import tensorflow as tf  # TFDS too imports it where it reads, and not before

        size = 1 if self.config.image_size else 1000
        try:
            stored = self.builder.as_dataset(split=split, batch_size=size, shuffle_files=False)
            for batch in tfds.as_numpy(stored):
                yield batch[self.config.image_key], batch[self.config.label_key]
        except (tf.errors.OpError, KeyError, RuntimeError) as error:
            raise unreadable(self.builder.data_path, error) from error

    def _check_splits(self) -> None:
        """Of a data set whose splits are known."""
        found, share = list(self.builder.info.splits), self.config.test_share
        if not found:
            return
        needed = ["train"] if share else ["train", "test"]
        if missing := [name for name in needed if name not in found]:
            raise DatasetError(
                f"the data set must have the split {missing[0]!r}. Received: {self.full_name} with "
                f"{', '.join(found)}. Choose another data set"
                f"{', or set test_share, e.g. 0.2' if missing == ['test'] else ''}."
            )
        if share and "test" in found:
            raise DatasetError(
                "test_share must be for data without a test split. Received: "
                f"test_share={share:g} with {self.full_name}, which has one. Leave test_share out."
            )


def converted(images: np.ndarray, config: DataConfig, shape: tuple[int, int, int]) -> np.ndarray:
    """Images (B, H, W, C) as the configuration asks for them, (B, *shape): by the function that prepares files."""
    if not config.converts:
        return images
    grey = images.shape[-1] == 1
    pictures = (Image.fromarray(image[..., 0] if grey else image) for image in images)
    made = [pixels(picture, shape[-1], config.image_size) for picture in pictures]
    return np.array(made, np.uint8).reshape(len(made), *shape)
