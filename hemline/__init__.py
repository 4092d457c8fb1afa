"""What each step of the pipeline computes: TensorFlow, Keras and pandas, and no Prefect.

    import hemline
    model, manifest = hemline.load("artifacts/models/fashion_mnist/8")
    manifest.class_names[model(images)[0].numpy().argmax()]     # images: (N, H, W, C) uint8

A published version loads wherever this package (or, for its SavedModel, TensorFlow alone) is installed.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

    from hemline.registry.versions import Manifest

# Before Keras is imported. A KERAS_BACKEND left over from other work would fail much later and less clearly.
os.environ["KERAS_BACKEND"] = "tensorflow"


def load(path: str | Path) -> "tuple[keras.Model, Manifest]":
    """The model and the manifest of a published version; every file of it is verified first."""
    from hemline.registry import versions

    return versions.load(Path(path))
