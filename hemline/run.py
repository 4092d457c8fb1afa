"""One training run, from arrays to a saved model in its own directory.

    trained = train(config, dataset, device, directory, say=print)
    evaluation = evaluate_saved(dataset, device, trained)

The directory's files are described in artifacts/README.md. All of them appear whole; tables are
rewritten after every epoch, so a run that stops early leaves every epoch it finished.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path

import keras
import pandas as pd
import tensorflow as tf

from hemline.config import RetrainConfig
from hemline.dataset import DatasetRef, load_split, load_training
from hemline.devices import DeviceInfo
from hemline.evaluation import Score, compile_predict, evaluate
from hemline.files import whole_file, write_json
from hemline.metrics import History
from hemline.models import build_mlp
from hemline.optimizer_groups import Group, averaged, partition
from hemline.progress import Display
from hemline.record import Evaluation, Row, Rows, TrainedRun
from hemline.training import Trainer


def check_groups(config: RetrainConfig) -> None:
    """Raises ConfigurationError unless the groups cover the model. Needs no data."""
    _partition(config, build_mlp((28, 28, 1), 10, config.seed), examples=config.batch_size)


def _partition(config: RetrainConfig, model: keras.Model, examples: int) -> list[Group]:
    return partition(
        model,
        config.groups.by_name(),
        config.frozen,
        steps_per_epoch=math.ceil(examples / config.batch_size),
        epochs=config.epochs,
        ema_momentum=config.ema_momentum,
    )


def train(
    config: RetrainConfig,
    dataset: DatasetRef,
    device: DeviceInfo,
    directory: Path,
    say: Callable[[str], None],
    on_epoch: Callable[[Rows], None] = lambda rows: None,
) -> TrainedRun:
    """Trains from scratch and saves the model.

    say: receives the lines a person reads. on_epoch: receives the table so far after every epoch.
    """
    (images, labels), (validation_images, validation_labels) = load_training(dataset, config.validation)
    with tf.device(device.name):
        model = build_mlp(dataset.image_shape, len(dataset.class_names), config.seed)
        groups = _partition(config, model, len(images))
        trainer = Trainer(model, groups, images, labels, batch_size=config.batch_size, seed=config.seed)
        predict = compile_predict(model)
        history, timing = History(directory), []

        with Display(config.epochs, trainer.steps, say) as display:
            for epoch in range(1, config.epochs + 1):
                began = time.perf_counter()
                for chunk in trainer.epoch(epoch):
                    history.add_chunk(chunk)
                    display.advance(history.running())
                trained = time.perf_counter()
                with averaged(groups):
                    row = history.end_epoch(Score.of(predict(validation_images), validation_labels))
                timing.append(_timing(epoch, began, trained, time.perf_counter(), trainer.examples))
                display.end_epoch(row)
                on_epoch(history.epochs)

    with whole_file(directory / "timing.csv") as path:
        pd.DataFrame(timing).to_csv(path, index=False)
    with averaged(groups), whole_file(directory / "model.keras") as path:
        model.save(path)
    return TrainedRun(directory=directory, epochs=history.epochs)


def evaluate_saved(dataset: DatasetRef, device: DeviceInfo, trained: TrainedRun) -> Evaluation:
    """Evaluates the model from disk, as a user's will come, and writes evaluation.json and confusion.csv."""
    images, labels = load_split(dataset, "test")
    with tf.device(device.name):
        model = keras.saving.load_model(trained.model_path)
        evaluation, table = evaluate(compile_predict(model), images, labels, dataset.class_names)
    write_json(trained.directory / "evaluation.json", evaluation.model_dump(mode="json"))
    with whole_file(trained.directory / "confusion.csv") as path:
        table.to_csv(path)
    return evaluation


def _timing(epoch: int, began: float, trained: float, ended: float, examples: int) -> Row:
    return {
        "epoch": epoch,
        "train_seconds": round(trained - began, 4),
        "validation_seconds": round(ended - trained, 4),
        "examples_per_second": round(examples / (trained - began)),
    }
