"""What an epoch's row says of each group, against numbers worked by hand; and that training does not notice."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from hemline.config.retrain import RetrainConfig
from hemline.models.random_layers import Dropout
from hemline.training import run
from hemline.training.groups import partition
from hemline.training.loop import Trainer
from hemline.training.loss_scale import LossScale
from hemline.training.measures import Measures
from tests.hemline.conftest import CPU, FinishedRun, pictures

SGD = {"optimizer": "sgd", "learning_rate": 1.0, "layers": ["*"]}


def measures_of(
    model: keras.Model,
    images: np.ndarray,
    labels: Sequence[int] | np.ndarray,
    batch_size: int,
    loss_scale: LossScale | None = None,
    **group: Any,
) -> Measures:
    """Of a run of two epochs with one group."""
    config = RetrainConfig(epochs=2, groups={"lower": None, "upper": None, "all": SGD | group})
    steps = math.ceil(len(images) / batch_size)
    groups = partition(model, config.groups.by_name(), steps_per_epoch=steps, epochs=2)
    trainer = Trainer(model, groups, images, np.array(labels, np.int32), batch_size=batch_size, seed=1)
    return Measures(config, model, groups, trainer, loss_scale)


def of_one_pixel(penalty: float = 0) -> keras.Model:
    """Both logits are the pixel, so that both classes are as likely, whatever it is."""
    regularizer = keras.regularizers.L2(penalty) if penalty else None
    ones = {"kernel_initializer": "ones", "use_bias": False, "kernel_regularizer": regularizer}
    flat = keras.layers.Flatten(dtype="float32")
    return keras.Sequential([keras.Input((1, 1, 1), dtype="uint8"), flat, keras.layers.Dense(2, name="logits", **ones)])


PIXELS = np.array([3, 4], np.uint8).reshape(2, 1, 1, 1)


@pytest.mark.parametrize("scaled", [False, True])
def test_norms_worked_by_hand(scaled: bool) -> None:
    # The gradient of an example is its pixel times (-1/2, 1/2) or the reverse: of both, (-3 + 4) / 4 and (3 - 4) / 4.
    measures = measures_of(of_one_pixel(), PIXELS, [0, 1], batch_size=2, loss_scale=LossScale() if scaled else None)
    row = measures.after(1)
    assert list(row) == ["all_learning_rate", "all_gradient_norm", "all_weight_norm"]
    assert row["all_learning_rate"] == 1.0
    assert row["all_gradient_norm"] == pytest.approx(math.sqrt(2) / 4)
    assert row["all_weight_norm"] == pytest.approx(math.sqrt(2))


def test_the_gradient_is_of_what_is_minimised() -> None:
    """With the penalties of layers: of 0.5 w² for each of two weights of 1."""
    measures = measures_of(of_one_pixel(penalty=0.5), PIXELS, [0, 1], batch_size=2)
    assert measures.after(1)["all_gradient_norm"] == pytest.approx(math.hypot(1 + 1 / 4, 1 - 1 / 4))


def test_the_batch_is_the_epochs_first() -> None:
    measures = measures_of(of_one_pixel(), PIXELS, [0, 1], batch_size=1)
    for epoch in range(1, 9):
        (first,) = measures.trainer.permutation(epoch)[0]
        pixel = int(PIXELS[first].item())
        assert measures.after(epoch)["all_gradient_norm"] == pytest.approx(pixel * math.sqrt(2) / 2)


def test_the_rate_is_that_of_the_epochs_last_step() -> None:
    schedule = {"kind": "cosine"}
    measures = measures_of(of_one_pixel(), np.repeat(PIXELS, 2, axis=0), [0, 1, 0, 1], batch_size=1, schedule=schedule)
    rates = [measures.after(epoch)["all_learning_rate"] for epoch in (1, 2)]
    assert rates == pytest.approx([(1 + math.cos(math.pi * step / 8)) / 2 for step in (3, 7)], rel=1e-5)


def test_what_is_not_finite_is_left_out() -> None:
    """A table in JSON has no infinity."""
    model = of_one_pixel()
    measures = measures_of(model, PIXELS, [0, 1], batch_size=2)
    model.set_weights([np.array([[np.inf, 1]], np.float32)])
    assert measures.after(1) == {"all_learning_rate": 1.0}


def test_weights_that_inference_does_not_use_have_no_gradient() -> None:
    """An embedding, whose gradient is sparse, and a layer that only training looks at."""

    @keras.saving.register_keras_serializable("test")
    class Aside(keras.layers.Layer):
        def build(self, shape: tuple[int, ...]) -> None:
            self.weight = self.add_weight(shape=(), initializer="ones", name="weight")

        def call(self, inputs: Any, training: bool = False) -> Any:
            return inputs * self.weight if training else inputs

    layers = [keras.layers.Flatten(), keras.layers.Embedding(256, 2, name="table"), keras.layers.Flatten()]
    model = keras.Sequential([keras.Input((1, 1, 1), dtype="uint8"), *layers, Aside(name="aside")])
    model.get_layer("table").set_weights([np.zeros((256, 2), np.float32)])
    for loss_scale in (None, LossScale()):
        row = measures_of(model, PIXELS, [0, 1], batch_size=2, loss_scale=loss_scale).after(1)
        assert row["all_gradient_norm"] == pytest.approx(1 / 2)  # four times 1/4
        assert row["all_weight_norm"] == 1


def with_state() -> keras.Model:
    """Whose training moves averages and draws random numbers."""
    layers = [
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
        keras.layers.Dense(5, name="hidden"),
        keras.layers.BatchNormalization(name="norm"),
        Dropout(0.5, seed=1, name="drop"),
        keras.layers.Dense(3, name="logits"),
    ]
    return keras.Sequential([keras.Input((4, 4, 1), dtype="uint8"), *layers])


def test_nothing_changes_in_the_model_or_its_optimizers(tmp_path: Path) -> None:
    images, labels = pictures(60, np.random.default_rng(0))
    model = with_state()
    measures = measures_of(model, images, labels, batch_size=7)
    (optimizer,) = (group.optimizer for group in measures.groups)

    def state() -> list[bytes]:
        return [variable.numpy().tobytes() for variable in [*model.variables, *optimizer.variables]]

    before, row = state(), measures.after(2)
    assert state() == before
    assert measures.after(2) == row
    images.tofile(tmp_path / "images.u8")
    on_disk = np.memmap(tmp_path / "images.u8", np.uint8, "r", shape=images.shape)
    assert measures_of(model, on_disk, labels, batch_size=7).after(2) == row


def test_a_run_has_the_same_bits_with_and_without(
    finished: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Measures, "after", lambda self, epoch: {})
    without = run.train(finished.record.config, finished.dataset, CPU, tmp_path, say=print)
    both = zip(finished.trained.epochs, without.epochs, strict=True)
    assert all(row.items() > other.items() for row, other in both)
    models = [keras.saving.load_model(trained.model_path) for trained in (finished.trained, without)]
    for one, other in zip(*(model.variables for model in models), strict=True):
        np.testing.assert_array_equal(one, other)
