"""Random layers: a function of seed and step, nothing in evaluation, and what their names promise."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from hemline.models.random_layers import Dropout, RandomFlip, RandomShift, at, with_dropout_of_ours
from tests.hemline.models import own_models as own

IMAGES = np.random.default_rng(0).integers(1, 256, (64, 5, 6, 2)).astype(np.uint8)
MAKE: list[Callable[[int], keras.layers.Layer]] = [
    lambda seed: Dropout(0.4, seed=seed),
    lambda seed: Dropout(0.4, seed=seed, noise_shape=(None, 1, 1, 1)),
    lambda seed: RandomFlip(seed=seed),
    lambda seed: RandomShift(2, seed=seed),
]
everyone = pytest.mark.parametrize("make", MAKE, ids=["dropout", "dropout of examples", "flip", "shift"])


def drawn(layer: keras.layers.Layer, position: int, xla: bool = False) -> np.ndarray:
    x = tf.constant(IMAGES.astype(np.float32))
    with at(position):
        result: np.ndarray = tf.function(lambda: layer(x, training=True), jit_compile=xla)().numpy()
    return result


@everyone
def test_what_it_draws_depends_on_seed_and_step_alone(make: Callable[[int], keras.layers.Layer]) -> None:
    first = drawn(make(1), 5)
    np.testing.assert_array_equal(first, drawn(make(1), 5))
    assert not np.array_equal(first, drawn(make(1), 6))
    assert not np.array_equal(first, drawn(make(2), 5))
    assert not np.array_equal(first, drawn(make(1), (1 << 32) + 5))  # the same step of another epoch


@everyone
def test_it_does_nothing_but_in_training(make: Callable[[int], keras.layers.Layer]) -> None:
    layer = make(1)
    for arguments in ({}, {"training": False}):
        np.testing.assert_array_equal(layer(IMAGES.astype(np.float32), **arguments), IMAGES)


@everyone
def test_outside_of_a_training_it_says_what_is_missing(make: Callable[[int], keras.layers.Layer]) -> None:
    """One mask for all steps would be a mistake that nobody sees."""
    with pytest.raises(RuntimeError, match=r"draws by the training's step.*inside `with .*at\(step\)`"):
        make(1)(IMAGES.astype(np.float32), training=True)


@everyone
def test_xla_takes_it(make: Callable[[int], keras.layers.Layer]) -> None:
    np.testing.assert_array_equal(drawn(make(1), 5, xla=True), drawn(make(1), 5, xla=True))
    assert not np.array_equal(drawn(make(1), 5, xla=True), drawn(make(1), 6, xla=True))


@everyone
def test_it_is_made_again_from_its_configuration(make: Callable[[int], keras.layers.Layer]) -> None:
    layer = make(3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    np.testing.assert_array_equal(drawn(again, 9), drawn(layer, 9))


def test_dropout_keeps_the_mean() -> None:
    found = drawn(Dropout(0.4, seed=1), 1)
    kept = found != 0
    assert kept.mean() == pytest.approx(0.6, abs=0.03)
    np.testing.assert_allclose(found[kept], (IMAGES / np.float32(0.6))[kept], rtol=1e-6)


def test_a_flip_mirrors_whole_images_about_half_of_them() -> None:
    found = drawn(RandomFlip(seed=1), 1)
    mirrored = np.array([np.array_equal(new, old[:, ::-1]) for new, old in zip(found, IMAGES, strict=True)])
    same = np.array([np.array_equal(new, old) for new, old in zip(found, IMAGES, strict=True)])
    assert (mirrored ^ same).all()
    assert 16 <= mirrored.sum() <= 48


@settings(max_examples=20, deadline=None)
@given(pixels=st.integers(1, 4), position=st.integers(0, 2**46))
def test_a_shift_moves_each_image_and_fills_with_zeros(pixels: int, position: int) -> None:
    found = drawn(RandomShift(pixels, seed=1), position)
    padded = np.pad(IMAGES, [(0, 0), (pixels, pixels), (pixels, pixels), (0, 0)])
    range_ = range(2 * pixels + 1)
    for new, old in zip(found, padded, strict=True):
        assert any(np.array_equal(new, old[y : y + 5, x : x + 6]) for y in range_ for x in range_)


def test_every_shift_happens() -> None:
    single = np.zeros((1, 5, 5, 1), np.float32)
    single[0, 2, 2] = 1
    layer, seen = RandomShift(1, seed=1), set()
    for position in range(100):
        with at(position):
            seen.add(tuple(np.argwhere(layer(single, training=True).numpy())[0][1:3]))
    assert seen == {(y, x) for y in (1, 2, 3) for x in (1, 2, 3)}


@pytest.mark.parametrize("dtype", ["uint8", "float16"])
def test_pixels_keep_their_type(dtype: str) -> None:
    with at(1):
        for layer in (RandomFlip(seed=1, dtype=dtype if dtype != "uint8" else None), RandomShift(1, seed=1)):
            found = layer(IMAGES, training=True)
            assert found.dtype == "uint8"


@pytest.mark.parametrize(
    ("make", "rule"), [(lambda: Dropout(1.0, seed=1), "rate"), (lambda: RandomShift(0, seed=1), "pixels")]
)
def test_what_cannot_be_is_refused(make: Callable[[], keras.layers.Layer], rule: str) -> None:
    with pytest.raises(ValueError, match=f"{rule} must be"):
        make()


def test_dropout_of_whole_examples_is_as_in_keras() -> None:
    """EfficientNet drops a block's whole answer."""
    shape = (None, 1, 1, 1)
    ours, theirs = Dropout(0.4, seed=1, noise_shape=shape), keras.layers.Dropout(0.4, noise_shape=shape, seed=1)
    for result in (drawn(ours, 5), drawn(theirs, 5)):
        kept = result.reshape(len(result), -1) != 0
        assert set(kept.sum(axis=1)) == {0, kept.shape[1]}
        np.testing.assert_allclose(result[kept.all(axis=1)], IMAGES[kept.all(axis=1)] / np.float32(0.6), rtol=1e-6)


def test_a_finished_network_keeps_its_weights_and_answers() -> None:
    theirs = own.on(own.backbone())
    ours = with_dropout_of_ours(theirs, seed=7)
    images = IMAGES[:, :4, :4, :1]
    np.testing.assert_array_equal(ours(images), theirs(images))
    assert [weight.path for weight in ours.weights] == [weight.path for weight in theirs.weights]
    (dropout,) = [layer for layer in ours._flatten_layers() if layer.name == "drop"]
    assert (type(dropout), dropout.rate, dropout.seed) == (Dropout, 0.5, 7)
