"""Trains, and dies by SIGKILL at a given moment. A program for tests, not a test.

    python -m tests.system.dying_run DATASET_JSON CONFIG_JSON DIRECTORY MOMENT

MOMENT: 'never'; 'sync:7', before the seventh time that anything is synced to disk, which is in the midst of
writing a table, a checkpoint or the model; 'chunk:7', while the seventh compiled call is under way.
"""

import os
import signal
import sys
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


def main() -> None:
    dataset, config, directory, moment = sys.argv[1:]
    kind, _, value = moment.partition(":")
    if kind == "sync":
        die_at_sync(int(value))
    elif kind == "chunk":
        die_in_chunk(int(value))
    seeds.train(
        RetrainConfig.model_validate_json(config),
        DatasetRef.model_validate_json(dataset),
        select("cpu"),
        Path(directory),
        say=lambda line: print(line, flush=True),
    )


if __name__ == "__main__":
    main()
