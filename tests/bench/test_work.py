"""The numbers that contestants share are those of the models, recipes and optimizers that they are taken from."""

from math import prod

import keras
import numpy as np
import pytest

from bench import work
from hemline.config.optimizers import OPTIMIZERS
from hemline.config.retrain import RetrainConfig
from hemline.models import build
from hemline.training.schedules import ScheduledRate


def test_the_mlp_is_ours() -> None:
    kernels = [
        layer.kernel.shape for layer in build("mlp", (28, 28, 1), 10, work.SEED).layers if hasattr(layer, "kernel")
    ]
    assert [kernel.shape for kernel in work.glorot()] == kernels


def test_the_chapters_optimizers_are_those_of_the_recipe() -> None:
    ours, theirs = (
        RetrainConfig(**given).groups.by_name() for given in ({"groups": work.CHAPTER}, {"recipe": "chapter"})
    )
    for name, group in theirs.items():
        assert ours[name].model_copy(update={"layers": group.layers}) == group
    assert ours.keys() == theirs.keys()
    lower, upper = theirs.values()
    assert (lower.optimizer, lower.learning_rate) == ("adam", work.ADAM_RATE)
    assert (upper.optimizer, upper.learning_rate, upper.momentum) == ("sgd", work.SGD_RATE, None)
    adam = keras.optimizers.Adam()
    assert (adam.beta_1, adam.beta_2, adam.epsilon) == (work.BETA_1, work.BETA_2, work.ADAM_EPSILON)


def test_best_mlp_is_the_recipe_on_a_longer_cosine() -> None:
    groups = RetrainConfig(recipe="best-mlp").groups.by_name()
    lower, upper, matrices = groups["lower"], groups["upper"], groups["matrices"]
    assert {group.schedule.kind for group in groups.values()} == {"cosine"}
    assert (matrices.learning_rate, matrices.weight_decay) == (work.MUON_RATE, work.MUON_DECAY)
    assert OPTIMIZERS["muon"].takes["momentum"] == work.MUON_MOMENTUM
    assert (lower.learning_rate, upper.learning_rate) == (work.BEST_ADAM_RATE, work.BEST_SGD_RATE)
    muon = keras.optimizers.Muon()
    assert (muon.ns_steps, muon.rms_rate) == (work.MUON_STEPS, work.MUON_RMS)
    assert (muon.muon_a, muon.muon_b, muon.muon_c) == work.MUON_COEFFICIENTS


@pytest.mark.parametrize("epoch", [1, 7, work.COSINE_EPOCHS + 1])
def test_the_cosine_is_that_of_a_run(epoch: int) -> None:
    rate = ScheduledRate(1.0, cosine_steps=3 * work.COSINE_EPOCHS)
    expected = [float(rate(step)) for step in range(3 * epoch - 3, 3 * epoch)]
    np.testing.assert_allclose(work.cosine(epoch, steps=3), expected, atol=1e-6)


def test_the_arithmetic_of_an_epoch_by_hand() -> None:
    # A batch forward: 128 x 784 x 128, 128 x 128 x 64 and 128 x 64 x 10 multiplications and additions.
    forward = 2 * 128 * (100_352 + 8_192 + 640)
    images = 2 * 128 * 100_352  # no gradient is taken for them
    assert work.mlp_flops(128) == 3 * forward - images == 58_163_200
    assert work.steps_of(60_000) == 469
    # Five times x x' (128 x 784), its square and the product with x; and the same for 64 x 128.
    muon = 5 * 2 * (2 * 128 * 128 * 784 + 128**3 + 2 * 64 * 64 * 128 + 64**3)
    assert work.best_mlp_flops(128) == work.mlp_flops(128) + muon
    assert round(muon / 1e6) == 291


def test_the_arithmetic_of_the_cnn_is_that_of_its_layers() -> None:
    model = build("cnn", (work.MAP, work.MAP, 1), 10, work.SEED)
    layers = [layer for layer in model.layers if hasattr(layer, "kernel")]
    each = [2 * prod(layer.kernel.shape) * prod(layer.output.shape[1:-1]) for layer in layers]  # of an image, forward
    assert [layer.kernel.shape[-1] for layer in layers[:-1]] == list(work.FILTERS)
    assert work.cnn_flops(7) == 7 * (3 * sum(each) - each[0])
