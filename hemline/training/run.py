"""One training run, from arrays to a saved model in its own directory.

    trained = train(config, dataset, device, directory, say=print)
    evaluation = evaluate_saved(dataset, device, trained)

The directory's files are described in artifacts/README.md. All of them appear whole, after every epoch.
Called again on the same directory, `train` goes on where it was: a killed run ends with the same bits as
one that was left alone.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef, load_training
from hemline.errors import DivergenceError
from hemline.evaluation.scores import Score, compile_predict
from hemline.models import build
from hemline.records.run import Row, Rows, TrainedRun
from hemline.runtime.devices import DeviceInfo, scope
from hemline.runtime.provenance import package_versions
from hemline.storage.files import whole_file
from hemline.training.checkpoints import Checkpoints, State
from hemline.training.groups import Group, averaged, partition
from hemline.training.history import History
from hemline.training.loop import Chunk, Trainer
from hemline.training.loss_scale import LossScale
from hemline.training.progress import Display


def check_groups(config: RetrainConfig, image_shape: tuple[int, int, int], classes: int) -> None:
    """Raises ConfigurationError unless the groups cover the model. Needs no data."""
    model = build(config.model, image_shape, classes, config.seed, config.precision)
    _partition(config, model, examples=config.batch_size)


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
    """Trains and saves the model.

    1. If the directory has a whole checkpoint, goes on from the newest, bit for bit; 2. otherwise starts
    from scratch. say: receives the lines a person reads. on_epoch: receives the table so far after every
    epoch.
    """
    (images, labels), (validation_images, validation_labels) = load_training(dataset, config.validation)
    with scope(device):
        model = build(config.model, dataset.image_shape, len(dataset.class_names), config.seed, config.precision)
        groups = _partition(config, model, len(images))
        loss_scale = LossScale() if config.precision == "mixed_float16" else None
        trainer = Trainer(
            model, groups, images, labels, batch_size=config.batch_size, seed=config.seed, loss_scale=loss_scale
        )
        predict = compile_predict(model)
        checkpoints = Checkpoints(
            directory / "checkpoints",
            model,
            groups,
            loss_scale=loss_scale,
            identity={"config": config.what_is_computed(), "fingerprint": dataset.fingerprint},
            settings=device.settings | {"device": device.description} | package_versions(),
            keep=config.keep_checkpoints,
        )
        state, history = _start(checkpoints, trainer, directory, say)

        with Display(config.epochs, trainer.steps, say) as display, _tables_kept(history):
            for epoch in range(state.epoch, config.epochs + 1):
                if stops_early(history.epochs, config.early_stopping):
                    break
                began = time.perf_counter()
                first_step = state.step if epoch == state.epoch else 0
                for chunk in trainer.epoch(epoch, first_step, stop_every=config.checkpoint_steps):
                    history.add_chunk(chunk)
                    display.advance(history.running())
                    step = chunk.first_step + len(chunk.losses)
                    if config.checkpoint_steps and step % config.checkpoint_steps == 0 and step < trainer.steps:
                        checkpoints.save(history.state(epoch, step))
                trained = time.perf_counter()
                with averaged(groups):
                    score = _finite(Score.of(predict(validation_images), validation_labels), epoch)
                    timing = _timing(began, trained, time.perf_counter(), trainer.steps - first_step, config.batch_size)
                    row = history.end_epoch(score, timing)
                    if config.early_stopping and best_epoch(history.epochs) == epoch:
                        checkpoints.save_best(epoch)
                checkpoints.save(history.state(epoch + 1, 0))
                display.end_epoch(row)
                on_epoch(history.epochs)

        with averaged(groups):
            if config.early_stopping and (best := best_epoch(history.epochs)) != len(history.epochs):
                say(f"restored the weights of epoch {best}, the best")
                checkpoints.restore_best(best)
            with whole_file(directory / "model.keras") as path:
                model.save(path)
    return TrainedRun(directory=directory, epochs=history.epochs)


def best_epoch(epochs: Rows) -> int:
    """The first epoch with the lowest validation loss."""
    return int(min(epochs, key=lambda row: row["val_loss"])["epoch"])


def stops_early(epochs: Rows, patience: int | None) -> bool:
    """Whether `patience` epochs have gone by without a lower validation loss."""
    return patience is not None and len(epochs) > patience and len(epochs) - best_epoch(epochs) >= patience


def _start(
    checkpoints: Checkpoints, trainer: Trainer, directory: Path, say: Callable[[str], None]
) -> tuple[State, History]:
    """Where to go on, and the tables up to there."""
    state = checkpoints.restore()
    if state is None:
        return State(epoch=1, step=0), History(directory)
    say(f"resumed at epoch {state.epoch}, iteration {state.step + 1}, from {checkpoints.directory}")
    history = History(directory, state.epochs, state.timing)
    if state.step:
        losses, correct = np.array(state.losses, np.float32), np.array(state.correct, np.int32)
        history.add_chunk(Chunk(state.epoch, 0, losses, correct, trainer.batch_sizes[: state.step]))
    return state, history


def _finite(score: Score, epoch: int) -> Score:
    """Losses are from before their updates, so the last update of an epoch shows only here."""
    if not math.isfinite(score.loss):
        raise DivergenceError(
            f"the validation loss must stay finite. Received: loss={score.loss} after epoch {epoch}. "
            "Lower the learning rates."
        )
    return score


@contextmanager
def _tables_kept(history: History) -> Iterator[None]:
    """When training diverges, the iterations that led there are what a person wants to see."""
    try:
        yield
    except DivergenceError:
        if len(history.unfinished()[0]):
            history.write_iterations()
        raise


def _timing(began: float, trained: float, ended: float, steps: int, batch_size: int) -> Row:
    return {
        "train_seconds": round(trained - began, 4),
        "validation_seconds": round(ended - trained, 4),
        "examples_per_second": round(steps * batch_size / (trained - began)),
    }
