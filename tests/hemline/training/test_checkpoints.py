"""Checkpoints: what they hold, which are refused, which are passed over. Killed runs are in tests/system."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef, write_split
from hemline.errors import CheckpointError, DivergenceError
from hemline.records.run import TrainedRun
from hemline.runtime.devices import DeviceInfo
from hemline.storage.runs import lease
from hemline.training import run
from tests.hemline.conftest import CLASSES, CPU, SHAPE, pictures


def train(dataset: DatasetRef, directory: Path, device: DeviceInfo = CPU, **changes: Any) -> tuple[TrainedRun, str]:
    """The run and what it said."""
    said: list[str] = []
    config = RetrainConfig(**({"epochs": 3, "batch_size": 60, "validation": 60, "checkpoint_steps": 2} | changes))
    return run.train(config, dataset, device, directory, said.append), "\n".join(said)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "checkpoints").iterdir())


@pytest.fixture
def interrupted(tiny: DatasetRef, tmp_path: Path) -> Path:
    """Stopped in the second epoch of three, after the checkpoint at its step 2."""

    def stop(line: str) -> None:
        if line.startswith("epoch 2/3  iteration 4/4"):
            raise KeyboardInterrupt

    directory = tmp_path / "interrupted"
    config = RetrainConfig(epochs=3, batch_size=60, validation=60, checkpoint_steps=2)
    with pytest.raises(KeyboardInterrupt):
        run.train(config, tiny, CPU, directory, stop)
    return directory


def test_the_newest_are_kept(tiny: DatasetRef, tmp_path: Path) -> None:
    train(tiny, tmp_path, keep_checkpoints=2)
    assert names(tmp_path) == ["epoch-00003-step-000002", "epoch-00004-step-000000"]


def test_a_run_goes_on_from_the_newest_and_says_so(tiny: DatasetRef, interrupted: Path, tmp_path: Path) -> None:
    assert names(interrupted)[-1] == "epoch-00002-step-000002"
    resumed, said = train(tiny, interrupted)
    assert f"resumed at epoch 2, iteration 3, from {interrupted / 'checkpoints'}" in said
    whole, _ = train(tiny, tmp_path / "whole")
    assert resumed.epochs == whole.epochs
    for name in ("epochs.csv", "iterations.parquet/epoch-00002.parquet", "iterations.parquet/epoch-00003.parquet"):
        assert (interrupted / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_finished_run_has_nothing_left_to_train(tiny: DatasetRef, tmp_path: Path) -> None:
    first, _ = train(tiny, tmp_path)
    again, said = train(tiny, tmp_path)
    assert again.epochs == first.epochs
    assert "epoch 3/3" not in said


@pytest.mark.parametrize("file", ["state.index", "state.data-00000-of-00001", "record.json"])
def test_a_corrupt_newest_is_passed_over_loudly(
    file: str,
    tiny: DatasetRef,
    interrupted: Path,
    tmp_path: Path,
    flip_byte: Callable[[Path, int], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    flip_byte(interrupted / "checkpoints" / "epoch-00002-step-000002" / file, 0)
    with caplog.at_level(logging.WARNING):
        resumed, said = train(tiny, interrupted)
    assert "epoch-00002-step-000002 is passed over" in caplog.text
    assert "resumed at epoch 2, iteration 1" in said
    assert "corrupt-epoch-00002-step-000002" in names(interrupted)
    assert resumed.epochs == train(tiny, tmp_path / "whole")[0].epochs


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"epochs": 4}, "config.epochs was 3 and is 4"),
        ({"groups": {"upper": {"learning_rate": 0.2}}}, "config.groups.upper.learning_rate was 0.1 and is 0.2"),
    ],
)
def test_another_configuration_is_refused_with_the_difference(
    change: dict[str, Any], difference: str, tiny: DatasetRef, interrupted: Path
) -> None:
    before = names(interrupted)
    with pytest.raises(CheckpointError, match=difference):
        train(tiny, interrupted, **change)
    assert names(interrupted) == before


def test_other_data_is_refused(tiny: DatasetRef, interrupted: Path) -> None:
    other = tiny.model_copy(update={"class_names": ["other", *tiny.class_names[1:]]})
    with pytest.raises(CheckpointError, match="fingerprint was"):
        train(other, interrupted)


def test_where_and_how_often_files_are_kept_may_change(tiny: DatasetRef, interrupted: Path) -> None:
    _, said = train(tiny, interrupted, checkpoint_steps=None, keep_checkpoints=1)
    assert "resumed at epoch 2" in said


def test_other_settings_are_worth_a_warning(
    tiny: DatasetRef, interrupted: Path, caplog: pytest.LogCaptureFixture
) -> None:
    device = CPU.model_copy(update={"settings": CPU.settings | {"onednn": "0"}})
    with caplog.at_level(logging.WARNING):
        _, said = train(tiny, interrupted, device=device)
    assert "onednn was None and is 0" in caplog.text
    assert "resumed at epoch 2" in said


def test_a_worker_alone_with_its_checkpoints_keeps_them(
    tiny: DatasetRef, interrupted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker has none: its directory is new, or another's."""
    monkeypatch.setattr("hemline.training.checkpoints.smallest", lambda position: 0)
    before = names(interrupted)
    with pytest.raises(CheckpointError, match="all workers must have a checkpoint in common"):
        train(tiny, interrupted)
    assert names(interrupted) == before


def test_divergence_keeps_the_tables_and_the_last_good_checkpoint(tmp_path: Path) -> None:
    images, labels = pictures(100, np.random.default_rng(0))
    labels[17] = 99  # a label beyond the classes has no probability: XLA makes its loss NaN
    splits = {name: write_split(tmp_path, name, [(images, labels)]) for name in ("train", "test")}
    broken = DatasetRef(full_name="broken/1.0.0", path=tmp_path, image_shape=SHAPE, class_names=CLASSES, splits=splits)
    with pytest.raises(DivergenceError, match=r"epoch 1, iteration \d+ of 90"):
        train(broken, tmp_path, epochs=1, batch_size=1, validation=10, checkpoint_steps=1)
    newest = names(tmp_path)[-1]
    record = json.loads((tmp_path / "checkpoints" / newest / "record.json").read_text())
    iterations = pd.read_parquet(tmp_path / "iterations.parquet")
    assert np.isfinite(iterations["loss"]).all()
    assert len(iterations) == record["state"]["step"] > 0


def test_early_stopping_restores_the_best_weights(tiny: DatasetRef, tmp_path: Path) -> None:
    # A rate that overshoots now and then, so that the lowest validation loss is not the last.
    lower = {"optimizer": "sgd", "learning_rate": 3.0}
    trained, said = train(tiny, tmp_path, epochs=60, early_stopping=2, groups={"lower": lower})
    losses = [row["val_loss"] for row in trained.epochs]
    best = int(np.argmin(losses)) + 1
    assert len(losses) == best + 2 < 60
    assert f"restored the weights of epoch {best}, the best" in said
    assert [name for name in names(tmp_path) if name.startswith("best")] == [f"best-{best:05d}"]

    import keras

    from hemline.data.dataset import load_training
    from hemline.evaluation.scores import Score, compile_predict

    _, (images, labels) = load_training(tiny, 60)
    model = keras.saving.load_model(trained.model_path)
    assert Score.of(compile_predict(model)(images), labels).loss == losses[best - 1]


def test_only_one_process_writes_a_run(tmp_path: Path) -> None:
    with lease(tmp_path), pytest.raises(CheckpointError, match="only one process"), lease(tmp_path):
        pass
    with lease(tmp_path):
        pass
