"""One training run, from arrays to a saved model in its own directory.

    trained = train(config, dataset, device, directory, say=print)

artifacts/README.md describes the directory's files; each of them appears whole, after every epoch. Trainings of one
process that differ in their seed alone take what they have in common from `Shared`, one after the other or at once.
"""

import math
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import keras
import tensorflow as tf

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef, load_training
from hemline.errors import DivergenceError
from hemline.evaluation.scores import Score, compile_predict
from hemline.models import as_in_a_new_process, build
from hemline.models.contract import require_contract
from hemline.records.run import Row, Rows, TrainedRun
from hemline.runtime.devices import DeviceInfo, scope
from hemline.runtime.programs import Programs
from hemline.storage.attempts import resumed
from hemline.storage.files import whole_file
from hemline.storage.timing import spent
from hemline.training.checkpoints import Checkpoints, State
from hemline.training.feed import Feed
from hemline.training.groups import Group, averaged, partition
from hemline.training.history import History
from hemline.training.identity import code_of, what_decides
from hemline.training.interruption import Interruption, deferred
from hemline.training.loop import Trainer
from hemline.training.loss_scale import LossScale
from hemline.training.measures import Measures
from hemline.training.progress import Bars, Display, Say
from hemline.training.tensorboard import write_events


def check_model(
    config: RetrainConfig, device: DeviceInfo, image_shape: tuple[int, int, int], classes: int
) -> DeviceInfo:
    """The device as it computes this model. Raises ConfigurationError if it cannot be trained. Needs no data."""
    with tf.device(device.name):
        model = _build(config, image_shape, classes)
        require_contract(model, config.model, image_shape, classes, config.precision)
        code_of(config)
        _groups(config, model, examples=config.batch_size)
        return device.computing(model)


class Shared:
    """What trainings that differ in their seed alone need once: data, compiled programs, and what a person sees."""

    def __init__(self, config: RetrainConfig, dataset: DatasetRef, device: DeviceInfo):
        (images, self.labels), self.validation = load_training(dataset, config.validation)
        with scope(device):
            self.feed = Feed(images, self.labels)
        self.images = images
        self.programs = Programs() if device.replicas * device.workers == 1 else None  # which know one device
        self.several = config.seeds > 1
        self.making = threading.Lock()
        self.bars = Bars()
        self.interruption: Interruption | None = None  # of all; None: each defers signals for itself


def train(
    config: RetrainConfig,
    dataset: DatasetRef,
    device: DeviceInfo,
    directory: Path,
    say: Say,
    on_epoch: Callable[[Rows], None] = lambda rows: None,
    shared: Shared | None = None,
) -> TrainedRun:
    """Trains and saves the model, from the directory's newest whole checkpoint on if it has one, to the same bits.

    on_epoch: receives, after each epoch, the rows of all so far. shared: with trainings of other seeds.
    """
    shared = shared or Shared(config, dataset, device)
    waiting = nullcontext(shared.interruption) if shared.interruption else deferred()
    with scope(device):
        with shared.making:
            run = _Run(config, dataset, device, directory, say, shared)
        history = run.history
        with run.display, history.kept_on_divergence(), waiting as run.interruption:
            for epoch in range(run.first.epoch, config.epochs + 1):
                if history.stops_early(config.early_stopping):
                    break
                run.display.end_epoch(run.epoch(epoch))
                on_epoch(history.epochs)
        run.save_model()
    return TrainedRun(directory=directory, dataset=dataset, device=device, epochs=history.epochs)


class _Run:
    """The parts of a run, and where it starts or goes on: `first` is its next step."""

    def __init__(
        self,
        config: RetrainConfig,
        dataset: DatasetRef,
        device: DeviceInfo,
        directory: Path,
        say: Say,
        shared: Shared,
    ):
        self.config, self.directory, self.validation = config, directory, shared.validation
        title = f"seed {config.seed}  " if shared.several else ""
        self.say = shared.bars.over(lambda line: say(title + line))
        self.model = _build(config, dataset.image_shape, len(dataset.class_names))
        self.groups = _groups(config, self.model, examples=len(shared.images))
        device = device.computing(self.model)
        scale = LossScale() if config.precision == "mixed_float16" else None
        self.trainer = Trainer(
            self.model,
            self.groups,
            shared.images,
            shared.labels,
            batch_size=config.batch_size,
            seed=config.fixed_seed,
            loss_scale=scale,
            label_smoothing=config.label_smoothing,
            xla=device.settings["xla"] == "on",
            feed=shared.feed,
            programs=shared.programs,
        )
        self.measures = Measures(config, self.model, self.groups, self.trainer, scale)
        self.predict = compile_predict(self.model)
        decides = what_decides(config, dataset, device)
        self.checkpoints = Checkpoints(
            directory / "checkpoints", self.model, self.groups, *decides, config.keep_checkpoints, scale
        )
        restored = self.checkpoints.restore()
        if restored:
            self.say(resumed(f"epoch {restored.epoch}, iteration {restored.step + 1}"))
        self.first = restored or State(epoch=1, step=0)
        self.history = History(directory, self.first, self.trainer.batch_sizes)
        steps, examples = self.trainer.steps, self.trainer.examples
        self.display = Display(config.epochs, steps, examples, self.say, shared.bars, title, config.log_lines)
        self.interruption = Interruption()

    def epoch(self, epoch: int) -> Row:
        """Trains an epoch or the rest of it, validates, saves, and returns the epoch's row."""
        first_step = self.first.step if epoch == self.first.epoch else 0
        began = time.perf_counter()
        self.display.begin_epoch(first_step, began)
        self._train(epoch, first_step)
        trained = time.perf_counter()
        measures = self.measures.after(epoch)  # of the weights that are trained, not of their averages
        with averaged(self.groups):
            score = self._validate(epoch)
            validated = time.perf_counter()
            row = self.history.end_epoch(score, measures)
            if self.config.tensorboard:
                write_events(self.directory, epoch)
            if self.config.early_stopping and self.history.best_epoch() == epoch:
                self.checkpoints.save_best(epoch)
        self.checkpoints.save(self.history.state(epoch + 1, 0))
        saving = time.perf_counter() - validated
        spent(self.directory, {"steps": trained - began, "validation": validated - trained, "saving": saving}, epoch)
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
            self.display.advance(*self.history.running(), now=time.perf_counter())
            step = chunk.first_step + len(chunk.losses)
            due = self.interruption.due or (every and step % every == 0)
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


def _build(config: RetrainConfig, image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    return build(config.model, image_shape, classes, config.fixed_seed, config.precision, config.model_arguments)


def _groups(config: RetrainConfig, model: keras.Model, examples: int) -> list[Group]:
    """examples: in an epoch."""
    steps, groups, frozen = math.ceil(examples / config.batch_size), config.groups.by_name(), config.frozen
    with as_in_a_new_process(config.fixed_seed, config.precision):  # a program has the optimizers' names in it
        return partition(
            model, groups, frozen, steps_per_epoch=steps, epochs=config.epochs, ema_momentum=config.ema_momentum
        )
