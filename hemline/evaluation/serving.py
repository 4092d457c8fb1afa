"""The model as a server loads it: a SavedModel that needs TensorFlow alone, and how fast it answers.

    export(model, class_names, path)
    latency = measure(path, images)         # median milliseconds through the signature, once loaded

serving_default: image (N, H, W, C) uint8 -> label (N,) int64, name (N,) string, probabilities (N, classes) float32.
"""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import keras
import numpy as np
import tensorflow as tf

from hemline.records.evaluation import Latency

BATCH = 100  # examples in a batch prediction
REPEATS = 50
WARM_UP = 5  # calls that do not count: the first one builds its plan


def export(model: keras.Model, class_names: list[str], path: Path) -> None:
    """Writes the SavedModel."""
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


def measure(path: Path, images: np.ndarray, clock: Callable[[], float] = time.perf_counter) -> Latency:
    """Times from images (N, H, W, C) uint8 in memory to names in memory, which is what a server's client waits for."""
    loaded = tf.saved_model.load(path)  # kept: its signatures do not keep it alive
    serve = loaded.signatures["serving_default"]

    def milliseconds(batch: np.ndarray) -> float:
        times = []
        for _ in range(WARM_UP + REPEATS):
            began = clock()
            serve(image=tf.constant(batch))["name"].numpy()
            times.append(1000 * (clock() - began))
        return round(median(times[WARM_UP:]), 3)

    batch = np.resize(images, (BATCH, *images.shape[1:]))  # repeats a split that is smaller
    return Latency(single_ms=milliseconds(images[:1]), batch_ms=milliseconds(batch), batch_size=BATCH, repeats=REPEATS)
