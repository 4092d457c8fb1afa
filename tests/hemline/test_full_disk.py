"""A disk that fills at any step of a run is a refusal, and the run ends with the same bits once there is room."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from hemline.config.retrain import RetrainConfig
from hemline.errors import StorageError
from hemline.evaluation.saved import evaluate_saved
from hemline.registry import versions
from hemline.registry.champion import Registry
from hemline.storage.files import whole_file
from hemline.storage.seals import require_whole
from hemline.training import run
from tests.hemline.conftest import CPU, FinishedRun

pytestmark = pytest.mark.system
GROWS = 32  # kB each time; the run writes things of 1 kB to 200 kB, 1 MB in all


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A disk of so many kB. Skips where this user cannot make one."""
    path = tmp_path / "disk"
    path.mkdir()

    def mount(kilobytes: int, *options: str) -> int:
        command = ["mount", "-t", "tmpfs", "-o", ",".join([*options, f"size={kilobytes}k"]), "tmpfs", str(path)]
        return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode

    def of_size(kilobytes: int) -> Path:
        assert mount(kilobytes, "remount") == 0
        return path

    try:
        if mount(GROWS):
            pytest.skip("only root can mount a small disk")
    except FileNotFoundError:
        pytest.skip("there is no mount")
    yield of_size
    subprocess.run(["umount", str(path)], check=True)


def work(artifacts: Path, finished: FinishedRun) -> None:
    """What the tasks of a run do, as each does it when the run is tried again."""
    directory, config = artifacts / "runs" / "one", RetrainConfig(epochs=2, batch_size=32, validation=60)
    with whole_file(directory / "parity.csv") as path:
        pd.read_csv(finished.trained.directory / "parity.csv").to_csv(path, index=False)
    trained = run.train(config, finished.dataset, CPU, directory, say=lambda line: None)
    evaluate_saved(trained)
    registry = Registry(artifacts, "tiny")
    if versions.published_by(artifacts, "tiny", directory, finished.record.flow_run.id) is None:
        versions.publish(artifacts, finished.record, directory)
    if registry.champion() is None:
        registry.promote("1", by="a", reason="b")


def refusal(artifacts: Path, finished: FinishedRun) -> str:
    """What the work ends with; nothing, if there is room for all of it."""
    try:
        work(artifacts, finished)
    except StorageError as error:
        return str(error)
    return ""


@pytest.mark.slow
def test_a_disk_that_fills_at_any_step(disk: Callable[[int], Path], finished: FinishedRun) -> None:
    """Regression: a checkpoint on a full disk was 232 lines of traceback, for TensorFlow has errors of its own."""
    filled, size = set(), GROWS
    while refused := refusal(artifacts := disk(size), finished):
        assert "Received: No space left on device. What was written before is whole; make room" in refused
        name = refused.partition("write ")[2].partition(". Received")[0]
        filled.add(Path(name).relative_to(artifacts).parts[0 if "models" in name else 2])
        assert list(artifacts.rglob(".*")) == []
        for checkpoint in artifacts.glob("runs/one/checkpoints/*"):
            require_whole(checkpoint)
        size += GROWS
    assert {"checkpoints", "saved_model", "models"} <= filled

    directory = artifacts / "runs" / "one"
    for name in ("epochs.csv", "iterations.parquet/epoch-00002.parquet", "evaluation.json", "confusion.csv"):
        assert (directory / name).read_bytes() == (finished.trained.directory / name).read_bytes(), name
    model, _ = versions.load(artifacts / "models" / "tiny" / "1")
    alone = keras.saving.load_model(finished.trained.model_path)
    for ours, expected in zip(model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert Registry(artifacts, "tiny").champion() == "1"
