"""What it costs to reach an accuracy: our recipes beside Keras `fit` and PyTorch, by the same network.

    make bench-cost                             # or: make bench-cost ARGS="--network fast_cnn --cap 300"
    make bench-cost ARGS="--choose"             # the accuracies that the peers' settings were chosen by

bench/reaching.json keeps each training as it comes, so that it can be ended and begun again; delete it for new figures.

Every contestant trains on 50,000 images of Fashion-MNIST in a process of its own, and is asked after each epoch for its
accuracy on the other 10,000 training examples, outside of its time. The test split is not read. A schedule ends where
training ends, so that a short training reaches less by its second epoch than a long one, and more by its last. So each
contestant trains several lengths, with several seeds; its cost is the least of the lengths' medians.

A process has one core: then its processor seconds are the seconds it would take alone, and no thread waits for another
while its clock runs. What the first epoch takes more than the second is compiling, and stands for itself.
"""

import argparse
import json
import math
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from bench.figures import put, read
from bench.reaching_worker import Task
from bench.training import OURS, PEERS, ROOT

FIGURES = Path(__file__).with_suffix(".json")
Settings = dict[str, Any]


@dataclass(frozen=True)
class Contestant:
    """A way to train the network."""

    python: str
    function: str  # module:function in bench
    settings: Settings
    choices: tuple[Settings, ...] = ()  # of which `settings` was the best, see `choose`


@dataclass(frozen=True)
class Table:
    """A network, what it is to reach, and who trains it; the first is ours."""

    accuracies: tuple[float, ...]
    lengths: tuple[int, ...]  # epochs
    seeds: tuple[int, ...]
    choosing: int  # epochs, by which a peer's settings are chosen
    contestants: dict[str, Contestant]


OF_AN_MLP = tuple(
    {"optimizer": name, "rate": rate, "batch": batch}
    for name, rate, batch in (
        ("adam", 1e-3, 128),
        ("adam", 3e-3, 128),
        ("adam", 3e-3, 256),
        ("sgd", 0.03, 128),
        ("sgd", 0.1, 128),
        ("sgd", 0.1, 256),
    )
)
OF_A_CNN = tuple(
    {"optimizer": name, "rate": rate, "batch": 128}
    for name, rate in (("adam", 3e-3), ("adam", 7e-3), ("sgd", 0.05), ("sgd", 0.15))
)
TABLES = {
    "mlp": Table(
        accuracies=(0.88, 0.89, 0.90),
        lengths=(2, 5, 12),
        seeds=(1, 2, 3),
        choosing=3,
        contestants={
            "hemline, `best-mlp`": Contestant(OURS, "reaching_keras:ours", {"recipe": "best-mlp"}),
            "Keras `fit`": Contestant(OURS, "reaching_keras:fit", {"network": "mlp"} | OF_AN_MLP[1], OF_AN_MLP),
            "PyTorch": Contestant(PEERS, "reaching_torch:mlp", OF_AN_MLP[1], OF_AN_MLP),
        },
    ),
    "fast_cnn": Table(
        accuracies=(0.92, 0.93, 0.94),
        lengths=(4, 10),
        seeds=(1,),
        choosing=2,
        contestants={
            "hemline, `fast-cnn`": Contestant(OURS, "reaching_keras:ours", {"recipe": "fast-cnn"}),
            "Keras `fit`": Contestant(OURS, "reaching_keras:fit", {"network": "fast_cnn"} | OF_A_CNN[0], OF_A_CNN),
            "PyTorch": Contestant(PEERS, "reaching_torch:fast_cnn", OF_A_CNN[1], OF_A_CNN),
        },
    ),
}


@dataclass(frozen=True)
class Training:
    """What a contestant answered after each epoch."""

    costs: tuple[float, ...]  # processor seconds of each epoch
    accuracies: tuple[float, ...]

    @property
    def compiling(self) -> float:
        """Seconds by which the first epoch is longer than the second."""
        return max(self.costs[0] - self.costs[1], 0.0)

    def cost(self, accuracy: float) -> float:
        """Seconds without compiling until it is reached; infinite if it is not."""
        for epochs, reached in enumerate(self.accuracies, start=1):
            if reached >= accuracy:
                return sum(self.costs[:epochs]) - self.compiling
        return math.inf


Trainings = dict[str, dict[int, dict[int, Training]]]  # by contestant, length in epochs and seed


def trained(contestant: Contestant, task: Task, core: int) -> Training:
    """In a process of its own, on one core."""
    libraries = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = ["taskset", "--cpu-list", str(core), contestant.python, "-m", "bench.reaching_worker"]
    done = subprocess.run(
        [*command, f"bench.{contestant.function}", json.dumps(task)],
        cwd=ROOT,
        env=os.environ | libraries,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no reason given"])[-1])
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return Training(tuple(row["cpu"] for row in rows), tuple(row["accuracy"] for row in rows))


def kept(network: str) -> Trainings:
    """What bench/reaching.json has."""
    trainings: Trainings = {}
    for name, of_lengths in read(FIGURES).get(network, {}).items():
        for length, of_seeds in of_lengths.items():
            of = {int(seed): Training(*map(tuple, training)) for seed, training in of_seeds.items()}
            trainings.setdefault(name, {})[int(length)] = of
    return trainings


def keep(network: str, name: str, length: int, seed: int, training: Training) -> None:
    """Adds one to it."""
    put(FIGURES, (network, name, str(length), str(seed)), [training.costs, training.accuracies])


def least(trainings: dict[int, dict[int, Training]], accuracy: float) -> tuple[float, int]:
    """The least of the lengths' median costs, and its length in epochs. trainings: by length and seed."""
    costs = {length: median(training.cost(accuracy) for training in of.values()) for length, of in trainings.items()}
    best = min(costs, key=lambda length: costs[length])
    return costs[best], best


def rows(table: Table, trainings: Trainings) -> Iterator[str]:
    """Markdown."""
    heads = [f"{accuracy:.2f}, s | times ours" for accuracy in table.accuracies]
    yield f"| | {' | '.join(heads)} | compiling, s | s/epoch | best accuracy |"
    yield "| --- " * (2 * len(heads) + 4) + "|"
    ours = trainings[next(iter(table.contestants))]
    for name, of_name in trainings.items():
        cells = []
        for accuracy in table.accuracies:
            cost, length = least(of_name, accuracy)
            reached = math.isfinite(cost)
            times = cost / least(ours, accuracy)[0] if reached else 0.0
            cells += [f"{cost:.1f} in {length} epochs" if reached else "not reached", f"{times:.2f}" if times else ""]
        every = [training for of in of_name.values() for training in of.values()]
        epoch = median(cost for training in every for cost in training.costs[1:])
        highest = max(mean(max(training.accuracies) for training in of.values()) for of in of_name.values())
        cells += [f"{median(t.compiling for t in every):.1f}", f"{epoch:.2f}", f"{highest:.4f}"]
        yield f"| {name} | {' | '.join(cells)} |"


def choose(name: str, contestant: Contestant, table: Table, data: Path, core: int, cap: float) -> None:
    """Prints what each of a peer's settings reaches, with seed 1."""
    for settings in contestant.choices:
        task = Task(str(data), table.choosing, 1, cap, contestant.settings | settings)
        training = trained(contestant, task, core)
        print(
            f"| {name} | {json.dumps(settings)} | {training.accuracies[-1]:.4f} | {sum(training.costs):.1f} |",
            flush=True,
        )


def main() -> None:
    """Prints a table for each network."""
    parser = argparse.ArgumentParser(prog="python -m bench.reaching", description=__doc__.partition("\n")[0])
    parser.add_argument("--network", choices=TABLES, help="this one alone (default: all)")
    parser.add_argument("--cap", type=float, default=300, help="processor seconds of a training (default: 300)")
    parser.add_argument("--core", type=int, default=0, help="the one that all of them have (default: 0)")
    parser.add_argument("--choose", action="store_true", help="compare the peers' settings instead")
    given = parser.parse_args()

    from hemline.config.data import DataConfig
    from hemline.data.decoding import prepare

    data = prepare(DataConfig()).path
    for network, table in TABLES.items():
        if given.network not in (None, network):
            continue
        if given.choose:
            print(f"\n| {network} | settings | accuracy, {table.choosing} epochs | s |\n| --- | --- | --- | --- |")
            for name, contestant in table.contestants.items():
                choose(name, contestant, table, data, given.core, given.cap)
            continue
        for seed in table.seeds:
            for length in table.lengths:
                for name, contestant in table.contestants.items():  # in turn: a machine that slows down slows all
                    if seed not in kept(network).get(name, {}).get(length, {}):
                        task = Task(str(data), length, seed, given.cap, contestant.settings)
                        keep(network, name, length, seed, trained(contestant, task, given.core))
        print("", *rows(table, kept(network)), sep="\n")


if __name__ == "__main__":
    main()
