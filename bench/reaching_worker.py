"""One training in a process of its own, which says after each epoch what it has cost and reached.

    python -m bench.reaching_worker bench.reaching_torch:mlp '["data/decoded/fashion_mnist", 4, 1, 300, {...}]'

Answers with a line of JSON for each epoch: its processor seconds over all threads, its seconds, and the accuracy on the
last 10,000 training examples, whose evaluation is in neither. Needs NumPy alone.

A contestant is a function of images (N, H, W, C) uint8, labels (N,) int32, a task and `after_epoch`. It trains as many
epochs as the task says, and calls `after_epoch` at the end of each with a function of images to logits.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.worker import load

VALIDATION = 10_000  # examples
Predict = Callable[[np.ndarray], np.ndarray]  # images (N, H, W, C) uint8 to logits (N, classes)
AfterEpoch = Callable[[Predict], None]


class Task(NamedTuple):
    """What is trained."""

    data: str
    epochs: int
    seed: int
    cap: float  # processor seconds after which the next epoch is the last
    settings: dict[str, Any]


class Clock:
    """Answers after each epoch, and stands still meanwhile."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, cap: float, answers: Any):
        self.images, self.labels, self.left, self.answers = images, labels, cap, answers
        self.began, self.worked = time.perf_counter(), time.process_time()

    def after_epoch(self, predict: Predict) -> None:
        """Ends the process once the cap is reached."""
        seconds, cpu = time.perf_counter() - self.began, time.process_time() - self.worked
        accuracy = float((predict(self.images).argmax(1) == self.labels).mean())
        print(json.dumps({"seconds": seconds, "cpu": cpu, "accuracy": accuracy}), file=self.answers, flush=True)
        self.left -= cpu
        if self.left <= 0:
            raise SystemExit
        self.began, self.worked = time.perf_counter(), time.process_time()


def main() -> None:
    """Trains."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a framework prints is no answer
    name, _, function = sys.argv[1].partition(":")
    task = Task(*json.loads(sys.argv[2]))
    contestant = getattr(importlib.import_module(name), function)
    images, labels = (np.array(array) for array in load(Path(task.data)))
    clock = Clock(images[-VALIDATION:], labels[-VALIDATION:], task.cap, answers)
    contestant(images[:-VALIDATION], labels[:-VALIDATION], task, clock.after_epoch)


if __name__ == "__main__":
    main()
