"""Trains, and dies by SIGKILL at a given moment. A program for tests, not a test.

    python -m tests.system.dying_run DATASET_JSON CONFIG_JSON DIRECTORY MOMENT

MOMENT: 'never'; 'sync:7', before the seventh time that anything is synced to disk, which is in the midst of
writing a table, a checkpoint or the model; 'after:0.25', a quarter of a second into the first compiled step.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.runtime.devices import select
from hemline.storage import files
from hemline.training import loop as training
from hemline.training import run


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


def die_after(seconds: float) -> None:
    epoch = training.Trainer.epoch

    def timed(self: training.Trainer, *arguments: int, **options: int) -> object:
        threading.Timer(seconds, die).start()
        training.Trainer.epoch = epoch  # type: ignore[method-assign]
        return epoch(self, *arguments, **options)

    training.Trainer.epoch = timed  # type: ignore[assignment, method-assign]


def main() -> None:
    dataset, config, directory, moment = sys.argv[1:]
    kind, _, value = moment.partition(":")
    if kind == "sync":
        die_at_sync(int(value))
    elif kind == "after":
        die_after(float(value))
    run.train(
        RetrainConfig.model_validate_json(config),
        DatasetRef.model_validate_json(dataset),
        select("cpu"),
        Path(directory),
        say=lambda line: print(line, flush=True),
    )


if __name__ == "__main__":
    main()
