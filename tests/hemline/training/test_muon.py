"""Muon on the Gram matrix: the updates of Keras's Muon, for less arithmetic."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.training import identity
from hemline.training.muon import Muon
from tests.hemline.conftest import CPU

A, B, C = 3.4445, -4.7750, 2.0315  # Keras's
SHAPES = [(784, 128), (128, 64), (64, 128), (32, 32), (9, 3), (3, 1)]


def keras_own(x: np.ndarray, steps: int) -> np.ndarray:
    return np.asarray(keras.optimizers.Muon().zeropower_via_newtonschulz5(tf.constant(x), steps))


def ours(x: np.ndarray, steps: int) -> np.ndarray:
    return np.asarray(Muon().zeropower_via_newtonschulz5(tf.constant(x), steps))


def matrix(shape: tuple[int, int], condition: float, size: float, seed: int) -> np.ndarray:
    """Singular values from `size` down to `size` / `condition`, in random directions."""
    random = np.random.default_rng(seed)
    left, _, right = np.linalg.svd(random.standard_normal(shape), full_matrices=False)
    return ((left * (size * np.geomspace(1, 1 / condition, min(shape)))) @ right).astype(np.float32)


def moved(value: float, steps: int) -> float:
    """A singular value after so many steps."""
    for _ in range(steps):
        value = A * value + B * value**3 + C * value**5
    return value


def test_a_diagonal_by_hand() -> None:
    # diag(3, 4) has norm 5: 0.6 and 0.8 are moved on their own. The third row, of zeros, stays.
    x = np.array([[3, 0], [0, 4], [0, 0]], np.float32)
    assert moved(0.6, 1) == pytest.approx(3.4445 * 0.6 - 4.775 * 0.216 + 2.0315 * 0.07776)
    for steps in (1, 2, 5):
        wanted = np.array([[moved(0.6, steps), 0], [0, moved(0.8, steps)], [0, 0]])
        np.testing.assert_allclose(ours(x, steps), wanted, atol=1e-5)
        np.testing.assert_allclose(ours(x.T, steps), wanted.T, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("steps", "tolerance"), [(1, 1e-6), (3, 2e-5), (5, 2e-3)])
def test_it_is_keras_own_for_well_and_badly_conditioned_matrices(
    shape: tuple[int, int], steps: int, tolerance: float
) -> None:
    """The tolerance is of the spectral norm; a result has about 1. The step is not exact either: 0.7 to 1.2."""
    for condition in (1.0, 1e2, 1e4, 1e8):
        x = matrix(shape, condition, size=1.0, seed=round(condition) % 97)
        assert np.linalg.norm(ours(x, steps) - keras_own(x, steps), 2) < tolerance


@settings(max_examples=25, deadline=None)
@given(
    shape=st.sampled_from(SHAPES),
    condition=st.floats(1, 50),
    size=st.sampled_from([1e-6, 1.0, 1e6]),
    seed=st.integers(0, 10_000),
)
def test_five_steps_make_it_nearly_orthogonal(shape: tuple[int, int], condition: float, size: float, seed: int) -> None:
    """Every singular value comes to 1 as near as Newton-Schulz brings it, and none turns its sign."""
    x = matrix(shape, condition, size, seed)
    left, _, right = np.linalg.svd(x, full_matrices=False)
    values = np.diag(left.T @ ours(x, 5) @ right.T)  # along x's own singular vectors
    assert values.min() > 0.6
    assert values.max() < 1.25


def test_no_gradient_is_no_update() -> None:
    np.testing.assert_array_equal(ours(np.zeros((4, 3), np.float32), 5), np.zeros((4, 3)))


def test_variables_trained_by_either_stay_together() -> None:
    """Momentum, weight decay and rate are Keras's; so are the names and shapes of what a checkpoint keeps."""
    random = np.random.default_rng(0)
    start = random.standard_normal((20, 8)).astype(np.float32)
    optimizers = [make(0.05, weight_decay=0.1, name="muon") for make in (keras.optimizers.Muon, Muon)]
    variables = [keras.Variable(start, name="kernel") for _ in optimizers]
    for optimizer, variable in zip(optimizers, variables, strict=True):
        optimizer.build([variable])
    for _ in range(10):
        gradient = tf.constant(random.standard_normal((20, 8)), tf.float32)
        for optimizer, variable in zip(optimizers, variables, strict=True):
            optimizer.apply([gradient], [variable])
    theirs, own = variables
    assert np.abs(own.numpy() - start).max() > 0.1
    np.testing.assert_allclose(own.numpy(), theirs.numpy(), atol=1e-3)
    described = [[(each.path, each.shape) for each in optimizer.variables] for optimizer in optimizers]
    assert described[0] == described[1]


@pytest.mark.parametrize(("recipe", "named"), [("best-mlp", True), ("chapter", False)])
def test_a_killed_run_goes_on_with_the_muon_that_it_began_with(
    tiny: DatasetRef, monkeypatch: pytest.MonkeyPatch, recipe: str, named: bool
) -> None:
    """Its module is imported by its name in the table alone, so the digest of the run's code must name it."""
    asked: list[tuple[str, ...]] = []

    def digest_of(*modules: str, within: tuple[str, ...]) -> str:
        asked.append(modules)
        return "0"

    monkeypatch.setattr(identity, "digest_of", digest_of)
    identity.what_decides(RetrainConfig(recipe=recipe), tiny, CPU)
    assert [Muon.__module__ in modules for modules in asked] == [named]


def test_fewer_products_than_keras_has() -> None:
    """X enters twice, whatever the number of steps; Keras multiplies by it twice in each."""

    def with_long_side(optimizer: keras.optimizers.Muon) -> int:
        step = tf.function(lambda x: optimizer.zeropower_via_newtonschulz5(x, 5))
        graph = step.get_concrete_function(tf.TensorSpec((784, 128), tf.float32)).graph
        products = [op for op in graph.get_operations() if op.type in ("MatMul", "BatchMatMulV2")]
        return sum(any(784 in tensor.shape for tensor in (*op.inputs, *op.outputs)) for op in products)

    assert with_long_side(keras.optimizers.Muon()) == 10
    assert with_long_side(Muon()) == 2
