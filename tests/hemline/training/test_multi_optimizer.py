"""`model.fit` with the groups as one MultiOptimizer does what the loop does, to the bit, and can be resumed."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from hemline.config.optimizers import OptimizerGroup
from hemline.models.mlp import build_mlp
from hemline.training.groups import Group, averaged, fit_checkpoint, labelled_variables, multi_optimizer, partition
from hemline.training.loop import Trainer
from tests.hemline.conftest import pictures

EXAMPLES, BATCH, STEPS, SEED = 300, 32, 10, 7  # 9 batches of 32 and one of 12
GROUPS = {
    "lower": OptimizerGroup.model_validate(
        {
            "layers": ["hidden_*/bias", "norm_2"],
            "optimizer": "adam",
            "learning_rate": 1e-3,
            "clip_norm": 0.1,
            "schedule": {"kind": "cosine", "warmup_epochs": 0.5},
        }
    ),
    "matrices": OptimizerGroup(layers=["hidden_*/kernel"], optimizer="muon", learning_rate=0.05, weight_decay=0.1),
    "upper": OptimizerGroup(layers=["logits"], optimizer="sgd", learning_rate=0.1, momentum=0.9, nesterov=True),
}
FROZEN = ["norm_1"]
Arrays = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return pictures(EXAMPLES, np.random.default_rng(0))


def new(ema_momentum: float | None = None) -> tuple[keras.Model, list[Group]]:
    model = build_mlp((4, 4, 1), classes=3, seed=1)
    return model, partition(model, GROUPS, FROZEN, steps_per_epoch=STEPS, epochs=2, ema_momentum=ema_momentum)


def state(model: keras.Model, groups: list[Group]) -> dict[str, np.ndarray]:
    """Every bit of the model and of each group's optimizer."""
    slots = {
        f"{group.name} {number}": variable.numpy()
        for group in groups
        for number, variable in enumerate(group.optimizer.variables)
    }
    return {label: variable.numpy() for label, variable in labelled_variables(model).items()} | slots


def assert_same_bits(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if one[name].tobytes() != other[name].tobytes()] == []


def loop(model: keras.Model, groups: list[Group], arrays: Arrays, epochs: list[int]) -> None:
    trainer = Trainer(model, groups, *arrays, batch_size=BATCH, seed=SEED)
    for epoch in epochs:
        list(trainer.epoch(epoch))


def fit(model: keras.Model, groups: list[Group], arrays: Arrays, epochs: list[int], padded: bool = True) -> None:
    """Keras's own loop on the batches of ours, in the order of ours.

    padded: the last batch is filled up by examples of weight 0, as ours is.
    """
    images, labels = arrays
    trainer = Trainer(model, [], images, labels, batch_size=BATCH, seed=SEED)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")
    model.compile(optimizer=multi_optimizer(model, groups), loss=loss, jit_compile=True)
    for epoch in epochs:
        order = trainer.permutation(epoch).ravel()
        order = order if padded else order[order >= 0]
        weight = (order >= 0).astype(np.float32)
        index = np.maximum(order, 0)
        model.fit(images[index], labels[index], sample_weight=weight, batch_size=BATCH, shuffle=False, verbose=0)


@pytest.fixture(scope="module")
def looped(arrays: Arrays) -> dict[str, np.ndarray]:
    model, groups = new()
    loop(model, groups, arrays, [1, 2])
    return state(model, groups)


def test_fit_is_the_loop_to_the_bit(arrays: Arrays, looped: dict[str, np.ndarray]) -> None:
    """Both under XLA; the last batch of each epoch is a partial one."""
    model, groups = new()
    fit(model, groups, arrays, [1, 2])
    assert_same_bits(state(model, groups), looped)
    assert groups[0].optimizer.iterations == 2 * STEPS


def test_without_padding_fit_is_the_loop_to_rounding(arrays: Arrays, looped: dict[str, np.ndarray]) -> None:
    # XLA sums 12 numbers in another order than 32 of which 20 are 0.
    model, groups = new()
    fit(model, groups, arrays, [1, 2], padded=False)
    for name, value in state(model, groups).items():
        np.testing.assert_allclose(value, looped[name], atol=1e-4, err_msg=name)


def test_fit_ends_with_the_averages_of_the_loop(arrays: Arrays) -> None:
    model, groups = new(ema_momentum=0.9)
    loop(model, groups, arrays, [1])
    twin, twin_groups = new(ema_momentum=0.9)
    fit(twin, twin_groups, arrays, [1])
    with averaged(groups):
        assert_same_bits(state(model, groups), state(twin, twin_groups))


def test_a_variable_in_no_group_does_not_move(arrays: Arrays, looped: dict[str, np.ndarray]) -> None:
    model, _ = new()
    for label in ("norm_1/alpha", "norm_1/beta"):
        assert looped[label].tobytes() == labelled_variables(model)[label].numpy().tobytes()


def test_a_checkpoint_of_fit_goes_on_to_the_same_bits(
    arrays: Arrays, looped: dict[str, np.ndarray], tmp_path: Path
) -> None:
    model, groups = new()
    fit(model, groups, arrays, [1])
    path = fit_checkpoint(model, groups).save(tmp_path / "checkpoint")

    model, groups = new()
    status = fit_checkpoint(model, groups).restore(path)
    status.assert_existing_objects_matched()
    fit(model, groups, arrays, [2])
    assert_same_bits(state(model, groups), looped)


def test_a_plain_checkpoint_of_a_multi_optimizer_loses_the_state_inside(arrays: Arrays, tmp_path: Path) -> None:
    """Why `fit_checkpoint` is there. When this fails, Keras has mended it, and `fit_checkpoint` can go."""
    model, groups = new()
    loop(model, groups, arrays, [1])
    optimizer = multi_optimizer(model, groups)
    optimizer.build(model.trainable_variables)
    path = tf.train.Checkpoint(model=model, opt=optimizer).save(tmp_path / "checkpoint")

    model, groups = new()
    optimizer = multi_optimizer(model, groups)
    optimizer.build(model.trainable_variables)
    tf.train.Checkpoint(model=model, opt=optimizer).restore(path).assert_consumed()  # and says nothing
    adam = groups[0].optimizer
    assert adam.iterations == 0
    assert not any(np.any(slot.numpy()) for slot in adam.variables[2:])


def test_the_patterns_hold_for_a_model_that_was_saved_and_loaded(tmp_path: Path) -> None:
    # Keras loads 'mlp/logits/kernel' as 'logits/kernel'; a pattern of the whole path falls to the default.
    model, groups = new()
    optimizer = multi_optimizer(model, groups)
    owners = {label: optimizer._optimizer_map(variable).name for label, variable in labelled_variables(model).items()}
    assert owners == {
        label: next((g.optimizer.name for g in groups if any(v is variable for v in g.variables)), "frozen")
        for label, variable in labelled_variables(model).items()
    }
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for label, variable in labelled_variables(loaded).items():
        assert optimizer._optimizer_map(variable).name == owners[label]
