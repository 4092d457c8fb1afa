"""Is it worth having different optimizers below and above? The best single one beside the best pair, tuned alike.

    python -m bench.pairs               # 24 configurations of each kind, five epochs of the MLP: 5 minutes of CPU time
    python -m bench.pairs --draws 6

A single optimizer trains all layers at one rate; a pair has an optimizer and a rate for the hidden layers and others
for the last one. Optimizers and rates are drawn at random, equally often for both kinds, with a cosine throughout. All
are trained with seed 1, the best three of a kind with two seeds more, and the best of these with five new ones, which
the table shows. Everything is judged on the last 10,000 training examples; the test split is not read.
"""

import argparse
from collections.abc import Callable
from random import Random
from statistics import mean, stdev
from typing import Any

import scipy.stats

from bench.choices import VALIDATION
from bench.results import trained
from hemline.config.data import DataConfig
from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import Arrays, load_training
from hemline.data.decoding import prepare
from hemline.evaluation.scores import Score

RATES = {  # learning rates between these, equally many in each power of ten
    "adam": (3e-4, 1e-2),
    "nadam": (3e-4, 1e-2),
    "rmsprop": (1e-4, 3e-3),
    "lion": (3e-5, 1e-3),
    "sgd": (1e-2, 1.0),
}
FINALISTS, FINALIST_SEEDS, NEW_SEEDS = 3, (2, 3), range(11, 16)
Groups = dict[str, Any]


def drawn(random: Random) -> dict[str, Any]:
    """An optimizer and its rate."""
    name = random.choice(list(RATES))
    low, high = RATES[name]
    given = {"momentum": 0.9, "nesterov": True} if name == "sgd" else {}
    rate = float(f"{low * (high / low) ** random.random():.2g}")
    return {"optimizer": name, "learning_rate": rate, "schedule": {"kind": "cosine"}, **given}


def single(random: Random) -> Groups:
    """One optimizer for all layers."""
    return {"lower": drawn(random) | {"layers": ["*"]}, "upper": None}


def pair(random: Random) -> Groups:
    """One for the hidden layers, and another for the last."""
    return {"lower": drawn(random), "upper": drawn(random)}


def described(groups: Groups) -> str:
    """'adam 0.001 / sgd 0.1'."""
    return " / ".join(f"{group['optimizer']} {group['learning_rate']:g}" for group in groups.values() if group)


def best(configurations: list[Groups], accuracy: Callable[[Groups, int], float]) -> Groups:
    """By seed 1, and of the best three by two seeds more."""
    first = {number: accuracy(groups, 1) for number, groups in enumerate(configurations)}
    finalists = sorted(first, key=lambda number: -first[number])[:FINALISTS]
    return max(
        (configurations[number] for number in finalists),
        key=lambda groups: mean(accuracy(groups, seed) for seed in FINALIST_SEEDS),
    )


def half_width(values: list[float]) -> float:
    """Of the 95 % interval of their mean, by Student's t."""
    return float(scipy.stats.t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.pairs", description=__doc__.partition("\n")[0])
    parser.add_argument("--draws", type=int, default=24, help="configurations of each kind (default: 24)")
    draws = parser.parse_args().draws
    train, validation = load_training(prepare(DataConfig()), VALIDATION)

    def accuracy(groups: Groups, seed: int) -> float:
        return _accuracy(groups, seed, train, validation)

    found = {}
    for draw in (single, pair):
        random = Random(1)
        found[draw.__name__] = best([draw(random) for _ in range(draws)], accuracy)
    print("| | optimizers | validation accuracy, 95 % interval |\n| --- | --- | --- |")
    results = {kind: [accuracy(groups, seed) for seed in NEW_SEEDS] for kind, groups in found.items()}
    for kind, values in results.items():
        print(f"| best {kind} | {described(found[kind])} | {mean(values):.4f} ± {half_width(values):.4f} |")
    gains = [ours - one for ours, one in zip(results["pair"], results["single"], strict=True)]  # of the same seed
    print(f"| the pair's gain | | {mean(gains):+.4f} ± {half_width(gains):.4f} |")


def _accuracy(groups: Groups, seed: int, train: Arrays, validation: Arrays) -> float:
    images, labels = validation
    result = trained(RetrainConfig(groups=groups, seed=seed), *train)
    return Score.of(result.logits(images), labels).accuracy


if __name__ == "__main__":
    main()
