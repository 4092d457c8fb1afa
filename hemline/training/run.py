"""One training run, from arrays to a saved model in its own directory.

    trained = train(config, dataset, device, directory, say=print)

artifacts/README.md describes the directory's files; each of them appears whole, after every epoch.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from hemline.config.optimizers import OPTIMIZERS
from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef, load_training
from hemline.errors import ConfigurationError, DivergenceError
from hemline.evaluation.scores import Score, compile_predict
from hemline.models import build, module_of
from hemline.models.contract import require_contract
from hemline.records.run import Row, Rows, TrainedRun
from hemline.runtime.code import PACKAGE, digest_of
from hemline.runtime.devices import DeviceInfo, scope
from hemline.runtime.provenance import package_versions
from hemline.storage.attempts import resumed
from hemline.storage.files import whole_file
from hemline.training.checkpoints import Checkpoints, State
from hemline.training.groups import Group, averaged, partition
from hemline.training.history import History
from hemline.training.interruption import Interruption, deferred
from hemline.training.loop import Trainer
from hemline.training.loss_scale import LossScale
from hemline.training.progress import Display, Say


def check_model(
    config: RetrainConfig, device: DeviceInfo, image_shape: tuple[int, int, int], classes: int
) -> DeviceInfo:
    """The device as it computes this model. Raises ConfigurationError if it cannot be trained. Needs no data."""
    with tf.device(device.name):
        model = _build(config, image_shape, classes)
        require_contract(model, config.model, image_shape, classes, config.precision)
        _code_of(config)
        _groups(config, model, examples=config.batch_size)
        return device.computing(model)


def what_decides(
    config: RetrainConfig, dataset: DatasetRef, device: DeviceInfo
) -> tuple[dict[str, Any], dict[str, str]]:
    """What decides the weights: what a run is told and computes with; and where it runs. device: by `check_model`."""
    identity = {"config": config.what_is_computed(), "fingerprint": dataset.fingerprint, "code": _code_of(config)}
    return identity, device.settings | {"device": device.description} | package_versions()


def train(
    config: RetrainConfig,
    dataset: DatasetRef,
    device: DeviceInfo,
    directory: Path,
    say: Say,
    on_epoch: Callable[[Rows], None] = lambda rows: None,
) -> TrainedRun:
    """Trains and saves the model, from the directory's newest whole checkpoint on if it has one, to the same bits.

    on_epoch: receives, after each epoch, the rows of all so far.
    """
    with scope(device):
        run = _Run(config, dataset, device, directory, say)
        history = run.history
        with run.display, history.kept_on_divergence(), deferred() as run.interruption:
            for epoch in range(run.first.epoch, config.epochs + 1):
                if history.stops_early(config.early_stopping):
                    break
                run.display.end_epoch(run.epoch(epoch))
                on_epoch(history.epochs)
        run.save_model()
    return TrainedRun(directory=directory, epochs=history.epochs)


class _Run:
    """The parts of a run, and where it starts or goes on: `first` is its next step."""

    def __init__(self, config: RetrainConfig, dataset: DatasetRef, device: DeviceInfo, directory: Path, say: Say):
        (images, labels), self.validation = load_training(dataset, config.validation)
        self.config, self.directory, self.say = config, directory, say
        self.model = _build(config, dataset.image_shape, len(dataset.class_names))
        self.groups = _groups(config, self.model, examples=len(images))
        device = device.computing(self.model)
        scale = LossScale() if config.precision == "mixed_float16" else None
        self.trainer = Trainer(
            self.model,
            self.groups,
            images,
            labels,
            batch_size=config.batch_size,
            seed=config.fixed_seed,
            loss_scale=scale,
            xla=device.settings["xla"] == "on",
        )
        self.predict = compile_predict(self.model)
        decides = what_decides(config, dataset, device)
        self.checkpoints = Checkpoints(
            directory / "checkpoints", self.model, self.groups, *decides, config.keep_checkpoints, scale
        )
        restored = self.checkpoints.restore()
        if restored:
            say(resumed(f"epoch {restored.epoch}, iteration {restored.step + 1}"))
        self.first = restored or State(epoch=1, step=0)
        self.history = History(directory, self.first, self.trainer.batch_sizes)
        self.display = Display(config.epochs, self.trainer.steps, say)
        self.interruption = Interruption()

    def epoch(self, epoch: int) -> Row:
        """Trains an epoch or the rest of it, validates, saves, and returns the epoch's row."""
        first_step = self.first.step if epoch == self.first.epoch else 0
        began = time.perf_counter()
        self._train(epoch, first_step)
        trained = time.perf_counter()
        examples = (self.trainer.steps - first_step) * self.config.batch_size
        with averaged(self.groups):
            score = self._validate(epoch)
            timing: Row = {
                "train_seconds": round(trained - began, 4),
                "validation_seconds": round(time.perf_counter() - trained, 4),
                "examples_per_second": round(examples / (trained - began)),
            }
            row = self.history.end_epoch(score, timing)
            if self.config.early_stopping and self.history.best_epoch() == epoch:
                self.checkpoints.save_best(epoch)
        self.checkpoints.save(self.history.state(epoch + 1, 0))
        self.interruption.act()
        return row

    def save_model(self) -> None:
        """Writes model.keras: the last weights, or with early stopping the best ones."""
        with averaged(self.groups):
            best = self.history.best_epoch()
            if self.config.early_stopping and best != len(self.history.epochs):
                self.say(f"restored the weights of epoch {best}, the best")
                self.checkpoints.restore_best(best)
            with whole_file(self.directory / "model.keras") as path:
                self.model.save(path)

    def _train(self, epoch: int, first_step: int) -> None:
        every = self.config.checkpoint_steps
        for chunk in self.trainer.epoch(epoch, first_step, stop_every=every):
            self.history.add_chunk(chunk)
            self.display.advance(*self.history.running())
            step = chunk.first_step + len(chunk.losses)
            due = self.interruption.asked or (every and step % every == 0)
            if due and step < self.trainer.steps:  # the last step's is saved once the epoch is validated
                self.checkpoints.save(self.history.state(epoch, step))
                self.interruption.act()

    def _validate(self, epoch: int) -> Score:
        images, labels = self.validation
        score = Score.of(self.predict(images), labels)
        # A step's loss is from before its update, so what the last update of an epoch did shows only here.
        if not math.isfinite(score.loss):
            raise DivergenceError(
                f"the validation loss must stay finite. Received: loss={score.loss} after epoch {epoch}. "
                "Lower the learning rates."
            )
        return score


def _code_of(config: RetrainConfig) -> dict[str, Any]:
    """What of the code decides the weights: another than a checkpoint's must not go on with it."""
    # Only this model and the step, with what surrounds it in training/. The tables, the configuration and the texts of
    # refusals, which these import too, gain rows and words with every upgrade, and no bit of a run that goes on.
    builder, within = module_of(config.model), ["hemline.training.", "hemline.models."]
    if (package := builder.partition(".")[0]) != PACKAGE:  # one's own
        within.append(package)
    rows = {name: OPTIMIZERS[group.optimizer] for name, group in config.groups.by_name().items()}
    optimizers = {name: [row.keras_class, dict(row.always)] for name, row in rows.items()}
    ours = [module for row in rows.values() if (module := row.keras_class.partition(":")[0]).startswith(PACKAGE)]
    try:
        sha256 = digest_of("hemline.training.loop", builder, *ours, within=tuple(within))
    except (ImportError, SyntaxError) as error:
        raise ConfigurationError(
            "a model's function must be in a Python file, and what that imports of its own package must be Python, so "
            f"that a killed run knows whether it goes on with the same code. Received: model={config.model!r} "
            f"({error}). Write it in a .py file."
        ) from error
    return {"sha256": sha256, "optimizers": optimizers}


def _build(config: RetrainConfig, image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    return build(config.model, image_shape, classes, config.fixed_seed, config.precision, config.model_arguments)


def _groups(config: RetrainConfig, model: keras.Model, examples: int) -> list[Group]:
    """examples: in an epoch."""
    steps, groups, frozen = math.ceil(examples / config.batch_size), config.groups.by_name(), config.frozen
    return partition(
        model, groups, frozen, steps_per_epoch=steps, epochs=config.epochs, ema_momentum=config.ema_momentum
    )
