"""How the training loop grows: with the examples, the parameters and the replicas, each beside the default.

    python -m bench.growth --only training

Every contestant has a process of its own; a round is one epoch of each in turn, so that a machine that slows down slows
all of them. A ratio is that of the time for an example in the same round. Peak memory includes the framework and, where
they are not streamed from disk, the images. Replicas are logical devices of one processor: they share its cores.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

import keras
import numpy as np

from bench.peers_keras import about
from bench.training import Worker
from bench.work import BATCH_SIZE, CHAPTER, SEED
from bench.worker import Epoch
from hemline.config.retrain import RetrainConfig
from hemline.models.mlp import build_mlp
from hemline.runtime.devices import scope, select, set_up
from hemline.training.groups import partition
from hemline.training.loop import Trainer

TIMES = 10  # as many examples
__all__ = ["about"]  # bench.worker asks a contestant's module
UNITS = (2800, 3000)  # 100 times as many parameters as 128 and 64 have
FEW = 6_000  # examples of an epoch of those


def default(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """The MLP with the chapter's optimizers, on images in memory or mapped from disk."""
    return _epochs(build_mlp(images.shape[1:], 10, SEED), images, labels)


default_streamed = default  # bench.worker maps the images of what is called so


def large(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """The same with 100 times the parameters, on fewer examples."""
    return _epochs(build_mlp(images.shape[1:], 10, SEED, units=UNITS), images[:FEW], labels[:FEW])


def few(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """The default on as many examples as `large`."""
    return default(images[:FEW], labels[:FEW])


def two_replicas(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """The default on two logical devices."""
    device = select("cpu", replicas=2, batch_size=BATCH_SIZE)
    set_up(device)
    with scope(device):
        epoch = default(images, labels)

    def inside(number: int) -> np.ndarray:
        with scope(device):
            return epoch(number)

    return inside


def _epochs(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> Epoch:
    groups = partition(model, RetrainConfig(groups=CHAPTER).groups.by_name())
    trainer = Trainer(model, groups, images, labels, batch_size=BATCH_SIZE, seed=SEED)
    return lambda number: np.concatenate([chunk.losses for chunk in trainer.epoch(number)])


# Each with the examples of its epoch, in units of the data set's; 0: FEW. What it is compared with comes first.
TABLES = {
    "examples": (("default", 1), ("default_streamed", 1), ("default", TIMES), ("default_streamed", TIMES)),
    "parameters": (("few", 0), ("large", 0)),
    "replicas": (("default", 1), ("two_replicas", 1)),
}


def training(rounds: int) -> None:
    """A row for each contestant."""
    from hemline.config.data import DataConfig
    from hemline.data.decoding import prepare

    data = prepare(DataConfig()).path
    print("\n| training | examples an epoch | times the first one's time for an example | µs for one |", end=" ")
    print("first epoch, s | peak MB |\n| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        many = repeated(data, Path(scratch) / "many")
        for table in TABLES.values():
            race(table, rounds, {0: data, 1: data, TIMES: many}, Path(scratch))


def race(table: tuple[tuple[str, int], ...], rounds: int, data: dict[int, Path], scratch: Path) -> None:
    """An epoch of each in turn."""
    whole = (data[1] / "train-labels.i4").stat().st_size // 4
    examples = [times * whole or FEW for _, times in table]
    workers = [
        Worker(sys.executable, f"growth_training:{name}", data[times], number, scratch)
        for (name, times), number in zip(table, examples, strict=True)
    ]
    for _ in range(rounds):
        for worker, number in zip(workers, examples, strict=True):
            worker.in_turn.append(1e6 * worker.ask() / number)
    for (name, times), worker, number in zip(table, workers, examples, strict=True):
        ratio = median(other / own for other, own in zip(worker.in_turn, workers[0].in_turn, strict=True))
        peak = worker.last["peak"]
        worker.close()
        label = f"{name.replace('_', ' ')}{f', {times} times the examples' if times > 1 else ''}"
        print(f"| {label} | {number:,} | {ratio:.2f} | {median(worker.in_turn):.2f} |", end=" ")
        print(f"{worker.first['seconds']:.1f} | {peak:.0f} |", flush=True)


def repeated(data: Path, directory: Path) -> Path:
    """The training examples several times over, as a data set of its own."""
    directory.mkdir()
    for name in ("train-images.u8", "train-labels.i4"):
        with (directory / name).open("wb") as to:
            for _ in range(TIMES):
                with (data / name).open("rb") as source:
                    shutil.copyfileobj(source, to)
    return directory
