"""Several seeds: each as if it were alone, resumed where it was, and the best on validation published."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.evaluation.saved import evaluate_saved
from hemline.records.run import Rows, TrainedRun
from hemline.training import run, seeds
from tests.hemline.conftest import CPU

CONFIG = RetrainConfig(epochs=2, batch_size=70, validation=60, seed=7, seeds=3)


class Killed(BaseException):
    pass


def train(config: RetrainConfig, dataset: DatasetRef, directory: Path, until: str = "never") -> TrainedRun:
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if until in said and line.startswith("epoch 2/2  iteration"):
            raise Killed

    return seeds.train(config, dataset, CPU, directory, say)


def weights(path: Path) -> bytes:
    model = keras.saving.load_model(path / "model.keras")
    return b"".join(np.asarray(weight).tobytes() for weight in model.weights)


def test_each_seed_has_the_bits_of_its_own_run_and_the_best_is_published(tiny: DatasetRef, tmp_path: Path) -> None:
    trained = train(CONFIG, tiny, tmp_path / "three")
    assert list(trained.seeds) == [7, 8, 9]
    accuracies = {}
    for seed, path in trained.model_paths.items():
        alone = run.train(
            CONFIG.model_copy(update={"seed": seed, "seeds": 1}), tiny, CPU, tmp_path / str(seed), lambda line: None
        )
        assert weights(path.parent) == weights(alone.directory)
        accuracies[seed] = alone.epochs[-1]["val_accuracy"]
    assert trained.seeds == accuracies
    best = max(accuracies, key=accuracies.__getitem__)
    assert weights(trained.directory) == weights(tmp_path / str(best))
    for name in ("epochs.csv", "iterations.parquet"):
        read = pd.read_csv if name.endswith("csv") else pd.read_parquet
        pd.testing.assert_frame_equal(read(trained.directory / name), read(tmp_path / str(best) / name))
    found = evaluate_saved(tiny, CPU, trained).seeds
    assert found
    assert found.val_accuracy == accuracies
    values = list(found.test_accuracy.values())
    assert (found.mean, found.standard_deviation) == pytest.approx((np.mean(values), np.std(values, ddof=1)))


def test_a_killed_run_goes_on_with_the_seed_it_was_at(tiny: DatasetRef, tmp_path: Path) -> None:
    whole = train(CONFIG, tiny, tmp_path / "whole")
    with pytest.raises(Killed):
        train(CONFIG, tiny, tmp_path / "killed", until="seed 8")
    assert not (tmp_path / "killed" / "model.keras").exists()
    resumed = train(CONFIG, tiny, tmp_path / "killed")
    assert resumed.seeds == whole.seeds
    for mine, other in zip(resumed.model_paths.values(), whole.model_paths.values(), strict=True):
        assert weights(mine.parent) == weights(other.parent)


def test_one_seed_is_a_run_as_ever(tiny: DatasetRef, tmp_path: Path) -> None:
    rows: list[Rows] = []
    one = CONFIG.model_copy(update={"seeds": 1})
    trained = seeds.train(one, tiny, CPU, tmp_path, lambda line: None, lambda epochs: rows.append(list(epochs)))
    assert (trained.seeds, [len(each) for each in rows]) == ({}, [1, 2])
    assert not (tmp_path / "seeds").exists()
    assert evaluate_saved(tiny, CPU, trained).seeds is None
