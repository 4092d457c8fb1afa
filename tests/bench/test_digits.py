"""The folder of digits: the split of scikit-learn's example, and pictures that Hemline reads."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from bench.digits import digits
from hemline.data.dataset import load_split
from hemline.data.decoding import prepare


def test_it_is_the_split_whose_accuracy_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEMLINE_ROOT", str(tmp_path))
    config = digits()
    assert digits() == config  # written once
    # Not scaled, a picture is what scikit-learn has, in another order: with its example's machine it has its accuracy.
    ref = prepare(config.model_copy(update={"image_size": None}))
    (images, labels), (test, test_labels) = load_split(ref, "train"), load_split(ref, "test")
    assert (images.shape, test.shape) == ((898, 8, 8, 1), (899, 8, 8, 1))
    original = load_digits().images[:898].sum(axis=0)
    np.testing.assert_array_equal(np.rint(images / (255 / 16)).sum(axis=0)[..., 0], original)
    machine = SVC(gamma=0.001).fit(images.reshape(898, -1) / (255 / 16), labels)
    assert machine.score(test.reshape(899, -1) / (255 / 16), test_labels) == pytest.approx(0.9689, abs=5e-4)
    assert load_split(prepare(config), "train")[0].shape == (898, 28, 28, 1)
