"""Several devices: two logical CPUs and two processes that talk over loopback, against one device.

Replicas are equal bit for bit, in one process and across two. Against one device the sums of a batch are
taken in another order, and training makes more of it: TOLERANCE is 20 times the largest difference seen in
any weight after the 16 steps of this test.
"""

import hashlib
import json
import os
import shutil
import signal
import socket
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from hemline import models
from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.errors import DeviceError
from hemline.runtime.devices import scope, select, set_up
from hemline.training import run
from tests.forked import Forked
from tests.hemline.conftest import CPU

TOLERANCE = 5e-6

# 240 examples in 7 batches of 32 and one of 16: of the last, the second replica has nothing but padding.
CONFIG = RetrainConfig.model_validate(
    {
        "epochs": 2,
        "batch_size": 32,
        "validation": 60,
        "ema_momentum": 0.9,
        "checkpoint_steps": 4,
        "groups": {"lower": {"clip_norm": 1.0}},
    }
)


class Process:
    """Trains in a process of its own, until its end or, if that is given, to the first line that begins so."""

    def __init__(
        self,
        dataset: DatasetRef,
        directory: Path,
        replicas: int = 1,
        tf_config: str = "",
        last_line: str = "",
        model: str = "mlp",
    ):
        directory.mkdir(exist_ok=True)
        self.directory = directory
        config = CONFIG.model_copy(update={"replicas": replicas, "model": model})
        self.process = Forked(train, dataset, config, directory, last_line, environment={"TF_CONFIG": tf_config})

    def result(self) -> tuple[list[str], list[str]]:
        """Digests of its replicas, as many as differ, and the lines that it said."""
        code, said, errors = self.process.ended()
        assert code == 0, errors[-3000:]
        *said, last = said
        return json.loads(last), said


def train(dataset: DatasetRef, config: RetrainConfig, directory: Path, last_line: str) -> None:
    """As a run does: the devices first. Its last line has a digest of each replica's weights."""
    device = select("cpu", config.replicas, config.batch_size)
    set_up(device)
    made: list[keras.Model] = []

    def build(*arguments: Any) -> keras.Model:
        made.append(models.build(*arguments))
        return made[-1]

    def say(line: str) -> None:
        print(line, flush=True)
        if last_line and line.startswith(last_line):
            os.kill(os.getpid(), signal.SIGKILL)

    run.build = build  # type: ignore[assignment]
    run.train(config, dataset, device, directory, say)
    with scope(device):
        local = tf.distribute.get_strategy().experimental_local_results
        replicas = [
            b"".join(local(variable.value)[number].numpy().tobytes() for variable in made[0].variables)
            for number in range(device.replicas)
        ]
    print(json.dumps(sorted({hashlib.sha256(each).hexdigest() for each in replicas})))


def weights(directory: Path) -> np.ndarray:
    """Of the saved model, one after the other."""
    model = keras.saving.load_model(directory / "model.keras")
    return np.concatenate([variable.numpy().ravel() for variable in model.variables])


def cluster() -> list[str]:
    """TF_CONFIG of two workers on ports that are free now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    hosts = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return [
        json.dumps({"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}) for index in range(2)
    ]


def test_replicas_are_equal_and_agree_with_one_device(tiny: DatasetRef, tmp_path: Path) -> None:
    two = Process(tiny, tmp_path / "two", replicas=2)
    (tmp_path / "one").mkdir()
    alone = run.train(CONFIG, tiny, CPU, tmp_path / "one", say=lambda line: None)
    replicas, _ = two.result()
    assert len(replicas) == 1
    difference = abs(weights(alone.directory) - weights(two.directory)).max()
    assert 0 < difference < TOLERANCE  # with 0 it was not divided at all
    mirrored = pd.read_csv(two.directory / "epochs.csv").to_dict("records")
    for single, double in zip(alone.epochs, mirrored, strict=True):
        assert single == pytest.approx(double, rel=1e-4)

    # Two processes, killed after their first epoch; one has lost its newest checkpoint. Started again they end with
    # the same bits as two replicas of one process.
    directories = [tmp_path / "worker0", tmp_path / "worker1"]
    killed = [
        Process(tiny, directory, tf_config=place, last_line="epoch 1/2  train_loss")
        for directory, place in zip(directories, cluster(), strict=True)
    ]
    for worker in killed:
        code, _, errors = worker.process.ended()
        assert code == -signal.SIGKILL, errors[-3000:]
    shutil.rmtree(max((directories[1] / "checkpoints").glob("epoch-*")))
    workers = [
        Process(tiny, directory, tf_config=place) for directory, place in zip(directories, cluster(), strict=True)
    ]
    for worker, (digests, said) in zip(workers, [worker.result() for worker in workers], strict=True):
        assert "resumed at epoch 1, iteration 5" in said[0]
        assert digests == replicas
        assert weights(worker.directory).tobytes() == weights(two.directory).tobytes()
        assert pd.read_csv(worker.directory / "epochs.csv").to_dict("records") == mirrored


def test_moving_averages_are_of_all_replicas(tiny: DatasetRef, tmp_path: Path) -> None:
    """Each replica had its own, of its share of the batches, and the first one's were saved."""
    (digest,), _ = Process(tiny, tmp_path, replicas=2, model="tests.hemline.models.own_models:everything").result()
    assert digest


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(DeviceError, match="batch_size=32 for 3 replicas"):
        select("cpu", replicas=3, batch_size=32)


@pytest.mark.parametrize("text", ["{", '{"cluster": {"worker": ["a:1", "b:1"]}}', '{"task": {}}', "[]"])
def test_a_tf_config_that_names_no_place_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(DeviceError, match="TF_CONFIG must name this task and the cluster's workers"):
        select("cpu")


def test_replicas_of_workers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", cluster()[0])
    with pytest.raises(DeviceError, match="replicas=2, 2 workers"):
        select("cpu", replicas=2)
