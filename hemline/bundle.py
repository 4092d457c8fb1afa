"""A model version: a directory that holds a model and everything needed to judge and trust it.

    version = publish(artifacts / "models", record, run_directory)
    model, manifest = load(version.path)    # BundleError names the file that is not as written

A version appears whole or not at all, under the next free number (0001, 0002, ...). Its manifest has
the SHA-256 of every other file.
"""

import shutil
from contextlib import suppress
from pathlib import Path

import keras
import pandas as pd
import tensorflow as tf

import hemline.layer_norm  # noqa: F401  registers the layer's class, which loading needs
from hemline.charts import learning_curves, parity_map
from hemline.errors import BundleError
from hemline.files import Taken, sha256_of, whole_directory, write_json
from hemline.record import ModelVersion, Record
from hemline.report import markdown


class Manifest(Record):
    """The record, and the SHA-256 of every file beside the manifest."""

    version: str
    files: dict[str, str]


def next_version(models: Path) -> str:
    """The number after the highest one there is."""
    taken = [int(path.name) for path in models.glob("[0-9]*") if path.name.isdigit()]
    return f"{max(taken, default=0) + 1:04d}"


def export(model: keras.Model, class_names: list[str], path: Path) -> None:
    """A SavedModel that TensorFlow alone can load and serve.

    serving_default: image (N, H, W, C) uint8 -> label (N,) int64, name (N,) string,
    probabilities (N, classes) float32.
    """
    names = tf.constant(class_names)

    def predict(image: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = tf.nn.softmax(model(image, training=False))
        label = tf.argmax(probabilities, axis=-1)
        return {"label": label, "name": tf.gather(names, label), "probabilities": probabilities}

    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8, name="image")
    archive.add_endpoint("serving_default", predict, input_signature=[signature])
    archive.write_out(path, verbose=False)


FROM_RUN = (
    "model.keras",
    "iterations.parquet",  # a directory
    "epochs.csv",
    "epochs.parquet",
    "parity.csv",
    "evaluation.json",
    "confusion.csv",
)


def publish(models: Path, record: Record, run: Path) -> ModelVersion:
    """Makes the next version from a finished run's directory. Atomic; safe beside other publishers."""
    model = keras.saving.load_model(run / "model.keras")
    while True:
        version = next_version(models)
        with suppress(Taken), whole_directory(models / version) as directory:
            for name in FROM_RUN:
                copy = shutil.copytree if (run / name).is_dir() else shutil.copyfile
                copy(run / name, directory / name)
            export(model, record.dataset.class_names, directory / "saved_model")
            (directory / "charts").mkdir()
            (directory / "charts" / "learning_curves.svg").write_text(learning_curves(pd.DataFrame(record.epochs)))
            (directory / "charts" / "parity.svg").write_text(parity_map(pd.read_csv(directory / "parity.csv")))
            pictures = {"picture": "charts/learning_curves.svg", "parity": "charts/parity.svg"}
            card = markdown(record, title=f"Model {version}", **pictures)
            (directory / "MODEL_CARD.md").write_text(card)
            seal(directory, record, version)
            return ModelVersion(
                version=version,
                path=models / version,
                run=run,
                val_accuracy=record.epochs[-1]["val_accuracy"],
                test_accuracy=record.evaluation.accuracy,
            )


def seal(directory: Path, record: Record, version: str) -> Manifest:
    """Writes the manifest of a directory whose other files are all there."""
    files = {str(path.relative_to(directory)): sha256_of(path) for path in _files(directory)}
    manifest = Manifest(**dict(record), version=version, files=files)
    write_json(directory / "manifest.json", manifest.model_dump(mode="json"))
    return manifest


def verify(path: Path) -> Manifest:
    """The manifest, if every file is as it was written and there is no other."""
    try:
        manifest = Manifest.model_validate_json((path / "manifest.json").read_text())
    except (OSError, ValueError) as error:
        raise BundleError(f"a model version must have a readable manifest.json. Received: {path} ({error}).") from error
    found = {str(file.relative_to(path)) for file in _files(path)} - {"manifest.json"}
    problems = [f"{name} is missing" for name in sorted(set(manifest.files) - found)]
    problems += [f"{name} is not in the manifest" for name in sorted(found - set(manifest.files))]
    problems += [
        f"{name} was changed"
        for name, expected in manifest.files.items()
        if name in found and sha256_of(path / name) != expected
    ]
    if problems:
        raise BundleError(
            f"every file of a model version must match its manifest. Received: {path}: {'; '.join(problems)}. "
            "Do not use it; take another version."
        )
    return manifest


def load(path: Path) -> tuple[keras.Model, Manifest]:
    """The verified model, loaded in safe mode, and its manifest."""
    manifest = verify(path)
    return keras.saving.load_model(path / "model.keras", safe_mode=True), manifest


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())
