"""Evidence on loops and control flow: what questions 6, 7 and 9 come to here and now.

    for found in custom_loops():        # question 6; python_in_components: 7; dynamic_models: 9
        found.what, found.expected, found.observed, found.holds

Numbers are chosen so that they can be worked by hand and float32 holds them exactly.
"""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hemline.proofs.evidence import fact, graphs, refused
from hemline.records.proofs import Evidence

# What Python's `if` or `while` on a tensor raises in a graph, unless AutoGraph has converted it.
NotConverted = tf.errors.OperatorNotAllowedInGraphError


class _TwoWeights(keras.Model):
    """x times 2a + 3b, so that the gradients are 2 and 3."""

    def __init__(self) -> None:
        super().__init__(name="two_weights")
        self.a, self.b = (self.add_weight(name=name, shape=(), initializer="ones") for name in "ab")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return x * (2 * self.a + 3 * self.b)


class _Game(keras.Model):
    """A critic c and a generator g, a number each: c is to make c * (3 - g) large, then g c * g."""

    def __init__(self) -> None:
        super().__init__(name="game")
        self.critic = self.add_weight(name="critic", shape=(), initializer="zeros")
        self.generator = self.add_weight(name="generator", shape=(), initializer="ones")
        self.players = [(variable, keras.optimizers.SGD(0.5)) for variable in (self.critic, self.generator)]
        for variable, optimizer in self.players:
            optimizer.build([variable])

    def losses_of_both(self) -> tuple[tf.Tensor, tf.Tensor]:
        return -self.critic * (3 - self.generator), -self.critic * self.generator

    def train_step(self, data: Any = None) -> dict[str, tf.Tensor]:
        for turn, (variable, optimizer) in enumerate(self.players):
            with tf.GradientTape() as tape:
                loss = self.losses_of_both()[turn]
            optimizer.apply(tape.gradient(loss, [variable.value]), [variable])
        return {"loss": loss}


def custom_loops() -> Iterator[Evidence]:
    """6: two optimizers, two opponents, gradient surgery."""
    one, sgd = tf.ones([1, 1]), keras.optimizers.SGD
    looped, fitted = _TwoWeights(), _TwoWeights()
    with tf.GradientTape(persistent=True) as tape:
        loss = looped(one)
    for weight, optimizer in ((looped.a, sgd(0.5)), (looped.b, sgd(0.25))):
        optimizer.apply([tape.gradient(loss, weight.value)], [weight])
    yield fact("1 - 0.5 * 2, 1 - 0.25 * 3 by two optimizers", [float(looped.a), float(looped.b)], [0.0, 0.25])
    optimizers = keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(sgd(0.5), {".*b": sgd(0.25)}))
    fitted.compile(optimizers, loss=lambda y_true, y_pred: y_pred, jit_compile=False)
    fitted.fit(one, one, shuffle=False, verbose=0)
    yield fact("the same by fit, MultiOptimizer", [float(fitted.a), float(fitted.b)], [0.0, 0.25], corrects=True)

    game, fit = _Game(), _Game()
    for _ in range(2):
        game.train_step()
    yield fact("two rounds of critic, then generator", [float(game.critic), float(game.generator)], [1.75, 2.375])
    fit.compile(jit_compile=False)
    fit.fit(tf.ones([2, 1]), batch_size=1, shuffle=False, verbose=0)
    yield fact("the same by fit, train_step", [float(fit.critic), float(fit.generator)], [1.75, 2.375], corrects=True)
    with tf.GradientTape(persistent=True) as tape:
        critics, generators = game.losses_of_both()
        both = critics + generators
    slopes = [float(tape.gradient(loss, game.generator.value)) for loss in (generators, both)]
    yield fact("generator's gradient of its loss, of one loss for both", slopes, [-1.75, 0.0])

    shared = keras.Variable([0.0, 0.0])
    with tf.GradientTape(persistent=True) as tape:
        tasks = [shared[0], shared[1] - shared[0]]
    first, second = (tape.gradient(task, shared.value) for task in tasks)  # (1, 0) and (-1, 1), in conflict
    sgd(1.0).apply([_without(first, second) + _without(second, first)], [shared])  # (1/2, 1/2) + (0, 1)
    yield fact("step by two gradients freed of their conflict", shared.numpy().tolist(), [-0.5, -1.5])


def _without(gradient: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """The gradient without its part against the other's direction (Yu et al., 2020, arXiv:2001.06782)."""
    return gradient - tf.minimum(tf.tensordot(gradient, other, 1), 0) / tf.tensordot(other, other, 1) * other


class _Component(keras.Model):
    """Does what a Python function does; counts how often Python runs."""

    def __init__(self, function: Callable[[tf.Tensor], tf.Tensor], run_eagerly: bool = False):
        super().__init__(name="component")
        self.function, self.runs = function, 0
        self.compile(run_eagerly=run_eagerly, jit_compile=False)  # with a GPU, Keras would: XLA has no py_function

    def call(self, x: tf.Tensor) -> tf.Tensor:
        self.runs += 1
        return self.function(x)

    def of_each(self, *numbers: float) -> list[float]:
        """Its outputs for numbers, a batch each."""
        return self.predict(np.array(numbers, np.float32)[:, None], batch_size=1, verbose=0).ravel().tolist()


def _branches(x: tf.Tensor) -> tf.Tensor:
    if tf.reduce_sum(x) > 0:
        return 2 * x
    return x - 1


def _branches_by_keras(x: tf.Tensor) -> tf.Tensor:
    return keras.ops.cond(tf.reduce_sum(x) > 0, lambda: 2 * x, lambda: x - 1)


def python_in_components() -> Iterator[Evidence]:
    """7: what AutoGraph converts, what runs while tracing, the ways out and their price."""
    converted, unconverted = tf.function(_branches), tf.function(_branches, autograph=False)
    results = [float(converted(tf.constant(x))) for x in (3.0, -3.0)]
    yield fact("AutoGraph: both branches of an `if`, graphs", [*results, graphs(converted)], [6.0, -4.0, 1])
    yield refused("`if` without AutoGraph", lambda: unconverted(tf.constant(3.0)), NotConverted)
    yield refused("`if` in a Keras component", lambda: _Component(_branches).of_each(3), NotConverted, corrects=True)
    for name, component, runs, corrects in (
        ("@tf.function on it", _Component(tf.function(_branches)), 1, False),
        ("keras.ops.cond", _Component(_branches_by_keras), 1, False),
        ("run_eagerly=True", _Component(_branches, run_eagerly=True), 3, True),
    ):
        outputs = component.of_each(3, -3, 5)
        yield fact(f"{name}: 3 batches, runs of Python", [*outputs, component.runs], [6.0, -4.0, 10.0, runs], corrects)

    wrapped = _Component(lambda x: tf.py_function(np.sqrt, [x], tf.float32))
    yield fact("tf.py_function: NumPy's roots of 1, 4, 9", wrapped.of_each(1, 4, 9), [1.0, 2.0, 3.0], corrects=True)
    x = tf.constant(4.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        roots = [tf.py_function(root, [x], tf.float32) for root in (tf.sqrt, np.sqrt)]
    slopes = [float(tape.gradient(root, x)) for root in roots]
    yield fact("gradient of √x at 4 by it, TensorFlow's and NumPy's", slopes, [0.25, 0.0])


def halvings(x: tf.Tensor) -> tf.Tensor:
    """How often x can be halved before it is 1 or less: as many steps as the data says."""
    count = tf.zeros_like(x)
    while tf.reduce_max(x) > 1:
        x = x / 2
        count += 1
    return count


def dynamic_models() -> Iterator[Evidence]:
    """9: a structure that the data decides, by eager execution and in a graph."""
    numbers, steps = (8, 1, 64), [3.0, 0.0, 6.0]
    yield refused("`while` in call", lambda: _Component(halvings).of_each(*numbers), NotConverted, corrects=True)
    for kind in (keras.layers.Layer, keras.Model):
        yield refused(f"{kind.__name__}(dynamic=True)", partial(kind, dynamic=True), ValueError)
    eager, graph = _Component(halvings, run_eagerly=True), _Component(tf.function(halvings))
    yield fact("run_eagerly=True: halvings of 8, 1, 64", eager.of_each(*numbers), steps)
    yield fact("@tf.function on it: the same, graphs", [*graph.of_each(*numbers), graphs(graph.function)], [*steps, 1])
    with tempfile.TemporaryDirectory() as directory:
        yield refused("export of the eager one", lambda: eager.export(directory, verbose=False), NotConverted)
        graph.export(directory, verbose=False)
        serve = tf.saved_model.load(directory).serve
        served = [serve(tf.constant([[x]], tf.float32)).numpy().item() for x in numbers]
    yield fact("export of the graph, loaded without its code", served, steps, corrects=True)

    adds_up, (one, two) = tf.function(_sum), (tf.constant(1.0), tf.constant(2.0))
    sums = [float(adds_up(tree)) for tree in ((one, two), (two, two), ((one, two), one))]
    yield fact("three trees of two shapes: sums, graphs", [*sums, graphs(adds_up)], [3.0, 4.0, 4.0, 2])
    times = times_as_long(halvings, tf.function(halvings), tf.constant(2.0**100))
    what = "100 halvings, eager against graph: times as long"
    yield Evidence(what=what, expected="2 or more", observed=f"{times:.1f}", holds=times >= 2)  # 25 on 2 cores
    layers = keras.Sequential([keras.Input((1,)), keras.layers.Identity()])
    knows = [hasattr(model, "input_shape") for model in (layers, graph)]
    yield fact("shapes known of a model of layers, of one of code", knows, [True, False])


def _sum(tree: Any) -> tf.Tensor:
    return _sum(tree[0]) + _sum(tree[1]) if isinstance(tree, tuple) else tree


def times_as_long(one: Callable[[Any], Any], other: Callable[[Any], Any], argument: Any) -> float:
    """Ratio of median times, taken in turns so that a busy machine slows both."""
    seconds: dict[Any, list[float]] = {one: [], other: []}
    for _ in range(10):
        for function, taken in seconds.items():
            began = perf_counter()
            function(argument).numpy()
            taken.append(perf_counter() - began)
    return median(seconds[one]) / median(seconds[other])
