"""Trains, and dies by SIGKILL at a given moment. For tests, not a test.

    Forked(train, dataset, config, directory, "sync:7")

Moments: 'never'; 'sync:7', before the seventh time that anything is synced to disk, which is in the midst of
writing a table, a checkpoint or the model; 'chunk:7', while the seventh compiled call is under way.
"""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.runtime.devices import select
from hemline.storage import files
from hemline.training import seeds
from hemline.training.feed import Examples, Feed


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_sync(number: int) -> None:
    sync, left = files.sync, [number]

    def counting(path: Path) -> None:
        left[0] -= 1
        if left[0] == 0:
            die()
        sync(path)

    files.sync = counting


def die_in_chunk(number: int) -> None:
    """The compiled call does not hold the interpreter: another thread kills it as soon as it has begun."""
    examples, left = Feed.__call__, [number]

    def counting(self: Feed, order: np.ndarray) -> Iterator[Examples]:
        for chunk in examples(self, order):
            left[0] -= 1
            if left[0] == 0:
                threading.Thread(target=die).start()
            yield chunk

    Feed.__call__ = counting  # type: ignore[method-assign]


def train(dataset: DatasetRef, config: RetrainConfig, directory: Path, moment: str) -> None:
    """In a process of its own, which this changes."""
    kind, _, value = moment.partition(":")
    if kind == "sync":
        die_at_sync(int(value))
    elif kind == "chunk":
        die_in_chunk(int(value))
    seeds.train(config, dataset, select("cpu"), directory, say=lambda line: print(line, flush=True))
