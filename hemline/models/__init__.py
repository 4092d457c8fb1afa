"""The networks that can be trained, and the layers that this project wrote by hand.

    model = build("mlp", image_shape=(28, 28, 1), classes=10, seed=42)      # (B, H, W, C) uint8 -> (B, classes) float32
    model = build("my_models:wide", (28, 28, 1), 10, 42, arguments={"units": 100})      # a function of one's own
    model = load(Path("model.keras"))

Others import `MODELS`, `build` and `load` from here, `LayerNorm` from `layer_norm`, layers that draw random numbers
from `random_layers` and what a model must be from `contract`. A model is a function and, to have a short name, a row
of `MODELS`: CONTRIBUTING.md, "Add a model".
"""

import importlib
import json
import random
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pkgutil import resolve_name
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

# 'module:function' of (image_shape, classes, seed, precision, **arguments), imported when it is called.
MODELS = {
    "mlp": "hemline.models.mlp:build_mlp",
    "cnn": "hemline.models.cnn:build_cnn",
    "fast_cnn": "hemline.models.fast_cnn:build_fast_cnn",
}


def build(
    name: str,
    image_shape: tuple[int, int, int],
    classes: int,
    seed: int,
    precision: str = "float32",
    arguments: Mapping[str, Any] = MappingProxyType({}),
) -> "keras.Model":
    """A new model of (B, H, W, C) uint8 images to (B, classes) float32 logits.

    name: a key of MODELS, or package.module:function. precision: Keras's dtype policy, of layers that name none.
    arguments: further ones of the function.
    Raises ConfigurationError if it cannot be called so.
    """
    function = _resolved(name)
    with as_in_a_new_process(seed, precision):
        try:
            model: keras.Model = function(image_shape, classes, seed, precision, **arguments)
        except Exception as error:  # whatever a function of one's own may raise
            from hemline.errors import ConfigurationError  # here, or proofs of a layer would depend on it

            raise ConfigurationError(
                f"model must be a function of (image_shape, classes, seed, precision, **model_arguments). Received: "
                f"model={name!r}, model_arguments={dict(arguments)}, which raised {type(error).__name__}: {error}. "
                "Change the function or its arguments."
            ) from error
    return model


def load(path: Path) -> "keras.Model":
    """A saved model (.keras), in safe mode. Imports the modules that its classes are in, so that Keras knows them."""
    import keras

    with zipfile.ZipFile(path) as archive:
        parts = json.loads(archive.read("config.json"))
    for module in sorted(_modules(parts)):
        if module.partition(".")[0] not in ("keras", "builtins"):
            importlib.import_module(module)
    model: keras.Model = keras.saving.load_model(path, safe_mode=True)
    return model


def _modules(part: Any) -> set[str]:
    """Of all classes and functions in a part of a model's configuration."""
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    own = {part["module"]} if isinstance(part, dict) and isinstance(part.get("module"), str) else set()
    return own.union(*map(_modules, inner))


def module_of(name: str) -> str:
    """The module whose function makes the model."""
    return MODELS.get(name, name).partition(":")[0]


def _resolved(name: str) -> Any:
    try:
        return resolve_name(MODELS.get(name, name))
    except Exception as error:  # whatever a module of one's own may raise
        from hemline.errors import ConfigurationError

        raise ConfigurationError(
            f"model must be one of {', '.join(MODELS)}, or package.module:function that Python finds. Received: "
            f"model={name!r} ({type(error).__name__}: {error}). Correct it, or install its package; a file beside "
            "pyproject.toml is found too."
        ) from error


@contextmanager
def as_in_a_new_process(seed: int, precision: str) -> Iterator[None]:
    """Inside, layers without a name, a seed or a dtype, and optimizers, get the same ones whenever they are built.

    One thread at a time: Python's own random numbers are the process's.
    """
    import keras
    from keras.src.backend.common import global_state  # Keras has no public way that forgets nothing else

    counters, state, policy = "object_name_uids", random.getstate(), keras.config.dtype_policy()
    before = global_state.get_global_attribute(counters)
    global_state.set_global_attribute(counters, None)
    random.seed(seed)  # from which Keras draws the seed of an initializer that has none
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        random.setstate(state)
        global_state.set_global_attribute(counters, before)
