"""What each setting of an optimizer does to the weights, in the compiled loop."""

from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from hemline.config.optimizers import OPTIMIZERS, OptimizerGroup
from hemline.data.dataset import load_training
from hemline.evaluation.scores import Score, compile_predict
from hemline.models.mlp import build_mlp
from hemline.training import loop as training
from hemline.training import run
from hemline.training.groups import Group, averaged, labelled_variables, partition
from hemline.training.loop import Trainer
from tests.hemline.conftest import CPU, FinishedRun, pictures

EXAMPLES, BATCH, STEPS, SEED = 60, 16, 4, 7  # 3 batches of 16 and one of 12
Arrays = tuple[np.ndarray, np.ndarray]
Weights = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return pictures(EXAMPLES, np.random.default_rng(0))


def new(
    groups: dict[str, Any], frozen: list[str], ema_momentum: float | None = None
) -> tuple[keras.Model, list[Group]]:
    model = build_mlp((4, 4, 1), classes=3, seed=1)
    made = {name: OptimizerGroup.model_validate(group) for name, group in groups.items()}
    return model, partition(model, made, frozen, steps_per_epoch=STEPS, epochs=2, ema_momentum=ema_momentum)


def weights(model: keras.Model) -> Weights:
    return {label: variable.numpy() for label, variable in labelled_variables(model).items()}


def steps(arrays: Arrays, group: dict[str, Any], count: int = 1) -> list[Weights]:
    """The weights before and after each of the first steps of a group of everything."""
    model, groups = new({"all": {"layers": ["*"], "learning_rate": 0.1} | group}, [])
    trainer = Trainer(model, groups, *arrays, batch_size=BATCH, seed=SEED)
    return [weights(model), *(weights(model) for _ in islice(trainer.epoch(1, stop_every=1), count))]


def difference(one: Weights, other: Weights) -> Weights:
    return {label: other[label].astype(np.float64) - one[label] for label in one}


def norm(of: Weights) -> float:
    return float(np.sqrt(sum((value**2).sum() for value in of.values())))


def assert_close(one: Weights, other: Weights) -> None:
    """Within the rounding of a weight of size 1."""
    for label in one:
        np.testing.assert_allclose(one[label], other[label], atol=1e-6, err_msg=label)


def assert_same_bits(one: Weights, other: Weights) -> None:
    assert [label for label in one if one[label].tobytes() != other[label].tobytes()] == []


@pytest.fixture(scope="module")
def plain(arrays: Arrays) -> Weights:
    """What one step of SGD 0.1 adds: the gradient times -0.1."""
    return difference(*steps(arrays, {"optimizer": "sgd"}))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_trains_in_the_compiled_loop(
    arrays: Arrays, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    """Two chunks of a trace; what is frozen stays, and all else moves."""
    monkeypatch.setattr(training, "CHUNK", 2)
    group = {"layers": ["hidden_*/kernel"], "optimizer": optimizer, "learning_rate": 0.01, "clip_norm": 1.0}
    schedule = {"kind": "cosine", "warmup_epochs": 0.5}
    model, groups = new({"some": group | {"schedule": schedule}}, ["hidden_*/bias", "norm_*", "logits"], 0.9)
    trainer = Trainer(model, groups, *arrays, batch_size=BATCH, seed=SEED)
    before = weights(model)
    chunks = list(trainer.epoch(1))
    assert [chunk.first_step for chunk in chunks] == [0, 2]
    assert trainer.run_steps.experimental_get_tracing_count() == 1
    assert groups[0].optimizer.iterations == STEPS
    for label, value in weights(model).items():
        assert np.array_equal(value, before[label]) == (label not in ("hidden_1/kernel", "hidden_2/kernel")), label


def test_clipping_is_of_the_whole_groups_norm(arrays: Arrays, plain: Weights) -> None:
    # One factor for all: a group's direction stays as it is, which clipping each variable would change.
    whole = norm(plain) / 0.1
    clipped = difference(*steps(arrays, {"optimizer": "sgd", "clip_norm": whole / 4}))
    assert norm(clipped) == pytest.approx(norm(plain) / 4, rel=1e-4)
    assert_close(clipped, {label: value / 4 for label, value in plain.items()})
    assert_close(difference(*steps(arrays, {"optimizer": "sgd", "clip_norm": whole * 4})), plain)


def test_weight_decay_takes_its_share_times_the_rate_off(arrays: Arrays, plain: Weights) -> None:
    before, after = steps(arrays, {"optimizer": "sgd", "weight_decay": 0.5})
    assert_close(difference(before, after), {label: plain[label] - 0.1 * 0.5 * before[label] for label in before})


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum(arrays: Arrays, plain: Weights, nesterov: bool) -> None:
    # v = -0.1 g; then w + v, or ahead of it w + 0.9 v - 0.1 g, which is 1.9 times a plain step.
    first = difference(*steps(arrays, {"optimizer": "sgd", "momentum": 0.9, "nesterov": nesterov}))
    assert_close(first, {label: (1.9 if nesterov else 1) * value for label, value in plain.items()})


def test_a_schedule_counts_its_optimizers_steps(arrays: Arrays, plain: Weights) -> None:
    # A warm-up over 2 of the 4 steps of an epoch: the first step is half as long, the second whole.
    group = {"optimizer": "sgd", "schedule": {"warmup_epochs": 0.5}}
    one, two, three = steps(arrays, group, 2)
    assert_close(difference(one, two), {label: value / 2 for label, value in plain.items()})
    model, _ = new({"all": {"layers": ["*"], "learning_rate": 0.1, "optimizer": "sgd"}}, [])
    for label, variable in labelled_variables(model).items():
        variable.assign(two[label])
    order = Trainer(model, [], *arrays, batch_size=BATCH, seed=SEED).permutation(1)[1]
    with tf.GradientTape() as tape:
        losses = keras.losses.sparse_categorical_crossentropy(arrays[1][order], model(arrays[0][order]), True)
        loss = tf.reduce_mean(losses)
    gradients = tape.gradient(loss, [variable.value for variable in labelled_variables(model).values()])
    expected = {label: -0.1 * gradient.numpy() for label, gradient in zip(one, gradients, strict=True)}
    assert_close(difference(two, three), expected)


EMA_GROUPS = {
    "lower": {"layers": ["hidden_*"], "optimizer": "adam", "learning_rate": 0.01},
    "upper": {"layers": ["logits"], "optimizer": "sgd", "learning_rate": 0.1},
}


def ema() -> tuple[keras.Model, list[Group]]:
    return new(EMA_GROUPS, ["norm_*"], 0.75)


def test_averages_against_a_naive_twin(arrays: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first step the weights themselves, then three parts of the average to one of the weights."""
    monkeypatch.setattr(training, "CHUNK", 1)  # to see the weights after each step
    model, groups = ema()
    trainer = Trainer(model, groups, *arrays, batch_size=BATCH, seed=SEED)
    average: Weights = {}
    for epoch in (1, 2):
        for _ in trainer.epoch(epoch):
            now = weights(model)
            average = {label: 0.75 * average.get(label, now[label]) + 0.25 * now[label] for label in now}
    trained = weights(model)
    with averaged(groups):
        assert_close(weights(model), average)
        assert norm(difference(weights(model), trained)) > 0.01
        assert np.array_equal(weights(model)["norm_1/beta"], trained["norm_1/beta"])
    assert_same_bits(weights(model), trained)


def test_averages_do_not_change_the_training(arrays: Arrays) -> None:
    ends = []
    for ema_momentum in (None, 0.75):
        model, groups = new(EMA_GROUPS, ["norm_*"], ema_momentum)
        trainer = Trainer(model, groups, *arrays, batch_size=BATCH, seed=SEED)
        for epoch in (1, 2):
            list(trainer.epoch(epoch))
            with averaged(groups):  # as validation does, between two epochs
                pass
        ends.append(weights(model))
    assert_same_bits(ends[0], ends[1])


def test_weights_come_back_when_validation_fails(arrays: Arrays) -> None:
    model, groups = ema()
    list(Trainer(model, groups, *arrays, batch_size=BATCH, seed=SEED).epoch(1))
    trained = weights(model)
    with pytest.raises(KeyboardInterrupt), averaged(groups):
        raise KeyboardInterrupt
    assert_same_bits(weights(model), trained)


def test_averages_go_on_to_the_same_bits_from_a_checkpoint(arrays: Arrays, tmp_path: Path) -> None:
    """Model and optimizers by name are all there is to keep."""

    def epochs(restored: str | None, numbers: list[int]) -> tuple[Weights, Weights, str]:
        model, groups = ema()
        checkpoint = tf.train.Checkpoint(model=model, **{group.name: group.optimizer for group in groups})
        if restored:
            checkpoint.restore(restored).assert_existing_objects_matched()
        trainer = Trainer(model, groups, *arrays, batch_size=BATCH, seed=SEED)
        for number in numbers:
            list(trainer.epoch(number))
        trained = weights(model)
        path = checkpoint.save(tmp_path / "checkpoint")
        with averaged(groups):
            return trained, weights(model), path

    *whole, _ = epochs(None, [1, 2])
    *_, path = epochs(None, [1])
    *resumed, _ = epochs(path, [2])
    for one, other in zip(whole, resumed, strict=True):
        assert_same_bits(one, other)


def test_a_run_validates_and_saves_the_averages(finished: FinishedRun, tmp_path: Path) -> None:
    config = finished.record.config.model_copy(update={"ema_momentum": 0.9})
    trained = run.train(config, finished.dataset, CPU, tmp_path, say=lambda line: None)
    _, (images, labels) = load_training(finished.dataset, config.validation)
    saved = compile_predict(keras.saving.load_model(trained.model_path))
    averages, plain = trained.epochs[-1], finished.trained.epochs[-1]
    assert averages["val_loss"] == Score.of(saved(images), labels).loss
    assert averages["val_loss"] != plain["val_loss"]
    assert averages["train_loss"] == plain["train_loss"]
