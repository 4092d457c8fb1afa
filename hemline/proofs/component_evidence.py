"""Evidence on Keras's components: what questions 3 to 5 (losses, metrics, layers and models) come to here and now.

    for found in losses():              # question 3
        found.what, found.expected, found.observed, found.holds

Numbers are chosen so that they can be worked by hand and float32 holds them exactly.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hemline.models.layer_norm import LayerNorm
from hemline.proofs.evidence import fact, refused
from hemline.records.proofs import Evidence


class _ScaledError(keras.losses.Loss):
    """A factor times the absolute error; counts its calls in a variable."""

    def __init__(self, factor: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.factor = factor
        self.calls = keras.Variable(0, dtype="int32", name="calls")

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        self.calls.assign_add(1)
        return self.factor * _error(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"factor": self.factor}


def _error(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    return tf.abs(y_true - y_pred)[:, 0]  # (B,)


def losses() -> Iterator[Evidence]:
    """3: a loss as a function and as a subclass, in use and after save and load."""
    errors, zeros = tf.constant([[1.0], [3.0]]), tf.zeros([2, 1])

    def scaled(factor: float) -> Callable[..., tf.Tensor]:
        def loss(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
            return factor * _error(y_true, y_pred)

        return loss

    def value(loss: Any, *weights: float) -> float:
        weight = tf.constant(weights) if weights else None
        return float(_passes_on(loss=loss).compute_loss(y=zeros, y_pred=errors, sample_weight=weight))

    both = [value(scaled(2.5)), value(_ScaledError(2.5))]
    yield fact("2.5 times errors 1 and 3, by function and subclass", both, [5.0, 5.0])
    yield fact("weight on either error", [value(_error, 1.0, 0.0), value(_error, 0.0, 1.0)], [0.5, 1.5])
    means = [value(lambda *args: tf.reduce_mean(_error(*args)), *weights) for weights in ((1.0, 0.0), (0.0, 1.0))]
    yield fact("the same, the function returning their mean", means, [1.0, 1.0])

    loaded = _saved_and_loaded(_passes_on(loss=scaled(2.5)), {"loss": scaled(1.0)})
    yield fact("errors by a loaded function, its factor lost", loaded.loss(zeros, errors).numpy().tolist(), [1.0, 3.0])
    used = _ScaledError(2.5, reduction="sum")
    used(zeros, errors)
    loaded = _saved_and_loaded(_passes_on(loss=used), {"_ScaledError": _ScaledError})
    calls = [int(used.calls.value), int(loaded.loss.calls.value), len(loaded.variables)]
    yield fact("calls counted, count after load, variables of the model", calls, [1, 0, 0], corrects=True)
    yield fact("sum by a loaded subclass", float(loaded.loss(zeros, errors)), 10.0)


def _passes_on(**compiled_with: Any) -> keras.Model:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Identity()])
    model.compile(**compiled_with, jit_compile=False)
    return model


def _saved_and_loaded(model: keras.Model, custom_objects: dict[str, Any] | None = None) -> keras.Model:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "model.keras")
        model.save(path)
        return keras.saving.load_model(path, custom_objects)


def metrics() -> Iterator[Evidence]:
    """4: a metric as a function and as a subclass, over batches of 4, 4 and 1 examples."""
    predicted = np.array([1, 0, 0, 0, 1, 1, 1, 1, 1], np.float32)[:, None]
    labels = np.array([1, 0, 0, 0, 1, 0, 0, 0, 1], np.float32)[:, None]

    def precision(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(y_true * y_pred) / tf.reduce_sum(y_pred)

    def accuracy(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return tf.cast(y_true == y_pred, tf.float32)[:, 0]  # (B,)

    streaming = keras.metrics.Precision(name="streaming")
    model = _passes_on(loss="mse", metrics=[precision, streaming, accuracy])
    values = model.evaluate(predicted, labels, batch_size=4, verbose=0, return_dict=True)
    yield fact("precision over the data, 3 of 6", float(labels[predicted == 1].mean()), 0.5)
    yield fact("by a function, the mean of 1/1, 1/4, 1/1", values["precision"], 0.75)
    yield fact("by a Metric, which keeps counts", values["streaming"], 0.5)
    hits = round(float((predicted == labels).mean()), 6)
    yield fact("accuracy by a function, a value an example", round(values["accuracy"], 6), hits, corrects=True)
    streaming.reset_state()
    yield fact("the Metric after reset_state", float(streaming.result()), 0.0)
    yield fact("it has the listing's reset_states", hasattr(streaming, "reset_states"), False)


class _OwnStep(keras.Sequential):
    """A model with training behaviour of its own."""

    def train_step(self, data: Any) -> dict[str, Any]:
        return {"examples": tf.shape(data[0])[0]}


def layers_and_models() -> Iterator[Evidence]:
    """5: reuse as a block, and what fit, save and summary need."""
    norm = LayerNorm(epsilon=0.5, name="norm")
    block = keras.Sequential([norm], name="block")
    model = _OwnStep([keras.Input((3,)), norm, keras.layers.Activation("relu"), norm, block])
    yield fact("weights of a layer used twice, and in a nested model", len(model.variables), 2)
    has = [[hasattr(part, name) for name in ("compile", "fit", "save", "summary")] for part in (norm, block)]
    yield fact("compile, fit, save, summary of a layer, a model", has, [[False] * 4, [True] * 4])

    x = tf.constant([[1.0, 5.0, 7.0], [2.0, 2.0, 3.0]])
    yield refused("fit before compile", lambda: model.fit(x, x, verbose=0), ValueError)
    model.compile(jit_compile=False)
    history = model.fit(x, x, shuffle=False, verbose=0).history
    yield fact("what fit reports, by the model's train_step", history, {"examples": [2]})
    unbuilt = keras.Sequential([LayerNorm()])
    parameters = [_parameters(unbuilt)]
    unbuilt.build((None, 3))
    yield fact("parameters in a summary, before and after build", [*parameters, _parameters(unbuilt)], [0, 6])
    norm.alpha.assign([1.0, 2.0, 3.0])
    loaded = _saved_and_loaded(keras.Sequential([keras.Input((3,)), norm]))
    yield fact("a loaded layer computes the same", bool(tf.reduce_all(loaded(x) == norm(x))), True)


def _parameters(model: keras.Model) -> int:
    lines: list[str] = []
    model.summary(print_fn=lambda text, **_: lines.extend(text.splitlines()))
    (total,) = (line for line in lines if "Total params" in line)
    return int(total.split()[2])
