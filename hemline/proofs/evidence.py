"""Evidence on TensorFlow and its graphs: what questions 1, 2 and 7 to 9 come to on this machine, here and now.

    for found in tf_functions():        # question 8
        found.what, found.expected, found.observed, found.holds

`component_evidence` has the other questions, `claims` all nine. No function of evidence draws a random number,
registers a class or leaves a setting changed. Numbers are small: worked by hand, and exact in float32.
"""

import operator
import tempfile
from collections.abc import Callable, Iterator
from statistics import median
from time import perf_counter
from timeit import timeit
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hemline.records.proofs import Evidence

# What Python's `if` or `while` on a tensor raises in a graph, unless AutoGraph has converted it.
NotConverted = tf.errors.OperatorNotAllowedInGraphError


def fact(what: str, observed: object, expected: object, corrects: bool = False) -> Evidence:
    """Holds if what was observed equals what was expected."""
    holds = bool(observed == expected)
    return Evidence(what=what, expected=str(expected), observed=str(observed), holds=holds, corrects=corrects)


def refused(what: str, action: Callable[[], object], error: type[Exception], corrects: bool = False) -> Evidence:
    """Holds if the action raises the error. Any other error is left to the caller."""
    observed = "accepted"
    try:
        action()
    except error:
        observed = error.__name__
    return fact(what, observed, error.__name__, corrects)


def _graphs(function: Any) -> int:
    """How many graphs a TF function has made so far."""
    return function.experimental_get_tracing_count()


def not_numpy() -> Iterator[Evidence]:
    """1: what TensorFlow adds, and what it does differently under the same name."""
    ours = tf.constant(0).device.rpartition("/device:")[0]  # of several workers, each looks at its own devices
    names = (device.name.rpartition("/device:") for device in tf.config.list_logical_devices())
    devices = [f"/device:{name}" for owner, _, name in names if owner in (ours, "")]
    yield fact("devices, by where each multiplied matrices", [_placed(device) for device in devices], devices)
    yield refused("NumPy array on a GPU", lambda: np.zeros(1, device="gpu"), ValueError)  # type: ignore[call-overload]

    x = tf.constant([1.0, 2.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        cubes, by_numpy = x**3, tf.constant(x.numpy() ** 3)
    yield fact("gradient of x³ at 1 and 2", tape.gradient(cubes, x).numpy().tolist(), [3.0, 12.0])
    yield fact("gradient of x³ by NumPy", tape.gradient(by_numpy, x), None)
    computed: list[np.ndarray] = []

    def root(number: np.ndarray) -> np.ndarray:
        computed.append(number)
        return np.sqrt(number)

    def used_and_unused(number: tf.Tensor) -> tf.Tensor:
        used, _ = (tf.numpy_function(root, [number], tf.float32, stateful=False) for _ in range(2))
        return used

    used_and_unused(x)
    eagerly = len(computed)
    tf.function(used_and_unused)(x)
    counts = [eagerly, len(computed) - eagerly]
    yield fact("computations where one of two is used, eager and in a graph", counts, [2, 1])

    yield refused("assignment to an element of a tensor", lambda: operator.setitem(x, 0, 5.0), TypeError)
    yield refused("int32 tensor + float32 tensor", lambda: tf.constant(1) + x, tf.errors.InvalidArgumentError)
    taken = keras.layers.Identity()(tf.constant(np.ones(1))).dtype.name
    yield fact("dtype of a float64 array in a Keras layer", taken, "float32")
    with tf.device("/CPU:0"):  # where an array can be a view of a tensor
        matrix = tf.constant([[1.0, 2.0], [3.0, 4.0]])
        array, flat, turned = map(np.asarray, (matrix, tf.reshape(matrix, [-1]), tf.transpose(matrix)))
    shared = [np.shares_memory(array, other) for other in (array.T, flat, turned)]
    yield fact("memory shared by NumPy's .T, tf.reshape, tf.transpose", shared, [True, True, False])
    yield fact("tensors have .T", hasattr(matrix, "T"), False)


def _placed(device: str) -> str:
    with tf.device(device):
        return "/device:" + tf.matmul([[1.0]], [[1.0]]).device.rpartition("/device:")[2]


def range_and_arange() -> Iterator[Evidence]:
    """2: values, dtypes, and what mixing them does."""
    ours, theirs = tf.range(10), tf.constant(np.arange(10))
    yield fact("equal values", ours.numpy().tolist() == theirs.numpy().tolist() == list(range(10)), True)
    yield fact("dtypes", [ours.dtype.name, theirs.dtype.name], ["int32", "int64"])
    yield refused("their sum", lambda: ours + theirs, tf.errors.InvalidArgumentError)
    mixed = tf.range(1) + np.array([2**40 + 7])
    yield fact("int32 tensor 0 + int64 array 2**40 + 7", [mixed.dtype.name, int(mixed[0])], ["int32", 7])
    yield fact("dtype where int32 is asked for", tf.constant(np.arange(10), tf.int32).dtype.name, "int32")


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


def python_in_components() -> Iterator[Evidence]:
    """7: what AutoGraph converts, what runs while tracing, the ways out and their price."""
    by_keras = _Component(lambda x: keras.ops.cond(tf.reduce_sum(x) > 0, lambda: 2 * x, lambda: x - 1))
    yield refused("`if` in a Keras component", lambda: _Component(_branches).of_each(3), NotConverted, corrects=True)
    for name, component, runs, corrects in (
        ("@tf.function on it", _Component(tf.function(_branches)), 1, False),
        ("keras.ops.cond", by_keras, 1, False),
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


def tf_functions() -> Iterator[Evidence]:
    """8: each pattern, and what comes of it."""
    seen: list[int] = []
    terms, rate, variable, zero = [1.0], 1.0, tf.Variable(1.0), tf.constant(0.0)

    @tf.function
    def appends_and_captures(x: tf.Tensor) -> tuple[tf.Tensor, ...]:
        seen.append(1)
        return x + sum(terms), x + rate, x + variable

    @tf.function
    def multiplies(x: tf.Tensor) -> tf.Tensor:
        for factor in (2.0, 3.0, 4.0):
            x = x * factor
        return x

    doubles = [  # a line each, or TensorFlow counts them as one function and warns
        tf.function(lambda number: 2 * number),
        tf.function(lambda numbers: 2 * numbers[0]),
        tf.function(lambda tensor: 2 * tensor),
    ]
    appends_and_captures(zero)
    terms.append(10.0)
    rate = 2.0
    variable.assign(2.0)
    values = [float(value) for value in appends_and_captures(zero)]
    yield fact("captured list, number, tf.Variable after a change", values, [1.0, 1.0, 2.0])
    yield fact("appends to a Python list in 2 calls", len(seen), 1)
    yield refused("variable made inside", lambda: tf.function(tf.Variable)(1.0), ValueError)
    for number in (1, 2, 3):
        for double, argument in zip(doubles, (number, [number], tf.constant(number)), strict=True):
            double(argument)
    traced = [_graphs(double) for double in doubles]
    yield fact("graphs for 1, 2, 3 as numbers, in lists, as tensors", traced, [3, 3, 1])
    grows = [_nodes(steps, 100) > _nodes(steps, 10) for steps in (range, tf.range)]
    yield fact("more nodes for a loop of 100 than of 10, over a Python range, over tf.range", grows, [True, False])
    product = [float(multiplies(tf.constant(1.0))), _graphs(multiplies)]
    yield fact("product over a Python tuple, graphs", product, [24.0, 1], corrects=True)


def _nodes(steps: Callable[[int], Any], length: int) -> int:
    """How many a graph has that loops over so many steps."""

    def loop(x: tf.Tensor) -> tf.Tensor:
        for _ in steps(length):
            x = x * 2
        return x

    return len(tf.function(loop).get_concrete_function(tf.constant(1.0)).graph.as_graph_def().node)


def _halvings(x: tf.Tensor) -> tf.Tensor:
    """How often x can be halved before it is 1 or less: as many steps as the data says."""
    count = tf.zeros_like(x)
    while tf.reduce_max(x) > 1:
        x = x / 2
        count += 1
    return count


def dynamic_models() -> Iterator[Evidence]:
    """9: a structure that the data decides, by eager execution and in a graph."""
    numbers, steps = (8, 1, 64), [3.0, 0.0, 6.0]
    yield refused("`while` in call", lambda: _Component(_halvings).of_each(*numbers), NotConverted, corrects=True)
    yield refused("Layer(dynamic=True)", lambda: keras.layers.Layer(dynamic=True), ValueError)
    eager, graph = _Component(_halvings, run_eagerly=True), _Component(tf.function(_halvings))
    yield fact("run_eagerly=True: halvings of 8, 1, 64", eager.of_each(*numbers), steps)
    yield fact("@tf.function on it: the same, graphs", [*graph.of_each(*numbers), _graphs(graph.function)], [*steps, 1])
    with tempfile.TemporaryDirectory() as directory:
        yield refused("export of the eager one", lambda: eager.export(directory, verbose=False), NotConverted)
        graph.export(directory, verbose=False)
        serve = tf.saved_model.load(directory).serve
        served = [serve(tf.constant([[x]], tf.float32)).numpy().item() for x in numbers]
    yield fact("export of the graph, loaded without its code", served, steps, corrects=True)
    times = times_as_long(_halvings, tf.function(_halvings), tf.constant(2.0**100))
    what = "100 halvings, eager against graph: times as long"
    yield Evidence(what=what, expected="2 or more", observed=f"{times:.1f}", holds=times >= 2)  # 25 on 2 cores
    layers = keras.Sequential([keras.Input((1,)), keras.layers.Identity()])
    knows = [hasattr(model, "input_shape") for model in (layers, graph)]
    yield fact("shapes known of a model of layers, of one of code", knows, [True, False])


def times_as_long(one: Callable[[Any], Any], other: Callable[[Any], Any], argument: Any) -> float:
    """Ratio of median times, taken in turns so that a busy machine slows both."""

    def seconds(function: Callable[[Any], Any]) -> float:
        return timeit(lambda: function(argument).numpy(), timer=perf_counter, number=1)

    ours, theirs = zip(*((seconds(one), seconds(other)) for _ in range(10)), strict=True)
    return median(ours) / median(theirs)
