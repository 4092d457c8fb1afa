"""Several models that differ in their seed alone, and which of them is published: the best on validation.

    trained = train(config, dataset, device, directory, say=print)      # seeds=1 is hemline.training.run.train

A lucky seed is no better recipe. Each model trains in a directory of its own, `seeds/<seed>`, and is resumed there; the
files of the chosen one are then the run's. Test examples choose nothing.
"""

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.records.run import Row, Rows, TrainedRun, published_epoch
from hemline.runtime.devices import DeviceInfo
from hemline.storage.files import whole_directory, whole_file
from hemline.storage.runs import SEEDS
from hemline.training import run
from hemline.training.progress import Say

OF_THE_CHOSEN = ("model.keras", "epochs.csv", "epochs.parquet", "timing.csv")


def train(
    config: RetrainConfig,
    dataset: DatasetRef,
    device: DeviceInfo,
    directory: Path,
    say: Say,
    on_epoch: Callable[[Rows], None] = lambda rows: None,
) -> TrainedRun:
    """Trains and saves the models of `config.seeds` seeds, and leaves the files of the best one in the directory.

    on_epoch: receives the rows of all epochs so far, of all seeds.
    """
    if config.seeds == 1:
        return run.train(config, dataset, device, directory, say, on_epoch)
    first, done, trained = config.fixed_seed, Rows(), dict[int, TrainedRun]()
    for seed in range(first, first + config.seeds):
        say(f"seed {seed}")
        alone, own = config.model_copy(update={"seed": seed, "seeds": 1}), directory / SEEDS / str(seed)
        before = tuple(done)
        trained[seed] = run.train(alone, dataset, device, own, say, partial(_add, before, on_epoch))
        done += trained[seed].epochs
    scores = {seed: published_epoch(config, of.epochs)["val_accuracy"] for seed, of in trained.items()}
    best = max(scores, key=scores.__getitem__)
    say(f"seed {best} is the best of {config.seeds} on validation")
    for name in OF_THE_CHOSEN:
        with whole_file(directory / name) as path:
            shutil.copyfile(trained[best].directory / name, path)
    with whole_directory(directory / "iterations.parquet", replace=True) as path:
        shutil.copytree(trained[best].directory / "iterations.parquet", path, dirs_exist_ok=True)
    return TrainedRun(directory=directory, epochs=trained[best].epochs, seeds=scores)


def _add(before: Sequence[Row], on_epoch: Callable[[Rows], None], rows: Rows) -> None:
    on_epoch([*before, *rows])
