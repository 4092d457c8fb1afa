"""A training process that is killed at any moment and started again ends with the same bytes."""

import random
import signal
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.runtime.devices import select
from hemline.training import run
from tests.forked import Ended, Forked
from tests.hemline.conftest import write_dataset
from tests.system import dying_run

pytestmark = pytest.mark.system
# 25 steps an epoch, a checkpoint every 10 of them: 9 checkpoints, 3 of which end an epoch.
CONFIG = RetrainConfig(epochs=3, batch_size=10, validation=56, checkpoint_steps=10, early_stopping=3)


def train(config: RetrainConfig, dataset: DatasetRef, directory: Path, moment: str) -> Ended:
    return Forked(dying_run.train, dataset, config, directory, moment).ended()


def resumed(done: Ended) -> bool:
    return any("resumed at epoch" in line for line in done.said)


def tables(directory: Path) -> dict[str, bytes]:
    """Every table's bytes, without what a killed writer leaves; timing.csv is not among them: time does not repeat."""
    iterations = sorted(str(path.relative_to(directory)) for path in directory.glob("iter*/[!.]*"))
    names = ["epochs.csv", "epochs.parquet", *iterations]
    return {name: (directory / name).read_bytes() for name in names}


def final_state(directory: Path) -> dict[str, np.ndarray]:
    """Every weight and every optimizer's variable after the last step."""
    reader = tf.train.load_checkpoint(str(directory / "checkpoints" / "epoch-00004-step-000000" / "state"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name}


@pytest.mark.parametrize(
    "model",
    [
        "mlp",
        pytest.param("cnn", marks=pytest.mark.slow),
        pytest.param("tests.hemline.models.own_models:everything", marks=pytest.mark.slow),
    ],
)
def test_killed_and_started_again_it_ends_with_the_same_bytes(model: str, tmp_path: Path) -> None:
    """Killed in compiled code before its first checkpoint, twice where it writes, and started again each time.

    The run that is left alone is one of this process: its other history must not change a byte.
    """
    config = CONFIG.model_copy(update={"model": model})
    dataset = write_dataset(tmp_path / "data", {"train": 300, "test": 10})
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    run.train(config, dataset, select("cpu"), alone, say=lambda line: None)
    # A run syncs more than 90 times. The seed is fixed so that a failure can be looked at again.
    for moment in ["chunk:1", *(f"sync:{number}" for number in random.Random(5).sample(range(1, 45), 2))]:
        resumes = list((killed / "checkpoints").glob("epoch-*"))
        done = train(config, dataset, killed, moment)
        assert done.code == -signal.SIGKILL, done.errors
        assert resumed(done) == bool(resumes)
    assert list((killed / "checkpoints").glob("epoch-*"))
    done = train(config, dataset, killed, "never")
    assert done.code == 0, done.errors
    assert resumed(done)

    assert tables(killed) == tables(alone)
    ours, expected = final_state(killed), final_state(alone)
    assert ours.keys() == expected.keys()
    assert len(ours) >= 20  # weights, Adam's moments, iterations
    for name in expected:
        np.testing.assert_array_equal(ours[name], expected[name], err_msg=name)


def test_several_seeds_killed_and_started_again_end_with_the_bytes_of_single_runs(tmp_path: Path) -> None:
    """Killed while the first two are under way, and while the third is."""
    config = CONFIG.model_copy(update={"seed": 7, "seeds": 3})
    dataset = write_dataset(tmp_path / "data", {"train": 300, "test": 10})
    killed = tmp_path / "killed"
    for moment in ("sync:60", "sync:170"):
        done = train(config, dataset, killed, moment)
        assert done.code == -signal.SIGKILL, done.errors
    assert not (killed / "model.keras").exists()
    done = train(config, dataset, killed, "never")
    assert done.code == 0, done.errors
    assert resumed(done)
    for seed in (7, 8, 9):
        alone, own = tmp_path / str(seed), config.model_copy(update={"seed": seed, "seeds": 1})
        run.train(own, dataset, select("cpu"), alone, say=lambda line: None)
        together = killed / "seeds" / str(seed)
        assert tables(together) == tables(alone)
        ours, expected = final_state(together), final_state(alone)
        assert ours.keys() == expected.keys()
        for name in expected:
            np.testing.assert_array_equal(ours[name], expected[name], err_msg=name)
