"""What can be refused about data: before it is fetched, and before it is trained on.

    builder, image_shape, class_names = check_known(config)     # TFDS knows it, and it is images with labels
    check_sizes(ref, validation=5000, batch_size=128)           # there are enough examples

The first raises DatasetError, the second ConfigurationError.
"""

from typing import TYPE_CHECKING, Literal

import numpy as np

from hemline.config.data import DataConfig
from hemline.data.dataset import DatasetRef
from hemline.errors import ConfigurationError, DatasetError

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

ImageShape = tuple[int, int, int]  # (H, W, C)


def check_known(config: DataConfig) -> "tuple[tfds.core.DatasetBuilder, ImageShape, list[str]]":
    """TFDS's builder for the data set, image shape and class names."""
    import tensorflow_datasets as tfds

    from hemline.data.sources import find_builder

    builder = find_builder(config)
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
    return builder, image.shape, list(label.names)


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
