"""Several models that differ in their seed alone, and which of them is published: the best on validation.

    trained = train(config, dataset, device, directory, say=print)      # seeds=1 is hemline.training.run.train

A lucky seed is no better recipe. Each model trains in a directory of its own, `seeds/<seed>`, and is resumed there; the
files of the chosen one are then the run's. Test examples choose nothing.

On a CPU the models train side by side, one for each processor, with one compiled program and one copy of the data: the
products of a step are too small to be divided well. Each has the bits of its own single run. `python -m bench.seeds`
measures it; docs/performance.md says what else was tried. On a GPU, and where several devices share a batch, they train
one after the other.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextvars import copy_context
from itertools import chain
from pathlib import Path

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.errors import DivergenceError
from hemline.records.run import Rows, TrainedRun, published_epoch
from hemline.runtime.devices import DeviceInfo
from hemline.storage.files import whole_directory, whole_file
from hemline.storage.runs import SEEDS
from hemline.training import run
from hemline.training.interruption import Interrupted, Interruption, deferred
from hemline.training.progress import Say

OF_THE_CHOSEN = ("model.keras", "epochs.csv", "epochs.parquet")
OnEpoch = Callable[[Rows], None]


def train(
    config: RetrainConfig,
    dataset: DatasetRef,
    device: DeviceInfo,
    directory: Path,
    say: Say,
    on_epoch: OnEpoch = lambda rows: None,
) -> TrainedRun:
    """Trains and saves the models of `config.seeds` seeds, and leaves the files of the best one in the directory.

    say, on_epoch: may be called from other threads, one at a time. on_epoch: receives the rows of all epochs so far,
    of all seeds.
    """
    if config.seeds == 1:
        return run.train(config, dataset, device, directory, say, on_epoch)
    seeds = range(config.fixed_seed, config.fixed_seed + config.seeds)
    shared, together = run.Shared(config, dataset, device), _Together(seeds, on_epoch)

    def train_one(seed: int) -> TrainedRun:
        alone, own = config.model_copy(update={"seed": seed, "seeds": 1}), directory / SEEDS / str(seed)
        try:
            return run.train(alone, dataset, device, own, say, together.of(seed), shared)
        except DivergenceError as error:
            raise DivergenceError(f"seed {seed}: {error}") from error

    with deferred() as shared.interruption:
        trained = _side_by_side(train_one, seeds, at_once(config, device), shared.interruption)
    scores = {seed: published_epoch(config, of.epochs)["val_accuracy"] for seed, of in trained.items()}
    best = max(scores, key=scores.__getitem__)
    say(f"seed {best} is the best of {config.seeds} on validation")
    for name in OF_THE_CHOSEN:
        with whole_file(directory / name) as path:
            shutil.copyfile(trained[best].directory / name, path)
    with whole_directory(directory / "iterations.parquet", replace=True) as path:
        shutil.copytree(trained[best].directory / "iterations.parquet", path, dirs_exist_ok=True)
    return trained[best].model_copy(update={"directory": directory, "seeds": scores})


def at_once(config: RetrainConfig, device: DeviceInfo) -> int:
    """How many models train at the same time."""
    if device.kind != "cpu" or device.replicas * device.workers > 1:
        return 1
    return min(config.seeds, len(os.sched_getaffinity(0)))


def _side_by_side(
    train_one: Callable[[int], TrainedRun], seeds: Iterable[int], number: int, interruption: Interruption
) -> dict[int, TrainedRun]:
    """Trains `number` seeds at once. The first that fails, or a signal, ends all, and each leaves a checkpoint."""
    if number == 1:  # in this thread, as replicas want it
        return {seed: train_one(seed) for seed in seeds}

    def begin(seed: int) -> TrainedRun:
        interruption.act()
        try:
            return train_one(seed)
        except BaseException:
            interruption.end()  # here, before this thread begins the next seed
            raise

    with ThreadPoolExecutor(number, thread_name_prefix="seed") as threads:
        # Prefect knows by the context whose lines of the log these are.
        jobs = {seed: threads.submit(copy_context().run, begin, seed) for seed in seeds}
        try:
            wait(jobs.values(), return_when=FIRST_EXCEPTION)
        finally:
            interruption.end()
    for job in jobs.values():
        if (error := job.exception()) and not isinstance(error, Interrupted):
            raise error
    interruption.act()
    return {seed: job.result() for seed, job in jobs.items()}


class _Together:
    """The rows of all seeds, told after each epoch of one."""

    def __init__(self, seeds: Iterable[int], on_epoch: OnEpoch):
        self._rows: dict[int, Rows] = {seed: [] for seed in seeds}
        self._on_epoch, self._lock = on_epoch, threading.Lock()

    def of(self, seed: int) -> OnEpoch:
        """What the training of one seed tells."""

        def on_epoch(rows: Rows) -> None:
            with self._lock:
                self._rows[seed] = list(rows)
                self._on_epoch(list(chain.from_iterable(self._rows.values())))

        return on_epoch
