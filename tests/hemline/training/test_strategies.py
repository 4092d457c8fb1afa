"""Several devices: two logical CPUs and two processes that talk over loopback, against one device.

Replicas are equal bit for bit, in one process and across two. Against one device the sums of a batch are
taken in another order, and training makes more of it: TOLERANCE is 10 times the largest difference seen in
any weight after the 24 steps of this test.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hemline.data.dataset import DatasetRef
from hemline.errors import DeviceError
from hemline.runtime.devices import select

TOLERANCE = 2e-5

# A process as a run's: the devices first, then everything else. Its last line says what it trained.
TRAIN = """
import hashlib, json, sys
from pathlib import Path
from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.runtime.devices import scope, select, set_up
dataset, directory, replicas = sys.argv[1:]
device = select("cpu", int(replicas), batch_size=32)
set_up(device)
import keras, numpy as np, tensorflow as tf
from hemline.training import run
from hemline.models.layer_norm import LayerNorm
made = []
build = run.build
run.build = lambda *args: made.append(build(*args)) or made[-1]
# 240 examples in 7 batches of 32 and one of 16: of the last, the second replica has nothing but padding.
config = RetrainConfig(
    epochs=3, batch_size=32, validation=60, replicas=int(replicas), ema_momentum=0.9,
    groups={"lower": {"clip_norm": 1.0}},
)
dataset = DatasetRef.model_validate_json(dataset)
trained = run.train(config, dataset, device, Path(directory), say=lambda line: print(line, flush=True))
with scope(device):
    local = tf.distribute.get_strategy().experimental_local_results
    replicas = {
        hashlib.sha256(b"".join(local(v.value)[k].numpy().tobytes() for v in made[0].variables)).hexdigest()
        for k in range(device.replicas)
    }
np.savez(Path(directory) / "weights", *[v.numpy() for v in keras.saving.load_model(trained.model_path).variables])
epochs = [{name: value for name, value in row.items() if "second" not in name} for row in trained.epochs]
print(json.dumps({"replicas": sorted(replicas), "epochs": epochs}))
"""


class Process:
    """Trains in a process of its own."""

    def __init__(self, dataset: DatasetRef, directory: Path, replicas: int = 1, tf_config: str = ""):
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.popen = subprocess.Popen(
            [sys.executable, "-c", TRAIN, dataset.model_dump_json(), str(directory), str(replicas)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"TF_CONFIG": tf_config},
        )

    def result(self) -> dict[str, Any]:
        """What it trained, and `said`, the lines before."""
        out, errors = self.popen.communicate(timeout=300)
        assert self.popen.returncode == 0, errors[-3000:]
        *said, last = out.splitlines()
        return json.loads(last) | {"said": said}

    def weights(self) -> np.ndarray:
        """Of the saved model, one after the other."""
        with np.load(self.directory / "weights.npz") as arrays:
            return np.concatenate([arrays[name].ravel() for name in arrays.files])


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
    one, two = Process(tiny, tmp_path / "one"), Process(tiny, tmp_path / "two", replicas=2)
    alone, mirrored = one.result(), two.result()
    assert len(mirrored["replicas"]) == 1
    assert mirrored["replicas"] != alone["replicas"]  # or it was not divided at all
    assert abs(one.weights() - two.weights()).max() < TOLERANCE
    for single, double in zip(alone["epochs"], mirrored["epochs"], strict=True):
        assert single == pytest.approx(double, rel=1e-4)

    # Two processes, killed at different moments and started again: the same bits as two replicas of one.
    workers = [Process(tiny, tmp_path / f"worker{n}", tf_config=each) for n, each in enumerate(cluster())]
    for line in workers[1].popen.stdout or []:
        if line.startswith("epoch 2/3  train_loss"):
            break
    for worker in workers:
        worker.popen.kill()
        worker.popen.communicate()
    newest = max((tmp_path / "worker1" / "checkpoints").glob("epoch-*"))
    newest.rename(newest.with_name("lost"))
    workers = [Process(tiny, tmp_path / f"worker{n}", tf_config=each) for n, each in enumerate(cluster())]
    results = [worker.result() for worker in workers]
    assert "resumed at epoch 2" in results[0]["said"][0]
    assert [result["replicas"] for result in results] == [mirrored["replicas"]] * 2
    for worker in workers:
        assert (worker.directory / "epochs.csv").exists()
        assert worker.weights().tobytes() == two.weights().tobytes()
    assert results[0]["epochs"] == results[1]["epochs"] == mirrored["epochs"]


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
