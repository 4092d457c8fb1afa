"""The fast convolutional network: a function of pixels to logits, small, with changes of its images in training."""

import numpy as np
import pytest

from hemline.models import build
from hemline.models.contract import require_contract
from hemline.models.layer_norm import LayerNorm
from hemline.models.random_layers import at


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (1, 1, 1), (5, 17, 4)])
def test_it_is_a_function_of_pixels_to_logits(shape: tuple[int, int, int]) -> None:
    require_contract(build("fast_cnn", shape, classes=10, seed=42), "fast_cnn", shape, classes=10)


def test_its_parameters_by_hand() -> None:
    # 9 x 1 x 32 + 32, 9 x 32 x 64 + 64, 9 x 64 x 120 + 120; alpha and beta of each; a grid of 4 x 4 maxima (28, 14, 7,
    # 4: a window may reach over the border) of 120 filters for 10 classes.
    convolutions = 320 + 18_496 + 69_240
    norms = 2 * (32 + 64 + 120)
    model = build("fast_cnn", (28, 28, 1), classes=10, seed=42)
    assert model.count_params() == convolutions + norms + 16 * 120 * 10 + 10
    assert [layer.alpha.shape for layer in model.layers if isinstance(layer, LayerNorm)] == [(32,), (64,), (120,)]


def test_images_are_changed_in_training_alone() -> None:
    model = build("fast_cnn", (12, 12, 1), 10, 42, arguments={"flip": True, "shift": 1})
    images = np.random.default_rng(0).integers(256, size=(4, 12, 12, 1), dtype=np.uint8)
    with at(1):
        one = model(images, training=True)
    with at(2):
        other = model(images, training=True)
    assert np.abs(one - other).max() > 1e-3
    plain = build("fast_cnn", (12, 12, 1), 10, 42)
    np.testing.assert_array_equal(model(images), plain(images))


def test_every_kernel_starts_from_a_stream_of_its_own() -> None:
    model = build("fast_cnn", (8, 8, 1), 10, 42)
    kernels = [weight.numpy().ravel()[:9] for weight in model.weights if "kernel" in weight.path]
    assert len({tuple(np.round(kernel / np.abs(kernel).max(), 3)) for kernel in kernels}) == 4
