"""A trained model on disk: how good it is, and how fast it answers as a server loads it.

    evaluation = evaluate_saved(trained)
    export(model, class_names, path)        # a SavedModel that needs TensorFlow alone
    latency = measure(path, images)         # median milliseconds through its signature

serving_default: image (N, H, W, C) uint8 -> label (N,) int64, name (N,) string, probabilities (N, classes) float32.
"""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median, stdev

import keras
import numpy as np
import tensorflow as tf

from hemline.data.dataset import load_split
from hemline.evaluation.scores import Score, compile_predict, evaluate
from hemline.models import load
from hemline.records.run import Evaluation, Latency, Seeds, Serving, TrainedRun
from hemline.report.tiles import mistakes_grid
from hemline.storage.files import size_of, whole_directory, whole_file, write_json

BATCH = 100  # examples in a batch prediction
REPEATS = 50
WARM_UP = 5  # calls that do not count: the first one builds its plan


def evaluate_saved(trained: TrainedRun) -> Evaluation:
    """Writes saved_model/, evaluation.json, confusion.csv, mistakes.svg; serving.json, whose times do not repeat."""
    images, labels = load_split(trained.dataset, "test")
    class_names = trained.dataset.class_names
    served = trained.directory / "saved_model"
    with tf.device(trained.device.name):
        model = load(trained.model_path)
        quality, table = evaluate(compile_predict(model), images, labels, class_names)
        if trained.seeds:
            quality.seeds = _seeds(trained, images, labels)
        with whole_directory(served, replace=True) as path:
            export(model, class_names, path)
        latency = measure(served, images)
    serving = Serving(latency=latency, size_bytes=size_of(trained.model_path) + size_of(served))
    with whole_file(trained.directory / "confusion.csv") as path:
        table.to_csv(path)
    with whole_file(trained.directory / "mistakes.svg") as path:
        path.write_text(mistakes_grid(images, quality.mistakes))
    write_json(trained.directory / "evaluation.json", quality.model_dump(mode="json"))
    write_json(trained.directory / "serving.json", serving.model_dump(mode="json"))
    return Evaluation(**dict(quality), **dict(serving))


def _seeds(trained: TrainedRun, images: np.ndarray, labels: np.ndarray) -> Seeds:
    """Of a run with several."""
    accuracy = {
        seed: Score.of(compile_predict(load(path))(images), labels).accuracy
        for seed, path in trained.model_paths.items()
    }
    values = list(accuracy.values())
    return Seeds(
        val_accuracy=trained.seeds,
        test_accuracy=accuracy,
        mean=mean(values),
        standard_deviation=stdev(values),
    )


def export(model: keras.Model, class_names: list[str], path: Path) -> None:
    """Writes the SavedModel."""
    names = tf.constant(class_names)

    @tf.autograph.experimental.do_not_convert
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
