"""One contestant in a process of its own, so that frameworks share neither threads nor memory.

    python -m bench.worker bench.peers_jax:scan data/decoded/fashion_mnist 60000

Runs one epoch of the first so many images, then one more for each line of standard input, and answers each with a line
of JSON: seconds, the epoch's mean loss, the process's memory in MB now and at its peak, and what computes. Needs NumPy
alone.

A contestant is a function of images (N, H, W, C) uint8 and labels (N,) int32. It returns another, which runs the epoch
of a given number, from 1, and returns its losses: of every step where the contestant has them, none where it has no
loss. Its module has `about`, which names libraries and their settings.
"""

import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Epoch = Callable[[int], np.ndarray]
Contestant = Callable[[np.ndarray, np.ndarray], Epoch]


def load(directory: Path) -> tuple[np.ndarray, np.ndarray]:
    """The training split as `hemline.data.dataset` leaves it, without Hemline; images are mapped from disk."""
    images = np.memmap(directory / "train-images.u8", np.uint8, "r").reshape(-1, 28, 28, 1)
    return images, np.fromfile(directory / "train-labels.i4", "<i4")


def main() -> None:
    """The loop of questions and answers."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a framework prints is no answer
    name, _, function = sys.argv[1].partition(":")
    module = importlib.import_module(name)
    contestant: Contestant = getattr(module, function)
    images, labels = (array[: int(sys.argv[3])] for array in load(Path(sys.argv[2])))
    epoch = contestant(images if function.endswith("streamed") else np.array(images), labels)
    about: dict[str, str] = module.about()
    number = 1
    while True:
        began = time.perf_counter()
        losses = epoch(number)
        seconds = time.perf_counter() - began
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        answer = {
            "seconds": seconds,
            "loss": float(np.mean(losses)) if losses.size else None,
            "megabytes": pages * resource.getpagesize() / 1e6,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
            "about": about,
        }
        print(json.dumps(answer), file=answers)
        if not sys.stdin.readline():
            return
        number += 1


if __name__ == "__main__":
    main()
