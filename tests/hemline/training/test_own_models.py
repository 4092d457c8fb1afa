"""A model with convolutions, and one's own with dropout and BatchNormalization: trained, killed, resumed, saved."""

import importlib
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from hemline.config.optimizers import OptimizerGroup, OptimizerGroups
from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.errors import CheckpointError, ConfigurationError
from hemline.models import build, load
from hemline.records.run import TrainedRun
from hemline.training import run
from hemline.training.groups import labelled_variables, layers_of, partition
from hemline.training.loop import Trainer
from tests.hemline.conftest import CPU
from tests.hemline.models import own_models as own
from tests.hemline.models.own_models import ending, layers

OWN = "tests.hemline.models.own_models:everything"
SETTINGS: dict[str, Any] = {"epochs": 3, "batch_size": 70, "validation": 60, "checkpoint_steps": 2, "log_lines": 3}
LENGTH: dict[str, Any] = {"steps_per_epoch": 4, "epochs": 3}


class Killed(BaseException):
    pass


def train(model: str, dataset: DatasetRef, directory: Path, until: str = "never", **changes: Any) -> TrainedRun:
    def say(line: str) -> None:
        if line.startswith(until):
            raise Killed

    return run.train(RetrainConfig(model=model, **SETTINGS | changes), dataset, CPU, directory, say)


def bits(trained: TrainedRun) -> bytes:
    model = keras.saving.load_model(trained.model_path)
    return b"".join(np.asarray(weight).tobytes() for weight in model.weights)


@pytest.mark.parametrize(
    ("model", "changes"),
    # The recipe's: Muon on kernels, images mirrored and moved, averages, bfloat16.
    [("cnn", {}), ("fast_cnn", {"recipe": "fast-cnn"}), (OWN, {})],
)
def test_a_killed_run_ends_with_the_bits_of_an_undisturbed_one(
    model: str, changes: dict[str, Any], tiny: DatasetRef, tmp_path: Path
) -> None:
    """Moving averages were not missing from a checkpoint, but a generator's state would have been."""
    whole = train(model, tiny, tmp_path / "whole", **changes)
    for number, place in enumerate(["epoch 2/3  iteration 2/4", "epoch 3/3  train_loss"]):
        with pytest.raises(Killed):
            train(model, tiny, tmp_path / f"killed {number}", until=place, **changes)
        resumed = train(model, tiny, tmp_path / f"killed {number}", **changes)
        assert resumed.epochs == whole.epochs
        assert bits(resumed) == bits(whole)


def test_a_custom_model_trains_without_a_word_about_groups(tiny: DatasetRef) -> None:
    model = build(OWN, tiny.image_shape, 3, seed=1)
    assert layers_of(model, OptimizerGroups().by_name()) == {
        "lower": ["dense", "batch_normalization"],
        "upper": ["dense_1"],
    }
    groups = partition(model, OptimizerGroups().by_name(), **LENGTH)
    assert sum(len(group.variables) for group in groups) == len(model.trainable_variables) == 6


def test_every_variable_of_a_finished_network_is_in_a_group() -> None:
    """All had one name, so that one was trained and the others were not, without a word."""
    model = own.on(own.backbone())
    assert list(labelled_variables(model)) == [
        "backbone/conv/kernel",
        "backbone/conv/bias",
        "backbone/norm/gamma",
        "backbone/norm/beta",
        "top/kernel",
        "top/bias",
    ]
    groups = partition(model, OptimizerGroups().by_name(), **LENGTH)
    assert [len(group.variables) for group in groups] == [4, 2]


def test_names_are_the_same_in_a_loaded_model(tmp_path: Path) -> None:
    model = own.on(own.backbone())
    model.save(tmp_path / "model.keras")
    assert list(labelled_variables(load(tmp_path / "model.keras"))) == list(labelled_variables(model))


def test_variables_that_one_optimizer_could_not_train_are_refused() -> None:
    shared = layers.Dense(16, name="shared")
    twice = ending(keras.Sequential([keras.Input((16,)), shared], name="inner"), shared, layers.Dense(3))
    with pytest.raises(ConfigurationError, match="shared/kernel is in inner/shared/kernel and in shared/kernel"):
        labelled_variables(twice)

    def part() -> keras.Model:
        return keras.Model(x := keras.Input((4,)), layers.Dense(4, name="one")(x))

    x = keras.Input((4,))
    both = keras.Model(x, part()(part()(x)), name="both")
    with pytest.raises(ConfigurationError, match="2 variables are called both/one/kernel"):
        labelled_variables(keras.Model(y := keras.Input((4,)), both(y)))


def test_a_name_with_a_wildcard_is_a_name() -> None:
    model = ending(layers.Dense(3, name="a[b]"), layers.Dense(3, name="c"))
    assert [group.name for group in partition(model, OptimizerGroups().by_name(), **LENGTH)] == ["lower", "upper"]


def test_a_model_of_one_layer_says_that_it_has_no_lower_ones() -> None:
    with pytest.raises(ConfigurationError, match="group 'lower' has no layer; null removes it"):
        partition(ending(layers.Dense(3)), OptimizerGroups().by_name())


def trainer(model: keras.Model, images: np.ndarray, batch_size: int) -> Trainer:
    groups = {"all": OptimizerGroup(layers=["*"], optimizer="sgd", learning_rate=0.1)}
    labels = np.arange(len(images), dtype=np.int32) % 3
    return Trainer(model, partition(model, groups), images, labels, batch_size=batch_size, seed=1)


def test_the_last_smaller_batch_is_filled_with_images_of_the_data() -> None:
    """It was filled with copies of the first image, to whose statistics BatchNormalization then went."""
    images = np.full((5, 4, 4, 1), 100, np.uint8)
    images[0] = 250
    feed = trainer(ending(layers.Dense(3)), images, batch_size=4)
    (last,) = feed.permutation(1)[1:]
    assert (last < 0).sum() == 3
    assert len({*(~last[last < 0]).tolist()}) == 3  # three different ones


def test_a_regularizer_counts_in_the_loss() -> None:
    """It was silently left out."""
    images = np.zeros((4, 4, 4, 1), np.uint8)
    plain, punished = (
        ending(layers.Dense(3, kernel_initializer="ones", kernel_regularizer=penalty)) for penalty in (None, "l2")
    )
    losses = [next(trainer(model, images, 4).epoch(1)).losses[0] for model in (plain, punished)]
    assert losses[1] - losses[0] == pytest.approx(0.01 * 16 * 3, rel=1e-5)
    assert np.abs(punished.layers[-1].kernel).max() < np.abs(plain.layers[-1].kernel).max()


def test_a_run_does_not_go_on_with_another_module_of_ones_own(
    tiny: DatasetRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    source = Path(sys.modules["tests.hemline.models.own_models"].__file__ or "").read_text()
    for name in ("__init__", "unrelated"):
        (tmp_path / "mine" / f"{name}.py").touch()
    module = tmp_path / "mine" / "net.py"
    module.write_text(source.replace('package="tests"', 'package="mine"'))
    with pytest.raises(Killed):
        train("mine.net:everything", tiny, tmp_path / "run", until="epoch 2/3")
    (tmp_path / "mine" / "unrelated.py").write_text("changed = True\n")
    module.write_text(module.read_text().replace('"relu"', '"tanh"'))
    importlib.reload(sys.modules["mine.net"])
    with pytest.raises(CheckpointError, match="a run can only go on with the code that computed it"):
        train("mine.net:everything", tiny, tmp_path / "run")
    module.write_text(module.read_text().replace('"tanh"', '"relu"') + "\n# a remark\n")
    importlib.reload(sys.modules["mine.net"])
    assert len(train("mine.net:everything", tiny, tmp_path / "run").epochs) == 3


def test_the_device_says_whether_xla_compiled_the_model(tiny: DatasetRef) -> None:
    for model, xla in (("mlp", "on"), ("cnn", "off")):
        device = run.check_model(RetrainConfig(model=model), CPU, tiny.image_shape, 3)
        assert device.settings == CPU.settings | {"xla": xla}
    assert tf.executing_eagerly()
