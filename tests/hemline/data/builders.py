"""TFDS builders of one's own, as a person writes them. For tests, not a test."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

NOT_A_BUILDER = 3


class Sketches(tfds.core.GeneratorBasedBuilder):
    """Pictures of several sizes, under names of their own, and no test split."""

    VERSION = tfds.core.Version("1.2.0")

    def _info(self) -> tfds.core.DatasetInfo:
        kinds = tfds.features.ClassLabel(names=["dark", "bright"])
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"sketch": tfds.features.Image(shape=(None, None, 3)), "kind": kinds})
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        rng = np.random.default_rng(0)
        for number in range(60):
            kind = number % 2
            size = (*rng.integers(4, 12, 2), 3)
            yield number, {"sketch": (150 * kind + rng.integers(0, 100, size)).astype(np.uint8), "kind": kind}


class Unfinished(tfds.core.GeneratorBasedBuilder):
    """Without what a builder must have."""
