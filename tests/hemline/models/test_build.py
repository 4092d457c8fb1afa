"""Models by name or by function: found, built the same each time, and refused where they cannot be."""

import random
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from pydantic import ValidationError

from hemline.config.explain import explain
from hemline.config.retrain import RetrainConfig
from hemline.errors import ConfigurationError
from hemline.models import MODELS, build, load
from hemline.models.random_layers import at

OWN = "tests.hemline.models.own_models:"


def test_a_model_of_ones_own_is_the_same_whenever_it_is_built() -> None:
    """Without a name a layer was dense_1 the second time, and without a seed it started from other weights."""
    random.seed(0)
    one, other = (build(f"{OWN}everything", (4, 4, 1), 3, seed=7, arguments={"units": 5}) for _ in range(2))
    assert [layer.name for layer in one.layers] == [layer.name for layer in other.layers]
    assert one.layers[-1].name == "dense_1"
    for mine, yours in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(mine, yours)
    third = build(f"{OWN}everything", (4, 4, 1), 3, seed=8, arguments={"units": 5})
    assert not np.array_equal(one.layers[-1].kernel, third.layers[-1].kernel)
    assert random.random() == random.Random(0).random()  # what others draw stays as it was


def test_its_two_dense_layers_do_not_start_alike() -> None:
    model = build(f"{OWN}everything", (4, 4, 1), 16, seed=7, arguments={"units": 16})
    first, last = (layer.kernel.numpy() for layer in model.layers if "dense" in layer.name)
    assert first.shape == last.shape
    assert not np.array_equal(first, last)


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("no_such_module:f", {}, r"No module named 'no_such_module'\). Correct it, or install its package"),
        (f"{OWN}no_such_function", {}, "has no attribute 'no_such_function'"),
        (f"{OWN}everything", {"width": 3}, "model_arguments={'width': 3}, which raised TypeError: .*'width'"),
        (f"{OWN}failing", {}, "which raised ValueError: there is no such width"),
        (f"{OWN}everything", {"precision": 3}, "multiple values for argument 'precision'"),
        ("mlp", {"units": 3}, "model_arguments={'units': 3}, which raised TypeError"),
    ],
)
def test_what_cannot_be_built_is_refused(name: str, arguments: dict[str, int], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        build(name, (4, 4, 1), 3, seed=1, arguments=arguments)


def test_a_module_that_is_not_python_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "not_python.py").write_text("def f(:")
    with pytest.raises(ConfigurationError, match=r"model='not_python:f' \(SyntaxError: "):
        build("not_python:f", (4, 4, 1), 3, seed=1)


@pytest.mark.parametrize(
    "name", ["", "mlpp", "my models:f", "my_models", "my_models:f()", "a/b:f", "../x:f", ":f", "m:"]
)
def test_a_name_that_is_none_is_refused_before_anything_is_imported(name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RetrainConfig(model=name)
    rule = f"model: a network must be one of {', '.join(MODELS)}, or package.module:function"
    assert explain(caught.value, "Change it.") == f"{rule}. Received: model={name!r}. Change it."


def test_a_saved_model_is_loaded_with_classes_that_only_its_function_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function's module alone was imported, and a published version did not load in a new process."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "late_layers.py").write_text(LATE_LAYERS)
    (tmp_path / "late.py").write_text(LATE)
    images = np.ones((1, 4, 4, 1), np.uint8)
    model = build("late:net", (4, 4, 1), 3, seed=1)
    model.save(tmp_path / "model.keras")
    for name in ("late>Twice", "late>halved"):  # as in a new process
        del keras.saving.get_custom_objects()[name]
    del sys.modules["late_layers"]
    np.testing.assert_array_equal(load(tmp_path / "model.keras")(images), model(images))


LATE = """
import keras

def net(image_shape, classes, seed, precision):
    from late_layers import Twice, halved
    return keras.Sequential(
        [
            keras.Input(image_shape, dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(5, activation=halved),
            Twice(),
            keras.layers.Dense(classes),
        ]
    )
"""
LATE_LAYERS = """
import keras

@keras.saving.register_keras_serializable(package="late")
class Twice(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs

@keras.saving.register_keras_serializable(package="late")
def halved(x):
    return x / 2
"""


def test_what_names_no_dtype_computes_in_the_precision_asked_for() -> None:
    """It computed in float32, and the record said mixed_bfloat16."""
    model = build(f"{OWN}without_dtype", (4, 4, 1), 3, 1, "mixed_bfloat16")
    assert [layer.compute_dtype for layer in model.layers[-2:]] == ["bfloat16", "float32"]
    assert keras.config.dtype_policy().name == "float32"


def test_the_mlp_changes_images_in_training_alone() -> None:
    model = build("mlp", (4, 4, 1), 3, seed=1, arguments={"flip": True, "shift": 1})
    assert [layer.name for layer in model.layers[:3]] == ["flip", "shift", "scale"]
    images = np.random.default_rng(0).integers(256, size=(8, 4, 4, 1), dtype=np.uint8)
    np.testing.assert_array_equal(model(images), build("mlp", (4, 4, 1), 3, seed=1)(images))
    with at(1):
        assert np.abs(model(images, training=True) - model(images)).max() > 1e-3
