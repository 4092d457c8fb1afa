"""What a model must be, so that it can be trained, killed, resumed, saved and served: checked before data is touched.

    require_contract(model, "my_models:wide", (28, 28, 1), classes=10, precision="float32")   # else ConfigurationError

Takes 0.3 s for the project's own networks, 2 cores: it asks the model about made-up images, saves and loads it.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from hemline.errors import ConfigurationError
from hemline.models import load
from hemline.models.random_layers import at

SQUASHING = {"softmax", "sigmoid", "log_softmax", "logsoftmax"}  # what makes probabilities of logits
LEAVE_OUT = "Leave that out; what is served has probabilities all the same"


Problems = Iterator[tuple[str, str]]  # what was returned, and the remedy


@dataclass(frozen=True)
class Asked:
    """What the function was asked for."""

    image_shape: tuple[int, int, int]
    classes: int
    precision: str

    def images(self) -> np.ndarray:
        """Made up, the same ones every time: (8, H, W, C) uint8."""
        return np.random.default_rng(0).integers(0, 256, (8, *self.image_shape), np.uint8)


def require_contract(
    model: object, name: str, image_shape: tuple[int, int, int], classes: int, precision: str = "float32"
) -> None:
    """Raises ConfigurationError with what was returned and what to do."""
    asked = Asked(image_shape, classes, precision)
    for find in (_of_its_outside, _of_its_layers, _of_its_answers, _of_its_draws, _of_its_file):
        try:
            problems = list(find(model, asked))
        except Exception as error:  # whatever a layer of one's own may raise
            text = f"{type(error).__name__}: {_first_words(error)}"
            problems = [(f"a model that fails when it is asked in training ({text})", "Correct the layer")]
        for received, remedy in problems:
            raise ConfigurationError(
                "model must return a Sequential or Functional keras.Model, from one input of shape "
                f"(None, {', '.join(map(str, image_shape))}), uint8, to logits of shape (None, {classes}), float32. "
                f"Received: model={name!r}, which returned {received}. {remedy}."
            )


def _first_words(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _of_its_outside(model: object, asked: Asked) -> Problems:
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
    if (images.shape, images.dtype) != ((None, *asked.image_shape), "uint8"):
        yield f"a model of inputs {images.shape}, {images.dtype}", f"{begin}, and scale the pixels in the model"
    if logits.shape != (None, asked.classes):
        yield f"a model of outputs {logits.shape}", f"End with keras.layers.Dense({asked.classes})"
    if logits.dtype != "float32":
        yield f"a model of outputs in {logits.dtype}", "Give the last layer dtype='float32'"


def _of_its_layers(model: keras.Model, asked: Asked) -> Problems:
    names = [layer.name for layer in model.layers]
    if twice := {each for each in names if names.count(each) > 1}:
        yield f"several layers called {', '.join(sorted(twice))}", "Give each layer a name of its own"
    if not any(layer.trainable_variables for layer in model.layers):
        yield "a model without a trainable weight", "Give it layers that learn"
    last = _last_operation(model)
    functions = {_kind(getattr(last, "activation", None)), _kind(last)}
    if found := functions & SQUASHING:
        yield f"probabilities: its last layer, {last.name!r}, has {found.pop()}, and the loss expects logits", LEAVE_OUT
    layers = list(model._flatten_layers(include_self=False))
    computing = {layer.compute_dtype for layer in layers if layer.trainable_variables}
    if keras.DTypePolicy(asked.precision).compute_dtype not in computing:
        yield (
            f"layers that compute in {', '.join(sorted(computing))}, and none in precision={asked.precision!r}",
            "Leave out their dtype, or let it be precision",
        )
    if lambdas := [layer.name for layer in layers if isinstance(layer, keras.layers.Lambda)]:
        yield f"Lambda layers, which safe mode does not load: {', '.join(lambdas)}", "Write a layer of your own"
    if unknown := sorted({type(layer).__name__ for layer in layers if not _is_known(type(layer))}):
        yield (
            f"layers of classes that Keras does not know when it loads them: {', '.join(unknown)}",
            "Put @keras.saving.register_keras_serializable(package='...') before each, and none of them in a function",
        )


def _kind(function: object) -> str:
    """The name of a function, or of an object's class."""
    return getattr(function, "__name__", type(function).__name__).lower()


def _is_known(layer: type) -> bool:
    """Whether a new process finds it: registered once its module is imported."""
    if layer.__module__.startswith("keras."):
        return True
    registered = keras.saving.get_registered_object(keras.saving.get_registered_name(layer))
    return registered is layer and "<locals>" not in layer.__qualname__


def _last_operation(model: keras.Model) -> keras.Operation:
    operation = tf.nest.flatten(model.outputs)[0]._keras_history.operation
    return _last_operation(operation) if isinstance(operation, keras.Model) else operation


def _of_its_draws(model: keras.Model, asked: Asked) -> Problems:
    """What a step depends on must be in a checkpoint: weights, or a number made of the step."""
    remedy = (
        "Take random layers from hemline.models.random_layers, whose numbers depend on the step alone; its "
        "with_dropout_of_ours does so for a finished network"
    )
    images, before = tf.constant(asked.images()), model.get_weights()
    with at(0):
        graph = tf.function(lambda x: model(x, training=True)).get_concrete_function(images).graph
        one = model(images, training=True)
        model.set_weights(before)
        other = model(images, training=True)
    kept = {id(weight.value) for weight in model.weights}
    layers = model._flatten_layers(include_self=False)
    owner = {id(drawn.state.value): layer.name for layer in layers for drawn in layer._seed_generators}
    if missed := [owner.get(id(state), state.name) for state in graph.variables if id(state) not in kept]:
        yield f"a model that takes from a state which a checkpoint does not have: {', '.join(missed)}", remedy
    if not np.allclose(one, other, rtol=1e-3, atol=1e-3 * np.abs(one).max(), equal_nan=True):
        yield "a model whose answers in training differ from one call to the next, at the same step", remedy


def _of_its_answers(model: keras.Model, asked: Asked) -> Problems:
    images = asked.images()
    answers = model(images, training=False).numpy()
    if (answers >= 0).all() and np.allclose(answers.sum(axis=1), 1, atol=1e-3):
        yield "probabilities: each row of its answers sums to 1, and the loss expects logits", LEAVE_OUT
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


def _of_its_file(model: keras.Model, asked: Asked) -> Problems:
    images = asked.images()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.keras"
        try:
            model.save(path)
            loaded = load(path)
        except Exception as error:  # whatever Keras raises: a Lambda, a class that is not registered, no get_config
            yield (
                f"a model that cannot be saved and loaded in safe mode ({_first_words(error)})",
                "Let get_config of each class of your own return all that its __init__ takes, as JSON",
            )
            return
    if not np.array_equal(model(images, training=False), loaded(images, training=False)):
        yield (
            "a model that answers differently once it is saved and loaded",
            "Let get_config of each class of your own return all that its __init__ takes",
        )
