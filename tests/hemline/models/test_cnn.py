"""The convolutional network: small, for any image shape, with the hand-written LayerNorm over the channels."""

import numpy as np
import pytest

from hemline.models import build
from hemline.models.layer_norm import LayerNorm
from hemline.runtime.devices import under_xla
from tests.hemline.models.own_models import ending, layers


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (1, 1, 1), (5, 97, 4)])
def test_it_has_at_most_110_000_parameters_for_any_image_shape(shape: tuple[int, int, int]) -> None:
    model = build("cnn", shape, classes=10, seed=42)
    assert model.count_params() <= 110_000
    logits = model(np.zeros((2, *shape), np.uint8))
    assert (logits.shape, logits.dtype) == ((2, 10), "float32")
    norms = [layer for layer in model.layers if isinstance(layer, LayerNorm)]
    assert [norm.alpha.shape for norm in norms] == [(32,), (64,), (128,)]  # of channels, not of pixels


def test_its_number_of_parameters_is_the_one_that_is_told() -> None:
    assert build("cnn", (28, 28, 1), classes=10, seed=42).count_params() == 94_410


def test_every_kernel_starts_from_a_stream_of_its_own() -> None:
    kernels = [
        weight.numpy().ravel()[:9] for weight in build("cnn", (8, 8, 1), 10, 42).weights if "kernel" in weight.path
    ]
    scaled = [kernel / np.abs(kernel).max() for kernel in kernels]
    assert len({tuple(np.round(kernel, 3)) for kernel in scaled}) == 4


def test_xla_compiles_all_but_convolutions() -> None:
    assert under_xla(build("mlp", (4, 4, 1), 3, seed=1))
    assert not under_xla(build("cnn", (4, 4, 1), 3, seed=1))
    inside = ending(layers.Reshape((4, 4, 1)), layers.DepthwiseConv2D(2), layers.Flatten(), layers.Dense(3))
    assert not under_xla(inside)
