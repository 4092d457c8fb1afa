"""Event files for TensorBoard, read back as it reads them."""

import shutil
from collections import defaultdict
from pathlib import Path

import pandas as pd
import pytest
import tensorflow as tf

from hemline.config.retrain import RetrainConfig
from hemline.training import run
from hemline.training.tensorboard import DIRECTORY
from tests.hemline.conftest import CPU, FinishedRun


def events(directory: Path) -> dict[str, list[tuple[int, float]]]:
    """Steps and values by tag, of all files in their order."""
    found = defaultdict(list)
    for file in sorted((directory / DIRECTORY).iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                found[value.tag].append((event.step, value.simple_value))
    return found


def test_a_run_that_goes_on_has_each_event_once(finished: FinishedRun, tmp_path: Path) -> None:
    config = finished.record.config.model_copy(update={"tensorboard": True})
    trained = run.train(config, finished.dataset, CPU, tmp_path, say=print)
    assert trained.epochs == finished.trained.epochs  # it decides nothing
    written = events(tmp_path)
    table = pd.read_parquet(tmp_path / "iterations.parquet")
    assert [step for step, _ in written["iteration/running_loss"]] == table["step"].tolist()
    assert [value for _, value in written["iteration/running_loss"]] == pytest.approx(table["running_loss"].tolist())
    for name in trained.epochs[0].keys() - {"epoch"}:
        expected = [(row["epoch"], pytest.approx(row[name])) for row in trained.epochs]
        assert written[f"epoch/{name}"] == expected, name
    # As if killed in the second epoch, once after its events were written and once before.
    for lost in ([], [tmp_path / DIRECTORY / "00002.tfevents"]):
        shutil.rmtree(max((tmp_path / "checkpoints").glob("epoch-*")))
        for path in lost:
            path.unlink()
        run.train(config, finished.dataset, CPU, tmp_path, say=print)
        assert events(tmp_path) == written
    assert sorted(path.name for path in (tmp_path / DIRECTORY).iterdir()) == ["00001.tfevents", "00002.tfevents"]


def test_it_is_not_written_unless_it_is_asked_for(finished: FinishedRun) -> None:
    assert not (finished.trained.directory / DIRECTORY).exists()
    assert RetrainConfig(tensorboard=True).what_is_computed() == RetrainConfig().what_is_computed()
