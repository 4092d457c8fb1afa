"""How fast the saved signature answers, by a clock that the test holds."""

from itertools import count
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hemline.evaluation.saved import REPEATS, WARM_UP, export, measure
from hemline.models.mlp import build_mlp


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served") / "saved_model"
    export(build_mlp((4, 4, 1), classes=3, seed=0), ["a", "b", "c"], path)
    return path


def test_the_median_after_the_warm_up_is_reported(served: Path) -> None:
    calls = WARM_UP + REPEATS
    # Two looks a call. The warm-up takes a minute a call; then 1 ms and 3 ms in turn, and 7 ms for every batch.
    took = [60.0] * WARM_UP + [0.001, 0.003] * (REPEATS // 2) + [60.0] * WARM_UP + [0.007] * REPEATS
    looks = (number + (took[number // 2] if number % 2 else 1) for number in count())
    latency = measure(served, np.zeros((7, 4, 4, 1), np.uint8), clock=lambda: next(looks))
    assert (latency.single_ms, latency.batch_ms) == (2, 7)
    assert (latency.batch_size, latency.repeats) == (100, 50)
    assert next(looks) == 2 * 2 * calls + 1


def test_the_signature_takes_one_and_many(served: Path) -> None:
    serve = tf.saved_model.load(served).signatures["serving_default"]
    for examples in (1, 3):
        answer = serve(image=tf.zeros((examples, 4, 4, 1), tf.uint8))
        assert answer["probabilities"].shape == (examples, 3)
        np.testing.assert_allclose(tf.reduce_sum(answer["probabilities"], axis=1), 1, rtol=1e-6)
