"""The evaluation of a trained model from disk: evaluate_saved(dataset, device, trained)."""

import keras
import tensorflow as tf

from hemline.data.dataset import DatasetRef, load_split
from hemline.evaluation.scores import compile_predict, evaluate
from hemline.evaluation.serving import export, measure
from hemline.records.evaluation import Evaluation, Serving
from hemline.records.run import TrainedRun
from hemline.report.charts import mistakes_grid
from hemline.runtime.devices import DeviceInfo
from hemline.storage.files import size_of, whole_directory, whole_file, write_json


def evaluate_saved(dataset: DatasetRef, device: DeviceInfo, trained: TrainedRun) -> Evaluation:
    """Evaluates the saved model, makes the SavedModel for servers, and measures that.

    Writes saved_model/, evaluation.json, confusion.csv, mistakes.svg, and serving.json, whose times do not repeat.
    """
    images, labels = load_split(dataset, "test")
    served = trained.directory / "saved_model"
    with tf.device(device.name):
        model = keras.saving.load_model(trained.model_path)
        quality, table = evaluate(compile_predict(model), images, labels, dataset.class_names)
        with whole_directory(served, replace=True) as path:
            export(model, dataset.class_names, path)
        latency = measure(served, images)
    serving = Serving(latency=latency, size_bytes=size_of(trained.model_path) + size_of(served))
    with whole_file(trained.directory / "confusion.csv") as path:
        table.to_csv(path)
    with whole_file(trained.directory / "mistakes.svg") as path:
        path.write_text(mistakes_grid(images, quality.mistakes))
    write_json(trained.directory / "evaluation.json", quality.model_dump(mode="json"))
    write_json(trained.directory / "serving.json", serving.model_dump(mode="json"))
    return Evaluation(**dict(quality), **dict(serving))
