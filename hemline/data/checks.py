"""TODO data.checks."""

from typing import TYPE_CHECKING, Literal

import numpy as np

from hemline.config.data import DataConfig
from hemline.data.dataset import DatasetRef, _split
from hemline.errors import ConfigurationError, DatasetError

if TYPE_CHECKING:
    import tensorflow_datasets as tfds


def check_known(config: DataConfig) -> None:
    """Raises DatasetError unless TFDS knows the data set and it is one of images and labels."""
    from hemline.data.sources import find_builder

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
