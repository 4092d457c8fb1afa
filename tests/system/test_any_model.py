"""Two models on one machine, by `prefect deployment run`: the CNN on Fashion-MNIST, and pictures of one's own."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hemline.registry.champion import Registry, names
from hemline.registry.versions import load
from tests.hemline.data.albums import write_album
from tests.system.conftest import Installation

pytestmark = [pytest.mark.system, pytest.mark.slow]
RUNS = {
    "shoes": {"model": "cnn", "epochs": 1, "name": "shoes", "device": "cpu"},
    "pets": {"dataset": "folder:pets", "image_size": 24, "epochs": 5, "validation": 200, "batch_size": 50},
}


@pytest.fixture(scope="module")
def artifacts(installation: Installation) -> Path:
    """Of a machine on which both were trained."""
    write_album(installation.root / "pets", {"": 834}, size=(40, 30))  # times three classes
    for name, config in RUNS.items():
        parameters = json.dumps({"config": config})
        words = ["-m", "prefect", "deployment", "run", "retrain/smoke", "--params", parameters, "--watch"]
        done = installation.run(*words)
        assert done.returncode == 0, name + done.stdout + done.stderr
    return installation.root / "artifacts"


@pytest.mark.parametrize(("name", "least"), [("shoes", 0.75), ("pets", 0.9)])
def test_it_was_trained_promoted_and_is_served(artifacts: Path, name: str, least: float) -> None:
    assert Registry(artifacts, name).champion() == "1"
    model, manifest = load(artifacts / "models" / name / "1")
    assert manifest.evaluation.accuracy > least
    assert manifest.device.settings["xla"] == ("off" if name == "shoes" else "on")
    images = np.random.default_rng(0).integers(0, 256, (3, *manifest.dataset.image_shape), np.uint8)
    (served,) = (artifacts / "serving" / name).iterdir()
    answers = tf.saved_model.load(served).signatures["serving_default"](image=tf.constant(images))
    np.testing.assert_allclose(answers["probabilities"], tf.nn.softmax(model(images)), atol=1e-5)


def test_a_rollback_of_one_does_not_touch_the_other(artifacts: Path, installation: Installation) -> None:
    assert names(artifacts) == ["pets", "shoes"]
    again = json.dumps({"config": RUNS["pets"] | {"force": True}})
    retrain = ["-m", "prefect", "deployment", "run", "retrain/smoke", "--params", again]
    assert installation.run(*retrain, "--watch").returncode == 0
    registry = Registry(artifacts, "pets")
    registry.promote("2", "a test", "so that there is one to go back from")
    rollback = [
        "-m",
        "prefect",
        "deployment",
        "run",
        "rollback/champion",
        "--param",
        "name=pets",
        "--param",
        "reason=no",
    ]
    done = installation.run(*rollback, "--watch")
    assert done.returncode == 0, done.stdout + done.stderr
    assert registry.champion() == "1"
    assert [entry.decision for entry in Registry(artifacts, "shoes").entries()] == ["promoted"]
