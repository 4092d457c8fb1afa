"""What Muon's Newton-Schulz steps cost and gain: the recipe `best-mlp` on a validation split.

    python -m bench.muon                # steps 5 to 2 of ours beside Keras's own 5, over five seeds
    python -m bench.muon --seeds 1

All contestants train an epoch of a seed in turn, on all but the last 5,000 training examples, and are judged on these:
the test split chooses nothing. Times are ratios within a round, the median of all rounds but each seed's first, which
compiles: of the clock, and of the processor over all threads, which leaves out what else the machine does.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import mean, median, stdev

import numpy as np

from hemline.config.data import DataConfig
from hemline.config.optimizers import OPTIMIZERS
from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import Arrays, load_training
from hemline.data.decoding import prepare
from hemline.evaluation.scores import Score, compile_predict
from hemline.models.mlp import build_mlp
from hemline.training.groups import partition
from hemline.training.loop import Trainer

MUON = OPTIMIZERS["muon"]
CONTESTANTS = [("keras.optimizers:Muon", 5), *((MUON.keras_class, steps) for steps in (5, 4, 3, 2))]
VALIDATION = 5000  # examples


@dataclass
class Training:
    """One contestant with one seed."""

    epochs: Iterator[tuple[float, float]]  # trains an epoch: seconds of the clock, and of the processor
    accuracy: float = 0.0


def training(keras_class: str, ns_steps: int, seed: int, arrays: tuple[Arrays, Arrays]) -> Training:
    """Makes the model and its optimizers, and trains when it is asked for the next epoch."""
    (images, labels), (held_out, answers) = arrays
    config = RetrainConfig(recipe="best-mlp", groups={"matrices": {"ns_steps": ns_steps}}, seed=seed)
    model = build_mlp(images.shape[1:], int(labels.max()) + 1, seed)
    steps = -(-len(images) // config.batch_size)
    OPTIMIZERS["muon"] = replace(MUON, keras_class=keras_class)
    groups = partition(model, config.groups.by_name(), steps_per_epoch=steps, epochs=config.epochs)
    OPTIMIZERS["muon"] = MUON
    trainer = Trainer(model, groups, images, labels, batch_size=config.batch_size, seed=seed)

    def epochs() -> Iterator[tuple[float, float]]:
        for epoch in range(1, config.epochs + 1):
            began, worked = time.perf_counter(), time.process_time()
            for _ in trainer.epoch(epoch):
                pass
            yield time.perf_counter() - began, time.process_time() - worked
        made.accuracy = Score.of(compile_predict(model)(held_out), answers).accuracy

    made = Training(epochs())
    return made


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.muon", description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5, help="from 1 on (default: 5)")
    seeds = parser.parse_args().seeds
    arrays = load_training(prepare(DataConfig()), VALIDATION)
    accuracies: list[list[float]] = []
    rounds: list[np.ndarray] = []
    for seed in range(1, seeds + 1):
        trainings = [training(*contestant, seed, arrays) for contestant in CONTESTANTS]
        rounds += [np.array(times) for times in zip(*(each.epochs for each in trainings), strict=True)][1:]
        accuracies.append([each.accuracy for each in trainings])
    print("| Muon | steps | validation accuracy | time of an epoch | of the processor |\n| --- " + "| --- " * 4 + "|")
    for number, (keras_class, steps) in enumerate(CONTESTANTS):
        own = [100 * of_seed[number] for of_seed in accuracies]
        spread = f" ± {stdev(own):.2f}" if seeds > 1 else ""
        clock, processor = (median(times[number][kind] / times[0][kind] for times in rounds) for kind in (0, 1))
        print(f"| `{keras_class}` | {steps} | {mean(own):.2f}{spread} % | {clock:.2f} | {processor:.2f} |")


if __name__ == "__main__":
    main()
