"""Evidence on Keras's components and loops: what questions 3 to 6 come to on this machine, here and now.

for found in losses():              # 3; metrics: 4; layers_and_models: 5; custom_loops: 6
    found.what, found.expected, found.observed, found.holds
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
        return _scaled(self.factor)(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"factor": self.factor}


def _scaled(factor: float) -> Callable[..., tf.Tensor]:
    def loss(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return factor * tf.abs(y_true - y_pred)[:, 0]  # (B,)

    return loss


def _passes_on(**compiled_with: Any) -> keras.Model:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Identity()])
    model.compile(**compiled_with, jit_compile=False)
    return model


def _saved_and_loaded(model: keras.Model, custom_objects: dict[str, Any] | None = None) -> keras.Model:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "model.keras")
        model.save(path)
        return keras.saving.load_model(path, custom_objects)


def losses() -> Iterator[Evidence]:
    """3: a loss as a function and as a subclass, in use and after save and load."""
    errors, zeros = tf.constant([[1.0], [3.0]]), tf.zeros([2, 1])
    both = [float(_passes_on(loss=loss(2.5)).compute_loss(y=zeros, y_pred=errors)) for loss in (_scaled, _ScaledError)]
    yield fact("2.5 times errors 1 and 3, by function and subclass", both, [5.0, 5.0])
    loaded = _saved_and_loaded(_passes_on(loss=_scaled(2.5)), {"loss": _scaled(1.0)})
    yield fact("errors by a loaded function, its factor lost", loaded.loss(zeros, errors).numpy().tolist(), [1.0, 3.0])
    used = _ScaledError(2.5, reduction="sum")
    yield fact("sum by a subclass", float(used(zeros, errors)), 10.0)
    loaded = _saved_and_loaded(_passes_on(loss=used), {"_ScaledError": _ScaledError})
    calls = [int(used.calls.value), int(loaded.loss.calls.value), len(loaded.variables)]
    yield fact("calls counted, count after load, variables of the model", calls, [1, 0, 0], corrects=True)
    yield fact("sum by a loaded subclass", float(loaded.loss(zeros, errors)), 10.0)


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
    yield fact("precision by a function, the mean of 1/1, 1/4, 1/1", values["precision"], 0.75)
    yield fact("by a Metric, which keeps counts: 3 of 6", values["streaming"], 0.5)
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
    """5: reuse as a block, and what fit and save need."""
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
    norm.alpha.assign([1.0, 2.0, 3.0])
    loaded = _saved_and_loaded(keras.Sequential([keras.Input((3,)), norm]))
    yield fact("a loaded layer computes the same", bool(tf.reduce_all(loaded(x) == norm(x))), True)


class _Game(keras.Model):
    """A critic c and a generator g, a number each: c is to make c * (3 - g) large, then g c * g."""

    def __init__(self) -> None:
        super().__init__(name="game")
        self.critic = self.add_weight(name="critic", shape=(), initializer="zeros")
        self.generator = self.add_weight(name="generator", shape=(), initializer="ones")
        self.optimizers = [keras.optimizers.SGD(0.5) for _ in range(2)]

    def train_step(self, data: Any = None) -> dict[str, tf.Tensor]:
        for turn, player in enumerate((self.critic, self.generator)):
            with tf.GradientTape() as tape:
                loss = (-self.critic * (3 - self.generator), -self.critic * self.generator)[turn]
            self.optimizers[turn].apply([tape.gradient(loss, player.value)], [player])
        return {"loss": loss}


def custom_loops() -> Iterator[Evidence]:
    """6: two optimizers, two opponents, gradient surgery."""
    x, sgd = tf.constant([[2.0]]), keras.optimizers.SGD
    ones = {"kernel_initializer": "ones", "bias_initializer": "ones"}
    looped, fitted = (keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, **ones)]) for _ in range(2))
    with tf.GradientTape(persistent=True) as tape:
        loss = looped(x)  # 2 * kernel + bias
    for variable, rate in zip(looped.trainable_variables, (0.5, 0.25), strict=True):
        sgd(rate).apply([tape.gradient(loss, variable.value)], [variable])
    optimizers = keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(sgd(0.5), {".*bias": sgd(0.25)}))
    fitted.compile(optimizers, loss=lambda y_true, y_pred: y_pred, jit_compile=False)
    fitted.fit(x, x, shuffle=False, verbose=0)
    by_loop, by_fit = ([variable.numpy().item() for variable in model.variables] for model in (looped, fitted))
    yield fact("1 - 0.5 * 2, 1 - 0.25 * 1 by two optimizers", by_loop, [0.0, 0.75])
    yield fact("the same by fit, MultiOptimizer", by_fit, [0.0, 0.75], corrects=True)

    game, fit = _Game(), _Game()
    for _ in range(2):
        game.train_step()
    yield fact("two rounds of critic, then generator", [float(game.critic), float(game.generator)], [1.75, 2.375])
    fit.compile(jit_compile=False)
    fit.fit(tf.ones([2, 1]), batch_size=1, shuffle=False, verbose=0)
    yield fact("the same by fit, train_step", [float(fit.critic), float(fit.generator)], [1.75, 2.375], corrects=True)

    shared = keras.Variable([0.0, 0.0])
    with tf.GradientTape(persistent=True) as tape:
        tasks = [shared[0], shared[1] - shared[0]]
    first, second = (tape.gradient(task, shared.value) for task in tasks)  # (1, 0) and (-1, 1), in conflict
    sgd(1.0).apply([_without(first, second) + _without(second, first)], [shared])  # (1/2, 1/2) + (0, 1)
    yield fact("step by two gradients freed of their conflict", shared.numpy().tolist(), [-0.5, -1.5])


def _without(gradient: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """The gradient without its part against the other's direction (Yu et al., 2020, arXiv:2001.06782)."""
    return gradient - tf.minimum(tf.tensordot(gradient, other, 1), 0) / tf.tensordot(other, other, 1) * other
