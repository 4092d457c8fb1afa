"""Several seeds: each as if it were alone, resumed where it was, and the best on validation published."""

import itertools
import os
import signal
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.errors import DivergenceError
from hemline.evaluation.saved import evaluate_saved
from hemline.models import build
from hemline.records.run import Rows, TrainedRun
from hemline.training import run, seeds
from tests.hemline.conftest import CPU, write_dataset

CONFIG = RetrainConfig(epochs=2, batch_size=70, validation=60, seed=7, seeds=3, log_lines=1)


class Killed(BaseException):
    pass


def train(config: RetrainConfig, dataset: DatasetRef, directory: Path, until: str = "never") -> TrainedRun:
    def say(line: str) -> None:
        if line.startswith(until):
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
    found = evaluate_saved(trained).seeds
    assert found
    assert found.val_accuracy == accuracies
    values = list(found.test_accuracy.values())
    assert (found.mean, found.standard_deviation) == pytest.approx((np.mean(values), np.std(values, ddof=1)))


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_killed_run_goes_on_with_the_seeds_it_was_at(
    at_once: int, tiny: DatasetRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(at_once))
    whole = train(CONFIG, tiny, tmp_path / "whole")
    with pytest.raises(Killed):
        train(CONFIG, tiny, tmp_path / "killed", until="seed 8  epoch 2/2  iteration")
    assert not (tmp_path / "killed" / "model.keras").exists()
    left = {path.name for path in (tmp_path / "killed" / "seeds" / "8" / "checkpoints").iterdir()}
    assert left == {"epoch-00002-step-000000"}
    said: list[str] = []
    resumed = seeds.train(CONFIG, tiny, CPU, tmp_path / "killed", said.append)
    assert "seed 8  resumed at epoch 2, iteration 1" in said
    assert resumed.seeds == whole.seeds
    for mine, other in zip(resumed.model_paths.values(), whole.model_paths.values(), strict=True):
        assert weights(mine.parent) == weights(other.parent)


def test_a_signal_leaves_a_checkpoint_of_every_seed_that_trains_and_begins_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The main thread has the signal, and the threads of the seeds have the steps."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(2))
    dataset = write_dataset(tmp_path / "data", {"train": 3000, "test": 10})
    config = RetrainConfig(
        epochs=3, batch_size=10, validation=440, seed=7, seeds=3, log_lines=1
    )  # 256 steps an epoch: two chunks
    started: set[str] = set()

    def say(line: str) -> None:
        if "  epoch 1/3  iteration 128/" in line:
            started.add(line[:6])
            if len(started) == 2:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        seeds.train(config, dataset, CPU, tmp_path / "told", say)
    told = tmp_path / "told"
    assert sorted(path.name for path in (told / "seeds").iterdir()) == ["7", "8"]
    for seed in ("7", "8"):
        assert list((told / "seeds" / seed / "checkpoints").iterdir())
    resumed, whole = (
        seeds.train(config, dataset, CPU, tmp_path / name, lambda line: None) for name in ("told", "alone")
    )
    for mine, other in zip(resumed.model_paths.values(), whole.model_paths.values(), strict=True):
        assert weights(mine.parent) == weights(other.parent)


def test_one_seed_is_a_run_as_ever(tiny: DatasetRef, tmp_path: Path) -> None:
    rows: list[Rows] = []
    one = CONFIG.model_copy(update={"seeds": 1})
    trained = seeds.train(one, tiny, CPU, tmp_path, lambda line: None, lambda epochs: rows.append(list(epochs)))
    assert (trained.seeds, [len(each) for each in rows]) == ({}, [1, 2])
    assert not (tmp_path / "seeds").exists()
    assert evaluate_saved(trained).seeds is None


def test_a_seed_that_diverges_ends_the_run_and_is_named(
    tiny: DatasetRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others have a checkpoint of the step at which they were told."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(2))
    config = CONFIG.model_copy(update={"model": "tests.hemline.training.test_seeds:diverging", "epochs": 50})
    with pytest.raises(DivergenceError, match=r"^seed 8: the training loss must stay finite\. Received: loss=nan at"):
        seeds.train(config, tiny, CPU, tmp_path, lambda line: None)
    assert list((tmp_path / "seeds" / "7" / "checkpoints").iterdir())
    assert not (tmp_path / "seeds" / "7" / "model.keras").exists()
    assert not (tmp_path / "seeds" / "9").exists()


def diverging(image_shape: tuple[int, int, int], classes: int, seed: int, precision: str) -> keras.Model:
    """A network whose first weights are no numbers if the seed is 8."""
    model = build("mlp", image_shape, classes, seed, precision)
    if seed == 8:
        model.get_layer("logits").bias.assign(np.full(classes, np.nan))
    return model


def test_the_data_is_loaded_once_and_each_program_compiled_once(
    tiny: DatasetRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[run.Shared] = []
    load, number = run.load_training, itertools.count()

    class Kept(run.Shared):
        def __init__(self, *given: Any):
            super().__init__(*given)
            made.append(self)

    def counted(*given: Any) -> Any:
        next(number)
        return load(*given)

    monkeypatch.setattr(run, "Shared", Kept)
    monkeypatch.setattr(run, "load_training", counted)
    train(CONFIG, tiny, tmp_path)
    (shared,) = made
    assert shared.programs
    assert (next(number), shared.programs.number) == (1, 1)  # the steps


def test_early_stopping_is_each_seeds_own(tiny: DatasetRef, tmp_path: Path) -> None:
    constant = {"schedule": {"kind": "constant"}}
    groups = {"lower": constant | {"optimizer": "sgd", "learning_rate": 3.0}, "upper": constant}  # overshoots
    config = RetrainConfig(epochs=20, batch_size=60, validation=60, seed=7, seeds=3, early_stopping=1, groups=groups)
    said: list[str] = []
    trained = seeds.train(config, tiny, CPU, tmp_path / "three", said.append)
    lengths = {seed: len(pd.read_csv(path.with_name("epochs.csv"))) for seed, path in trained.model_paths.items()}
    assert max(lengths.values()) < 20
    for seed, path in trained.model_paths.items():
        own = config.model_copy(update={"seed": seed, "seeds": 1})
        alone = run.train(own, tiny, CPU, tmp_path / str(seed), lambda line: None)
        assert (len(alone.epochs), weights(alone.directory)) == (lengths[seed], weights(path.parent))
        assert any(line.startswith(f"seed {seed}  restored the weights of epoch") for line in said)


def test_one_at_a_time_where_several_devices_share_a_batch() -> None:
    config = RetrainConfig(seeds=100)
    for device in ({"kind": "gpu"}, {"replicas": 2}, {"workers": 2}):
        assert seeds.at_once(config, CPU.model_copy(update=device)) == 1
    assert seeds.at_once(config, CPU) == len(os.sched_getaffinity(0))
    assert seeds.at_once(RetrainConfig(seeds=1), CPU) == 1
