"""Mixed precision: float16 with a scaled loss, bfloat16 without."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from hemline.config.optimizers import OptimizerGroup
from hemline.models.mlp import build_mlp
from hemline.training import loss_scale, run
from hemline.training.groups import partition
from hemline.training.loop import Trainer
from hemline.training.loss_scale import FIRST, LossScale
from hemline.training.step import Computed, Gradients, Step
from tests.hemline.conftest import CPU, FinishedRun, pictures


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_layers_compute_in_half_and_keep_float32_weights(precision: str) -> None:
    model = build_mlp((4, 4, 1), classes=3, seed=1, precision=precision)
    half = precision.removeprefix("mixed_")
    assert {variable.dtype for variable in model.variables} == {"float32"}
    computed = {layer.name: layer.compute_dtype for layer in model.layers}
    assert computed.pop("logits") == "float32"
    assert set(computed.values()) == {half}


def train(precision: str, finished: FinishedRun, directory: Path) -> tuple[list[float], bytes, list[str]]:
    """The finished run in another precision: validation losses, the saved weights and what was said."""
    config = finished.record.config.model_copy(update={"precision": precision})
    said: list[str] = []
    directory.mkdir(exist_ok=True)
    trained = run.train(config, finished.dataset, CPU, directory, said.append)
    weights = b"".join(variable.numpy().tobytes() for variable in keras.saving.load_model(trained.model_path).variables)
    return [row["val_loss"] for row in trained.epochs], weights, said


def test_half_precision_learns_what_float32_learns_and_resumes_bit_for_bit(
    finished: FinishedRun, tmp_path: Path
) -> None:
    reference = [row["val_loss"] for row in finished.trained.epochs]
    for precision in ("mixed_bfloat16", "mixed_float16"):
        losses, weights, _ = train(precision, finished, tmp_path / precision)
        assert losses == pytest.approx(reference, rel=0.05)
        assert losses != reference
    # As if killed in the last epoch. The scale of the loss is part of what is restored.
    shutil.rmtree(max((tmp_path / "mixed_float16" / "checkpoints").glob("epoch-*")))
    *resumed, said = train("mixed_float16", finished, tmp_path / "mixed_float16")
    assert "resumed at epoch 2" in said[0]
    assert resumed == [losses, weights]


def test_a_step_that_overflows_is_left_out_and_the_scale_falls_and_rises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_scale, "GROWTH", 3)
    images, labels = pictures(64, np.random.default_rng(0))
    model = build_mlp((4, 4, 1), classes=3, seed=1, precision="mixed_float16")
    groups = partition(model, {"all": OptimizerGroup(layers=["*"], optimizer="adam", learning_rate=1e-3)})
    scale = LossScale()
    scale.scale.assign(2.0**30)  # float16 ends at 65504
    trainer = Trainer(model, groups, images, labels, batch_size=32, seed=7, loss_scale=scale)
    seen, moved, weights = [], [], [variable.numpy() for variable in model.variables]
    for epoch in range(1, 12):
        for _ in trainer.epoch(epoch, stop_every=1):
            seen.append(float(scale.scale))
            before, weights = weights, [variable.numpy() for variable in model.variables]
            moved.append(any((a != b).any() for a, b in zip(before, weights, strict=True)))
    fell = seen.index(min(seen))
    assert seen[: fell + 1] == [2.0 ** (29 - step) for step in range(fell + 1)]
    assert moved[: fell + 1] == [False] * (fell + 1)
    assert moved[fell + 1 : fell + 4] == [True] * 3
    assert seen[fell + 1 : fell + 4] == [seen[fell], seen[fell], 2 * seen[fell]]  # after GROWTH finite steps
    assert int(groups[0].optimizer.iterations) == sum(moved)  # Adam did not count what was left out


def test_scaling_costs_no_digit() -> None:
    weights, gradient = [tf.Variable(tf.zeros(3))], tf.constant([1e-8, 0.3, -7.0])
    scale, applied = LossScale(), tf.Variable(tf.zeros(3))

    def compute(*batch: tf.Tensor) -> Computed:
        with scale.tape() as tape:
            loss = tf.reduce_sum(weights[0] * gradient)
        return loss, tf.constant(0), [tape.gradient(loss, weights)]

    def apply(gradients: Gradients) -> None:
        applied.assign(gradients[0][0])

    step = scale.around(Step(compute, apply))
    tf.function(lambda: step(tf.zeros(1), tf.zeros(1), tf.ones(1), tf.constant(0)))()
    assert applied.numpy().tobytes() == gradient.numpy().tobytes()
    assert float(scale.scale) == FIRST
