"""What the recipes reach on the test split, which is looked at once for each of them and seed.

    make results                        # trains what bench/results.json has not, and writes the tables anew
    make results ARGS="--dataset digits"
    make results ARGS="--recipe fast-cnn --seed 2"

Everything was chosen on Fashion-MNIST with `python -m bench.choices`, which never sees the test split; on other data
the same recipes are trained as they are. A figure belongs to the values of its recipe and to what the code makes of
them: `fingerprint` of both is kept beside it, figures of another are trained again, and tests/bench/test_results.py
fails as long as they are not. Epochs are trained as a run trains them, on the whole train split.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import keras
import numpy as np

from bench.digits import digits
from bench.figures import put, read
from hemline.config import recipes
from hemline.config.data import DataConfig
from hemline.config.optimizers import OPTIMIZERS
from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import Arrays, load_split
from hemline.data.decoding import prepare
from hemline.evaluation.scores import Score, compile_predict
from hemline.models import build
from hemline.runtime.devices import under_xla
from hemline.training.groups import Group, averaged, partition
from hemline.training.loop import Trainer

FIGURES = Path(__file__).with_suffix(".json")
PAGE = Path(__file__).parents[1] / "docs" / "results.md"
END = "<!-- end -->"


@dataclass(frozen=True)
class Row:
    """A recipe in a table, and how it came about."""

    recipe: str
    tried: int | None  # configurations compared on the validation split; None: chosen before they were counted
    seeds: int = 5
    epochs: int | None = None  # in place of the recipe's

    @property
    def name(self) -> str:
        """What makes it: 'nightly', or 'nightly --epochs 300'."""
        return self.recipe if self.epochs is None else f"{self.recipe} --epochs {self.epochs}"

    def config(self, seed: int) -> RetrainConfig:
        """Of a training on any data."""
        longer = {} if self.epochs is None else {"epochs": self.epochs}
        return RetrainConfig(recipe=self.recipe, seed=seed, **longer)


TABLES = {
    "fashion_mnist": [
        Row("chapter-listing", tried=1),
        Row("chapter", tried=1),
        Row("best-mlp", tried=None),
        Row("nightly", tried=14),
        Row("fast-cnn", tried=12, seeds=3),
    ],
    # An epoch has 8 steps in place of 469, so each recipe stands there a second time, with ten times as many.
    "digits": [
        Row("chapter", tried=1),
        Row("chapter", tried=1, epochs=50),
        Row("best-mlp", tried=1),
        Row("best-mlp", tried=1, epochs=50),
        Row("nightly", tried=1),
        Row("nightly", tried=1, epochs=300),
        Row("fast-cnn", tried=1, seeds=3),
        Row("fast-cnn", tried=1, seeds=3, epochs=300),
    ],
}
DATASETS: dict[str, Callable[[], DataConfig]] = {"fashion_mnist": DataConfig, "digits": digits}


@dataclass(frozen=True)
class Trained:
    """A model and what it took."""

    model: keras.Model
    losses: np.ndarray  # (steps,) of the last epoch
    cpu: float  # seconds of the processor, over all threads, without building and evaluating
    seconds: float

    def logits(self, images: np.ndarray) -> np.ndarray:
        """(N, classes). images: (N, H, W, C) uint8."""
        return compile_predict(self.model)(images)


def to_train(config: RetrainConfig, images: np.ndarray, labels: np.ndarray) -> tuple[keras.Model, list[Group], Trainer]:
    """The model of a configuration, its groups of variables, and what trains it as a run does."""
    model = build(config.model, images.shape[1:], 10, config.fixed_seed, config.precision, config.model_arguments)
    groups = partition(
        model,
        config.groups.by_name(),
        config.frozen,
        steps_per_epoch=-(-len(images) // config.batch_size),
        epochs=config.epochs,
        ema_momentum=config.ema_momentum,
    )
    trainer = Trainer(
        model,
        groups,
        images,
        labels,
        batch_size=config.batch_size,
        seed=config.fixed_seed,
        label_smoothing=config.label_smoothing,
        xla=under_xla(model),
    )
    return model, groups, trainer


def trained(config: RetrainConfig, images: np.ndarray, labels: np.ndarray) -> Trained:
    """Trains, and leaves the model with the averages of its weights if a run of it keeps them."""
    model, groups, trainer = to_train(config, images, labels)
    began, worked = time.perf_counter(), time.process_time()
    for epoch in range(1, config.epochs + 1):
        losses = np.concatenate([chunk.losses for chunk in trainer.epoch(epoch)])
    cpu, seconds = time.process_time() - worked, time.perf_counter() - began
    with averaged(groups):
        weights = model.get_weights()
    model.set_weights(weights)
    return Trained(model, losses, cpu, seconds)


def fingerprint(row: Row) -> dict[str, Any]:
    """What a figure belongs to: the recipe's values with what its optimizers take where it says nothing, and the losses
    of the second of two short epochs on made-up images."""
    config = row.config(seed=1)
    rows = {name: OPTIMIZERS[group.optimizer] for name, group in config.groups.by_name().items()}
    defaults = {name: [row.keras_class, dict(row.takes), dict(row.always)] for name, row in rows.items()}
    values = json.dumps([config.what_is_computed(), defaults], sort_keys=True).encode()
    short = config.model_copy(update={"epochs": 2, "batch_size": 16})
    random = np.random.default_rng(0)
    images = random.integers(256, size=(8 * 16, 28, 28, 1), dtype=np.uint8)
    losses = trained(short, images, random.integers(10, size=len(images)).astype(np.int32)).losses
    return {"values": hashlib.sha256(values).hexdigest()[:16], "losses": [round(float(loss), 4) for loss in losses]}


def same(one: dict[str, Any], other: dict[str, Any], precision: str) -> bool:
    """Whether figures of one belong to the other. Processors round differently, most of all to bfloat16."""
    tolerance = 2e-3 if precision == "float32" else 0.05
    return one["values"] == other["values"] and np.allclose(one["losses"], other["losses"], rtol=tolerance)


def figure(config: RetrainConfig, train: Arrays, test: Arrays) -> dict[str, float]:
    """Trains and looks at the test split; where training mirrors pictures, also with mirror images' logits added."""
    result = trained(config, *train)
    images, labels = test
    logits = result.logits(images)
    measured = {
        "accuracy": round(Score.of(logits, labels).accuracy, 4),
        "parameters": result.model.count_params(),
        "cpu_seconds": round(result.cpu, 1),
        "seconds": round(result.seconds, 1),
    }
    if config.model_arguments.get("flip"):
        mirrored = result.logits(np.ascontiguousarray(images[:, :, ::-1]))
        measured["with_mirrored"] = round(Score.of(logits + mirrored, labels).accuracy, 4)
    return measured


def table(rows: list[Row], figures: dict[str, Any]) -> str:
    """Markdown, a row for each that has figures."""
    lines = [
        "| recipe | parameters | epochs | test accuracy | with mirror images | seeds | tried | CPU seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        runs = [run for seed, run in sorted(figures.get(row.name, {}).get("runs", {}).items())]
        if not runs:
            continue

        def spread(name: str, runs: list[dict[str, float]] = runs) -> str:
            values = [run[name] for run in runs if name in run]
            if not values:
                return ""
            return f"{mean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")

        epochs, cpu = row.config(seed=1).epochs, mean(run["cpu_seconds"] for run in runs)
        cells = [f"`{row.name}`", f"{runs[0]['parameters']:,}", epochs, spread("accuracy"), spread("with_mirrored")]
        tried = "not counted" if row.tried is None else row.tried
        lines.append(f"| {' | '.join(map(str, [*cells, len(runs), tried, round(cpu)]))} |")
    return "\n".join(lines)


def written(page: str, figures: dict[str, Any]) -> str:
    """The page with the tables of these figures, each between its marks."""
    for dataset, rows in TABLES.items():
        begin = f"<!-- make results: {dataset} -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(END)
        page = f"{before}{begin}\n{table(rows, figures.get(dataset, {}))}\n{END}{after}"
    return page


def runs_of(figures: dict[str, Any], dataset: str, row: Row, own: dict[str, Any]) -> dict[str, dict[str, float]]:
    """By seed, those that belong to the fingerprint."""
    there = figures.get(dataset, {}).get(row.name)
    return there["runs"] if there and same(there["fingerprint"], own, row.config(seed=1).precision) else {}


def keep(dataset: str, row: Row, own: dict[str, Any], new: dict[str, dict[str, float]]) -> None:
    """Adds runs by seed to those of the same fingerprint, on disk and on the page."""
    runs = dict(sorted((runs_of(read(FIGURES), dataset, row, own) | new).items()))
    now = put(FIGURES, (dataset, row.name), {"fingerprint": own, "runs": runs})
    PAGE.write_text(written(PAGE.read_text(), now))


def main() -> None:
    """Trains what is missing and writes each figure as it comes, so that it can be ended and begun again."""
    parser = argparse.ArgumentParser(prog="python -m bench.results", description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", choices=TABLES, help="this one alone (default: all)")
    parser.add_argument("--recipe", choices=recipes.known(), help="this one alone (default: all)")
    parser.add_argument("--seed", type=int, help="this one alone (default: from 1 on)")
    given = parser.parse_args()
    for dataset, rows in TABLES.items():
        if given.dataset not in (None, dataset):
            continue
        ref = prepare(DATASETS[dataset]())
        train, test = load_split(ref, "train"), load_split(ref, "test")
        for row in rows:
            if given.recipe not in (None, row.recipe):
                continue
            own = fingerprint(row)
            for seed in [given.seed] if given.seed else range(1, row.seeds + 1):
                if str(seed) in runs_of(read(FIGURES), dataset, row, own):
                    continue
                new = figure(row.config(seed), train, test)
                print(f"{dataset}, {row.name}, seed {seed}: {new}", flush=True)
                keep(dataset, row, own, {str(seed): new})


if __name__ == "__main__":
    main()
