"""The compiled loop against a naive one, bit by bit where that is promised."""

from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from hemline.config.optimizers import OptimizerGroup
from hemline.errors import DivergenceError
from hemline.models.mlp import build_mlp
from hemline.training import loop as training
from hemline.training.groups import Group, labelled_variables, partition
from hemline.training.loop import Chunk, Trainer

EXAMPLES, BATCH, SEED = 300, 32, 7
STEPS = 10  # 9 batches of 32 and one of 12
GROUPS = {
    "lower": OptimizerGroup(layers=["hidden_*", "norm_2"], optimizer="adam", learning_rate=1e-3),
    "upper": OptimizerGroup(layers=["logits"], optimizer="sgd", learning_rate=0.1),
}
FROZEN = ["norm_1"]


@pytest.fixture(scope="module")
def arrays() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=EXAMPLES).astype(np.int32)
    noise = rng.integers(0, 120, size=(EXAMPLES, 4, 4, 1))
    return (60 * labels[:, None, None, None] + noise).astype(np.uint8), labels


def new_model() -> keras.Model:
    return build_mlp((4, 4, 1), classes=3, seed=1)


def weights(model: keras.Model) -> dict[str, np.ndarray]:
    return {label: variable.numpy() for label, variable in labelled_variables(model).items()}


class Trained(NamedTuple):
    trainer: Trainer
    chunks: list[Chunk]
    weights: dict[str, np.ndarray]

    @property
    def losses(self) -> np.ndarray:
        return np.concatenate([chunk.losses for chunk in self.chunks])

    @property
    def correct(self) -> np.ndarray:
        return np.concatenate([chunk.correct for chunk in self.chunks])


def train(arrays: tuple[np.ndarray, np.ndarray], epochs: int = 2) -> Trained:
    model = new_model()
    trainer = Trainer(model, partition(model, GROUPS, FROZEN), *arrays, batch_size=BATCH, seed=SEED)
    chunks = [chunk for epoch in range(1, epochs + 1) for chunk in trainer.epoch(epoch)]
    return Trained(trainer, chunks, weights(model))


@pytest.fixture(scope="module")
def trained(arrays: tuple[np.ndarray, np.ndarray]) -> Trained:
    return train(arrays)


def test_a_permutation_has_every_example_once_and_fills_the_end(trained: Trained) -> None:
    order = trained.trainer.permutation(1)
    assert order.shape == (STEPS, BATCH)
    flat = order.ravel()
    assert sorted(flat[:EXAMPLES]) == list(range(EXAMPLES))
    np.testing.assert_array_equal(~flat[EXAMPLES:], flat[: len(flat) - EXAMPLES])  # others again, without weight
    assert list(flat[:EXAMPLES]) != list(range(EXAMPLES))


def test_a_permutation_is_keyed_by_seed_and_epoch(arrays: tuple[np.ndarray, np.ndarray], trained: Trained) -> None:
    def order(seed: int, epoch: int) -> bytes:
        return Trainer(new_model(), [], *arrays, batch_size=BATCH, seed=seed).permutation(epoch).tobytes()

    assert order(SEED, 2) == trained.trainer.permutation(2).tobytes()
    assert len({order(seed, epoch) for seed in (1, 2) for epoch in (1, 2)}) == 4


def test_batches_that_fit_need_no_padding(arrays: tuple[np.ndarray, np.ndarray]) -> None:
    trainer = Trainer(new_model(), [], *arrays, batch_size=100, seed=SEED)
    assert trainer.steps == 3
    assert (trainer.permutation(1) >= 0).all()


def naive_loop(
    arrays: tuple[np.ndarray, np.ndarray], permutations: list[np.ndarray]
) -> tuple[list[float], list[int], dict[str, np.ndarray]]:
    """One batch after another in eager mode; two Keras optimizers that know nothing of groups."""
    images, labels = arrays
    model = new_model()
    lower = [*model.get_layer("hidden_1").trainable_variables, *model.get_layer("hidden_2").trainable_variables]
    lower += model.get_layer("norm_2").trainable_variables
    upper = model.get_layer("logits").trainable_variables
    adam, sgd = keras.optimizers.Adam(1e-3), keras.optimizers.SGD(0.1)
    losses, correct = [], []
    for order in permutations:
        for row in order:
            batch = row[row >= 0]
            with tf.GradientTape() as tape:
                logits = model(images[batch], training=True)
                loss = tf.reduce_mean(
                    keras.losses.sparse_categorical_crossentropy(labels[batch], logits, from_logits=True)
                )
            lower_gradients, upper_gradients = tape.gradient(
                loss, [[variable.value for variable in part] for part in (lower, upper)]
            )
            adam.apply_gradients(zip(lower_gradients, lower, strict=True))
            sgd.apply_gradients(zip(upper_gradients, upper, strict=True))
            losses.append(float(loss))
            correct.append(int((logits.numpy().argmax(axis=1) == labels[batch]).sum()))
    return losses, correct, weights(model)


def test_the_loop_does_what_a_naive_loop_does(arrays: tuple[np.ndarray, np.ndarray], trained: Trained) -> None:
    """XLA sums in another order than eager mode, so float32 agrees to rounding (1e-7 here), not to the bit.

    Adam divides a gradient by its own size, which makes a rounding of a tiny one large: hence 1e-4 for
    weights, after 20 steps of 1e-3 each. A wrong batch, mask or rate shows at 1e-2.
    """
    losses, correct, final = naive_loop(arrays, [trained.trainer.permutation(epoch) for epoch in (1, 2)])
    np.testing.assert_allclose(trained.losses, losses, rtol=1e-5)
    np.testing.assert_array_equal(trained.correct, correct)
    for label, value in final.items():
        np.testing.assert_allclose(trained.weights[label], value, atol=1e-4, err_msg=label)


def test_a_chunk_says_where_it_is_and_has_a_value_for_each_batch(trained: Trained) -> None:
    assert [(chunk.epoch, chunk.first_step) for chunk in trained.chunks] == [(1, 0), (2, 0)]
    sizes = trained.trainer.batch_sizes
    assert sizes.tolist() == [32] * 9 + [12]
    for chunk in trained.chunks:
        assert (chunk.losses.shape, chunk.correct.shape) == ((STEPS,), (STEPS,))
        assert (chunk.losses.dtype, chunk.correct.dtype, sizes.dtype) == (np.float32, np.int32, np.int32)
        assert (chunk.correct <= sizes).all()


def test_it_learns(trained: Trained) -> None:
    assert trained.chunks[-1].losses.mean() < trained.chunks[0].losses[0]


def test_a_frozen_layer_does_not_move_and_every_other_does(trained: Trained) -> None:
    for label, before in weights(new_model()).items():
        moved = not np.array_equal(trained.weights[label], before)
        assert moved == (not label.startswith("norm_1/")), label


def test_the_same_seed_gives_the_same_bits(arrays: tuple[np.ndarray, np.ndarray], trained: Trained) -> None:
    again = train(arrays)
    assert again.losses.tobytes() == trained.losses.tobytes()
    for label, value in trained.weights.items():
        assert again.weights[label].tobytes() == value.tobytes(), label


def test_the_size_of_a_chunk_does_not_change_the_bits(
    arrays: tuple[np.ndarray, np.ndarray], trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CHUNK", 4)
    small = train(arrays)
    assert [chunk.first_step for chunk in small.chunks] == [0, 4, 8] * 2
    assert [len(chunk.losses) for chunk in small.chunks] == [4, 4, 2] * 2
    assert small.losses.tobytes() == trained.losses.tobytes()
    assert small.correct.tobytes() == trained.correct.tobytes()
    for label, value in trained.weights.items():
        assert small.weights[label].tobytes() == value.tobytes(), label
    # Regression: Python numbers as bounds, or a `for` over them, compiled every chunk anew.
    assert small.trainer.run_steps.experimental_get_tracing_count() == 1


def test_the_loop_is_traced_once_for_all_epochs(trained: Trained) -> None:
    assert trained.trainer.run_steps.experimental_get_tracing_count() == 1


def test_each_group_moves_by_its_own_learning_rate(arrays: tuple[np.ndarray, np.ndarray]) -> None:
    """SGD for all, one step on all examples: each weight moves by its group's rate times its gradient."""
    images, labels = arrays
    rates = {"hidden_1": 0.5, "hidden_2": 0.05, "norm_*": 0.2, "logits": 0.01}
    groups = {
        f"group {number}": OptimizerGroup(layers=[layer], optimizer="sgd", learning_rate=rate)
        for number, (layer, rate) in enumerate(rates.items())
    }
    model = new_model()
    before = weights(model)
    with tf.GradientTape() as tape:
        losses = keras.losses.sparse_categorical_crossentropy(labels, model(images), from_logits=True)
        loss = tf.reduce_mean(losses)
    gradients = tape.gradient(loss, [variable.value for variable in labelled_variables(model).values()])

    trainer = Trainer(model, partition(model, groups), images, labels, batch_size=EXAMPLES, seed=SEED)
    (chunk,) = trainer.epoch(1)

    assert chunk.losses == pytest.approx([float(loss)], rel=1e-5)
    after = weights(model)
    for label, gradient in zip(before, gradients, strict=True):
        rate = rates.get(label.partition("/")[0], rates["norm_*"])
        # 1e-6: the rounding of a weight of size 1, less than a hundredth of what any rate moves.
        np.testing.assert_allclose(after[label] - before[label], -rate * gradient, atol=1e-6, err_msg=label)


def test_divergence_names_epoch_and_iteration(arrays: tuple[np.ndarray, np.ndarray]) -> None:
    # The first loss is still that of the initial weights; the first update makes the second infinite.
    model = new_model()
    optimizer = keras.optimizers.SGD(1e38)
    optimizer.build(model.trainable_variables)
    trainer = Trainer(model, [Group("all", model.trainable_variables, optimizer)], *arrays, batch_size=BATCH, seed=SEED)
    with pytest.raises(DivergenceError, match=r"Received: loss=\S+ at epoch 3, iteration 2 of 10\. Lower the learn"):
        next(trainer.epoch(3))


def test_divergence_in_a_later_chunk_names_the_epochs_iteration(
    arrays: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A label beyond the classes has no probability: XLA makes its loss NaN.
    monkeypatch.setattr(training, "CHUNK", 4)
    images, labels = arrays
    labels = labels.copy()
    model = new_model()
    order = Trainer(model, [], images, labels, batch_size=BATCH, seed=SEED).permutation(1)
    labels[order[6, 5]] = 99  # the third step of the second chunk
    trainer = Trainer(model, partition(model, GROUPS, FROZEN), images, labels, batch_size=BATCH, seed=SEED)
    epoch = trainer.epoch(1)
    assert next(epoch).first_step == 0
    with pytest.raises(DivergenceError, match="at epoch 1, iteration 7 of 10"):
        next(epoch)
