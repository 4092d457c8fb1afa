"""Eight seeds at once beside four and eight single trainings, in one process.

    python -m bench.seeds                       # or: --rounds 5 --epochs 20

A training is `hemline.training.run.train` as a run calls it: it loads the arrays, builds, compiles with the compiler's
cache of an earlier run, trains, validates, leaves a checkpoint every epoch, tables and the model. A round is all seeds
at once and then each alone, so that a machine that slows down slows all of them. Read the ratios. Their bits are
compared too: the models of both are the same.
"""

import argparse
import logging
import tempfile
import time
from pathlib import Path
from statistics import median

from hemline.config.data import DataConfig
from hemline.runtime.compile_cache import use_compile_cache

SEEDS = 8


def main() -> None:
    """Prints a row for each way."""
    parser = argparse.ArgumentParser(prog="python -m bench.seeds", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--epochs", type=int, default=5, help="of each model (default: 5)")
    arguments = parser.parse_args()
    use_compile_cache(DataConfig().data_path / "xla-cache")
    logging.disable(logging.WARNING)  # TensorFlow's, of functions that are traced again and again

    measured: list[tuple[list[float], list[float], list[float]]] = []
    for number in range(arguments.rounds + 1):
        with tempfile.TemporaryDirectory() as scratch:
            row = a_round(arguments.epochs, Path(scratch))
        if number:  # the first warms the cache
            measured.append(row)
    print(f"| epochs: {arguments.epochs} each | s, median of {arguments.rounds} | processor s |", end=" ")
    print("times the eight at once, median of pairs | processor |\n| --- | --- | --- | --- | --- |")
    together = [row[0] for row in measured]
    for name, column in {"8 seeds at once": 0, "4 single trainings": 1, "8 single trainings": 2}.items():
        own = [row[column] for row in measured]
        seconds = [median(times) for times in zip(*own, strict=True)]
        ratios = [median(a[i] / b[i] for a, b in zip(own, together, strict=True)) for i in (0, 1)]
        print(f"| {name} | {seconds[0]:.2f} | {seconds[1]:.2f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")


def a_round(epochs: int, scratch: Path) -> tuple[list[float], list[float], list[float]]:
    """Wall and processor seconds of the eight at once, of four single ones and of eight."""
    import numpy as np

    from bench.work import CHAPTER
    from hemline.config.retrain import RetrainConfig
    from hemline.data.dataset import for_run
    from hemline.data.decoding import prepare
    from hemline.models import load
    from hemline.runtime.devices import select, set_up
    from hemline.training import run, seeds

    config = RetrainConfig(seeds=SEEDS, epochs=epochs, groups=CHAPTER)
    dataset, device = for_run(prepare(config), config.streaming), select("cpu")
    set_up(device)
    clock = Clock()
    together = seeds.train(config, dataset, device, scratch / "together", say=lambda line: None)
    laps = [clock.lap()]
    for seed, path in together.model_paths.items():
        own = config.model_copy(update={"seed": seed, "seeds": 1})
        alone = run.train(own, dataset, device, scratch / str(seed), say=lambda line: None)
        laps.append(clock.lap())
        for one, other in zip(load(path).get_weights(), load(alone.model_path).get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
        clock.lap()  # of the comparison
    halves = [[sum(times) for times in zip(*part, strict=True)] for part in (laps[1 : 1 + SEEDS // 2], laps[1:])]
    return laps[0], halves[0], halves[1]


class Clock:
    """Seconds since the last lap, of the wall and of the processors."""

    def __init__(self) -> None:
        self._last = self._now()

    def _now(self) -> list[float]:
        return [time.perf_counter(), time.process_time()]

    def lap(self) -> list[float]:
        """[wall, processor]."""
        before, self._last = self._last, self._now()
        return [now - then for now, then in zip(self._last, before, strict=True)]


if __name__ == "__main__":
    main()
