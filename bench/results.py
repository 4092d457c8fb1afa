"""What the recipes reach on the test split, which is looked at once for each of them and seed.

    make results                        # trains what bench/results.json has not, and writes the table anew
    make results ARGS="--recipe fast-cnn --seed 2"

Everything was chosen with `python -m bench.choices`, which never sees the test split. A figure belongs to the values of
its recipe and to what the code makes of them: `fingerprint` of both is kept beside it, figures of another are trained
again, and tests/bench/test_results.py fails as long as they are not. Epochs are trained as a run trains them, on the
whole train split.
"""

import argparse
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import keras
import numpy as np

from hemline.config.data import DataConfig
from hemline.config.optimizers import OPTIMIZERS
from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import Arrays, load_split
from hemline.data.decoding import prepare
from hemline.evaluation.scores import Score, compile_predict
from hemline.models import build
from hemline.runtime.devices import under_xla
from hemline.storage.files import whole_file
from hemline.training.groups import averaged, partition
from hemline.training.loop import Trainer

FIGURES = Path(__file__).with_suffix(".json")
PAGE = Path(__file__).parents[1] / "docs" / "results.md"
BEGIN, END = "<!-- make results -->", "<!-- end -->"


@dataclass(frozen=True)
class Published:
    """How a recipe of the table came about."""

    tried: int | None  # configurations compared on the validation split; None: chosen before they were counted
    seeds: int = 5


PUBLISHED = {
    "chapter-listing": Published(tried=1),
    "chapter": Published(tried=1),
    "best-mlp": Published(tried=None),
    "nightly": Published(tried=14),
    "fast-cnn": Published(tried=12, seeds=3),
}


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


def trained(config: RetrainConfig, images: np.ndarray, labels: np.ndarray) -> Trained:
    """Trains as a run does, and leaves the model with the averages of its weights if the run keeps them."""
    model = build(config.model, images.shape[1:], 10, config.fixed_seed, config.precision, config.model_arguments)
    steps = -(-len(images) // config.batch_size)
    groups = partition(
        model,
        config.groups.by_name(),
        config.frozen,
        steps_per_epoch=steps,
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
    began, worked = time.perf_counter(), time.process_time()
    for epoch in range(1, config.epochs + 1):
        losses = np.concatenate([chunk.losses for chunk in trainer.epoch(epoch)])
    cpu, seconds = time.process_time() - worked, time.perf_counter() - began
    with averaged(groups):
        weights = model.get_weights()
    model.set_weights(weights)
    return Trained(model, losses, cpu, seconds)


def fingerprint(recipe: str) -> dict[str, Any]:
    """What a figure belongs to: the recipe's values with what its optimizers take where it says nothing, and the losses
    of the second of two short epochs on made-up images."""
    config = RetrainConfig(recipe=recipe, seed=1)
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


def figure(recipe: str, seed: int, train: Arrays, test: Arrays) -> dict[str, float]:
    """Trains and looks at the test split; where training mirrors pictures, also with mirror images' logits added."""
    config = RetrainConfig(recipe=recipe, seed=seed)
    result = trained(config, *train)
    images, labels = test
    logits = result.logits(images)
    measured = {
        "accuracy": Score.of(logits, labels).accuracy,
        "parameters": result.model.count_params(),
        "cpu_seconds": round(result.cpu, 1),
        "seconds": round(result.seconds, 1),
    }
    if config.model_arguments.get("flip"):
        mirrored = result.logits(np.ascontiguousarray(images[:, :, ::-1]))
        measured["with_mirrored"] = Score.of(logits + mirrored, labels).accuracy
    return measured


def table(figures: dict[str, Any]) -> str:
    """Markdown, a row for each recipe that has figures."""
    lines = [
        "| recipe | parameters | epochs | test accuracy | with mirror images | seeds | tried | CPU seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for recipe, published in PUBLISHED.items():
        runs = [run for seed, run in sorted(figures.get(recipe, {}).get("runs", {}).items())]
        if not runs:
            continue

        def spread(name: str, runs: list[dict[str, float]] = runs) -> str:
            values = [run[name] for run in runs if name in run]
            if not values:
                return ""
            return f"{mean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")

        epochs, cpu = RetrainConfig(recipe=recipe).epochs, mean(run["cpu_seconds"] for run in runs)
        cells = [f"`{recipe}`", f"{runs[0]['parameters']:,}", epochs, spread("accuracy"), spread("with_mirrored")]
        tried = "not counted" if published.tried is None else published.tried
        lines.append(f"| {' | '.join(map(str, [*cells, len(runs), tried, round(cpu)]))} |")
    return "\n".join(lines)


def written(page: str, figures: dict[str, Any]) -> str:
    """The page with the table of these figures between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(figures)}\n{END}{after}"


def main() -> None:
    """Trains what is missing and writes each figure as it comes, so that it can be ended and begun again."""
    parser = argparse.ArgumentParser(prog="python -m bench.results", description=__doc__.partition("\n")[0])
    parser.add_argument("--recipe", choices=PUBLISHED, help="this one alone (default: all)")
    parser.add_argument("--seed", type=int, help="this one alone (default: from 1 on)")
    given = parser.parse_args()
    dataset = prepare(DataConfig())
    train, test = load_split(dataset, "train"), load_split(dataset, "test")
    for recipe, published in PUBLISHED.items():
        if given.recipe not in (None, recipe):
            continue
        own = fingerprint(recipe)
        precision = RetrainConfig(recipe=recipe).precision
        for seed in [given.seed] if given.seed else range(1, published.seeds + 1):
            figures = json.loads(FIGURES.read_text())  # each time: two processes may divide the work
            kept = figures.get(recipe)
            runs = kept["runs"] if kept and same(kept["fingerprint"], own, precision) else {}
            if str(seed) in runs:
                continue
            new = figure(recipe, seed, train, test)
            print(f"{recipe}, seed {seed}: {new}", flush=True)
            figures = json.loads(FIGURES.read_text())
            kept = figures.get(recipe)
            runs = kept["runs"] if kept and same(kept["fingerprint"], own, precision) else {}
            figures[recipe] = {"fingerprint": own, "runs": dict(sorted((runs | {str(seed): new}).items()))}
            with whole_file(FIGURES) as path:
                path.write_text(json.dumps(figures, indent=1) + "\n")
            PAGE.write_text(written(PAGE.read_text(), figures))


if __name__ == "__main__":
    main()
