"""Is it worth having different optimizers below and above? The best single one beside the best pairs, tuned alike.

    python -m bench.pairs               # the MLP: 24 configurations of each kind, five epochs; 8 minutes of CPU time
    python -m bench.pairs fast_cnn      # the CNN: 6 of each kind, six epochs of 20,000 images; an hour of CPU time

A single optimizer trains all layers at one rate. A pair has an optimizer and a rate for the hidden layers and others
for the last one. Muon trains hidden matrices alone, so with it a pair is split by what a variable is: Muon on those
matrices, another optimizer on all else. Optimizers and rates are drawn at random, equally often for each kind, with the
same schedule throughout. All are trained with seed 1, the best three of a kind with two seeds more, and the best of
these with new ones, which the table shows. Everything is judged on the last 10,000 training examples; the test split is
not read.

bench/pairs.json keeps each accuracy as it comes, so that it can be ended and begun again. Take what code has made
untrue out of it by hand.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import mean, stdev
from typing import Any

import scipy.stats

from bench.choices import VALIDATION
from bench.figures import put, read
from bench.results import trained
from hemline.config import recipes
from hemline.config.data import DataConfig
from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import Arrays, load_training
from hemline.data.decoding import prepare
from hemline.errors import DivergenceError
from hemline.evaluation.scores import Score

FIGURES = Path(__file__).with_suffix(".json")
RATES = {  # learning rates between these, equally many in each power of ten
    "adam": (3e-4, 1e-2),
    "nadam": (3e-4, 1e-2),
    "rmsprop": (1e-4, 3e-3),
    "lion": (3e-5, 1e-3),
    "sgd": (1e-2, 1.0),
}
FINALISTS, FINALIST_SEEDS = 3, (2, 3)
Groups = dict[str, Any]
Accuracy = Callable[[Groups, int], float]  # of a configuration trained with a seed


@dataclass(frozen=True)
class Study:
    """A network, and how long it is tuned."""

    values: dict[str, Any]  # of the configuration; groups and seed are others
    schedule: dict[str, Any]
    matrices: list[str]  # what Muon trains
    others: list[str]
    muon: tuple[float, float]  # its learning rates
    examples: int  # that are trained on
    draws: int  # configurations of each kind
    seeds: range  # the new ones

    def config(self, groups: Groups, seed: int) -> RetrainConfig:
        """Of one training."""
        return RetrainConfig(**self.values | {"groups": groups, "seed": seed})


STUDIES = {
    "mlp": Study(
        {"epochs": 5},
        {"kind": "cosine"},
        ["hidden_*/kernel"],
        ["hidden_*/bias", "norm_*", "logits"],
        (1e-2, 1e-1),
        examples=50_000,
        draws=24,
        seeds=range(11, 16),
    ),
    "fast_cnn": Study(
        {name: value for name, value in recipes.read("fast-cnn").items() if name not in ("groups", "seed")}
        | {"epochs": 6},
        {"kind": "cosine", "warmup_epochs": 1},
        ["conv_2/kernel", "conv_3/kernel"],
        ["conv_1/kernel", "conv_*/bias", "norm_*", "logits"],
        (2e-3, 2e-2),
        examples=20_000,
        draws=6,
        seeds=range(11, 16),
    ),
}


def rate(random: Random, low: float, high: float) -> float:
    """Between these, with two digits."""
    return float(f"{low * (high / low) ** random.random():.2g}")


def drawn(random: Random, study: Study) -> dict[str, Any]:
    """An optimizer and its rate."""
    name = random.choice(list(RATES))
    given = {"momentum": 0.9, "nesterov": True} if name == "sgd" else {}
    return {"optimizer": name, "learning_rate": rate(random, *RATES[name]), "schedule": study.schedule, **given}


def single(random: Random, study: Study) -> Groups:
    """One optimizer for all layers."""
    return {"lower": drawn(random, study) | {"layers": ["*"]}, "upper": None}


def pair(random: Random, study: Study) -> Groups:
    """One for the hidden layers, and another for the last."""
    return {"lower": drawn(random, study), "upper": drawn(random, study)}


def with_muon(random: Random, study: Study) -> Groups:
    """Muon for the hidden matrices, and another for everything else."""
    muon = {"optimizer": "muon", "learning_rate": rate(random, *study.muon), "schedule": study.schedule}
    others = drawn(random, study) | {"layers": study.others}
    return {"matrices": muon | {"layers": study.matrices}, "lower": others, "upper": None}


KINDS = {"single": single, "pair, by depth": pair, "pair, with Muon": with_muon}


def described(groups: Groups) -> str:
    """'adam 0.001 / sgd 0.1'."""
    return " / ".join(f"{group['optimizer']} {group['learning_rate']:g}" for group in groups.values() if group)


def best(configurations: list[Groups], accuracy: Accuracy) -> Groups:
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


def table(study: Study, accuracy: Accuracy) -> str:
    """Markdown: the best of each kind, and what it gains over the best single one with the same seeds."""
    lines = ["| best | optimizers | validation accuracy, 95 % interval | gain |", "| --- | --- | --- | --- |"]
    alone: list[float] = []
    for kind, draw in KINDS.items():
        random = Random(1)
        groups = best([draw(random, study) for _ in range(study.draws)], accuracy)
        values = [accuracy(groups, seed) for seed in study.seeds]
        alone = alone or values
        gains = [value - other for value, other in zip(values, alone, strict=True)]
        gain = f"{mean(gains):+.4f} ± {half_width(gains):.4f}" if any(gains) else ""
        lines.append(f"| {kind} | {described(groups)} | {mean(values):.4f} ± {half_width(values):.4f} | {gain} |")
    return "\n".join(lines)


def kept(network: str) -> Accuracy:
    """What bench/pairs.json has, by the configuration's description. Raises KeyError where there is nothing."""
    of_network = read(FIGURES)[network]
    return lambda groups, seed: float(of_network[described(groups)][str(seed)])


def measured(network: str, study: Study, train: Arrays, validation: Arrays) -> Accuracy:
    """What there is, or else by training, which is written down."""

    def accuracy(groups: Groups, seed: int) -> float:
        name = described(groups)
        known = read(FIGURES).get(network, {}).get(name, {})
        if str(seed) in known:
            return float(known[str(seed)])
        value = _trained(study.config(groups, seed), train, validation)
        print(f"{name}, seed {seed}: {value:.4f}", flush=True)
        put(FIGURES, (network, name, str(seed)), value)
        return value

    return accuracy


def _trained(config: RetrainConfig, train: Arrays, validation: Arrays) -> float:
    images, labels = validation
    try:
        return Score.of(trained(config, *train).logits(images), labels).accuracy
    except DivergenceError:
        return 0.0


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.pairs", description=__doc__.partition("\n")[0])
    parser.add_argument("network", nargs="?", default="mlp", choices=STUDIES, help="(default: mlp)")
    network = parser.parse_args().network
    study = STUDIES[network]
    (images, labels), validation = load_training(prepare(DataConfig()), VALIDATION)
    train = images[: study.examples], labels[: study.examples]
    print(table(study, measured(network, study, train, validation)))


if __name__ == "__main__":
    main()
