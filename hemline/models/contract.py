"""What a model must be, so that it can be trained, killed, resumed, saved and served: checked before data is touched.

    require_contract(model, "my_models:wide", image_shape=(28, 28, 1), classes=10)      # else ConfigurationError

Takes 0.3 s for the project's own networks, 2 cores: it asks the model about two made-up images, saves and loads it.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from hemline.errors import ConfigurationError
from hemline.models.random_layers import at

SQUASHING = {"softmax", "sigmoid", "log_softmax", "logsoftmax"}  # what makes probabilities of logits


def require_contract(model: object, name: str, image_shape: tuple[int, int, int], classes: int) -> None:
    """Raises ConfigurationError with what was returned and what to do."""
    for find in (_of_its_outside, _of_its_layers, _of_its_answers, _of_its_file):
        for received, remedy in find(model, image_shape, classes):
            raise ConfigurationError(
                "model must return a Sequential or Functional keras.Model, from one input of shape "
                f"(None, {', '.join(map(str, image_shape))}), uint8, to logits of shape (None, {classes}), float32. "
                f"Received: model={name!r}, which returned {received}. {remedy}."
            )


Problems = Iterator[tuple[str, str]]  # what was returned, and the remedy


def _of_its_outside(model: object, image_shape: tuple[int, int, int], classes: int) -> Problems:
    if not isinstance(model, keras.Model):
        yield repr(model) if model is None else f"an object of {type(model).__name__}", "Return the model"
        return
    begin = "Begin with keras.Input(image_shape, dtype='uint8')"
    if not getattr(model, "inputs", None):  # a subclass, or a Sequential that was not told
        yield f"a {type(model).__name__} that does not know its inputs", begin
        return
    inputs, outputs = (tf.nest.flatten(model.inputs), tf.nest.flatten(model.outputs))
    for what, tensors in (("inputs", inputs), ("outputs", outputs)):
        if len(tensors) != 1:
            yield f"a model with {len(tensors)} {what}", f"Return a model with one of its {what}"
            return
    (images,), (logits,) = inputs, outputs
    if (images.shape, images.dtype) != ((None, *image_shape), "uint8"):
        yield f"a model of inputs {images.shape}, {images.dtype}", f"{begin}, and scale the pixels in the model"
    if logits.shape != (None, classes):
        yield f"a model of outputs {logits.shape}", f"End with keras.layers.Dense({classes})"
    if logits.dtype != "float32":
        yield f"a model of outputs in {logits.dtype}", "Give the last layer dtype='float32'"


def _of_its_layers(model: keras.Model, image_shape: tuple[int, int, int], classes: int) -> Problems:
    names = [layer.name for layer in model.layers]
    if twice := {each for each in names if names.count(each) > 1}:
        yield f"several layers called {', '.join(sorted(twice))}", "Give each layer a name of its own"
    if not any(layer.trainable_variables for layer in model.layers):
        yield "a model without a trainable weight", "Give it layers that learn"
    last = _last_operation(model)
    functions = {getattr(getattr(last, "activation", None), "__name__", ""), type(last).__name__.lower()}
    if found := functions & SQUASHING:
        yield (
            f"probabilities: its last layer, {last.name!r}, has {found.pop()}, and the loss expects logits",
            "Leave it out; what is served has probabilities all the same",
        )
    layers = list(model._flatten_layers(include_self=False))
    if drawing := [layer.name for layer in layers if layer._seed_generators]:
        yield (
            f"layers that draw random numbers by a state which a checkpoint does not have: {', '.join(drawing)}",
            "Take those of hemline.models.random_layers, whose numbers depend on the step alone",
        )
    if lambdas := [layer.name for layer in layers if isinstance(layer, keras.layers.Lambda)]:
        yield f"Lambda layers, which safe mode does not load: {', '.join(lambdas)}", "Write a layer of your own"
    if unknown := sorted({type(layer).__name__ for layer in layers if not _is_known(type(layer))}):
        yield (
            f"layers of classes that Keras does not know when it loads them: {', '.join(unknown)}",
            "Put @keras.saving.register_keras_serializable(package='...') before each class",
        )


def _is_known(layer: type) -> bool:
    registered = keras.saving.get_registered_object(keras.saving.get_registered_name(layer))
    return layer.__module__.startswith("keras.") or registered is layer


def _last_operation(model: keras.Model) -> keras.Operation:
    operation = tf.nest.flatten(model.outputs)[0]._keras_history.operation
    return _last_operation(operation) if isinstance(operation, keras.Model) else operation


def _made_up(image_shape: tuple[int, int, int]) -> np.ndarray:
    """Two images, the same ones every time."""
    return np.random.default_rng(0).integers(0, 256, (2, *image_shape), np.uint8)


def _of_its_answers(model: keras.Model, image_shape: tuple[int, int, int], classes: int) -> Problems:
    images = _made_up(image_shape)
    variables = [variable.value for variable in model.trainable_variables]
    with at(0), tf.GradientTape() as tape:
        logits = model(images, training=True)
    if not np.isfinite(logits).all():
        yield (
            "a model whose first answers are not finite",
            "Scale the pixels in the model",
        )
    if idle := [
        variable.path
        for variable, gradient in zip(model.trainable_variables, tape.gradient(logits, variables), strict=True)
        if gradient is None
    ]:
        yield f"weights on which its answers do not depend: {', '.join(idle)}", "Leave these layers out"


def _of_its_file(model: keras.Model, image_shape: tuple[int, int, int], classes: int) -> Problems:
    images = _made_up(image_shape)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.keras"
        try:
            model.save(path)
            loaded = keras.saving.load_model(path, safe_mode=True)
        except Exception as error:  # whatever Keras raises: a Lambda, a class that is not registered, no get_config
            first = " ".join(str(error).split())[:300]
            yield (
                f"a model that cannot be saved and loaded in safe mode ({first})",
                "Let get_config of each class of your own return all that its __init__ takes, as JSON",
            )
            return
    if not np.array_equal(model(images, training=False), loaded(images, training=False)):
        yield (
            "a model that answers differently once it is saved and loaded",
            "Let get_config of each class of your own return all that its __init__ takes",
        )
