"""Evidence on TensorFlow itself: what questions 1, 2 and 8 come to on this machine, here and now.

    for found in tf_functions():        # question 8
        found.what, found.expected, found.observed, found.holds

`component_evidence` and `loop_evidence` have the other questions, `claims` all nine. No function of evidence draws a
random number, registers a class or leaves a setting changed.
"""

import operator
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hemline.records.proofs import Evidence


def fact(what: str, observed: object, expected: object, corrects: bool = False) -> Evidence:
    """Holds if what was observed equals what was expected."""
    holds = bool(observed == expected)
    return Evidence(what=what, expected=str(expected), observed=str(observed), holds=holds, corrects=corrects)


def refused(what: str, action: Callable[[], object], error: type[Exception], corrects: bool = False) -> Evidence:
    """Holds if the action raises the error. Any other error is left to the caller."""
    try:
        action()
    except error:
        return fact(what, error.__name__, error.__name__, corrects)
    return fact(what, "accepted", error.__name__, corrects)


def graphs(function: Any) -> int:
    """How many graphs a TF function has made so far."""
    return function.experimental_get_tracing_count()


def not_numpy() -> Iterator[Evidence]:
    """1: what TensorFlow adds, and what it does differently under the same name."""
    here = tf.DeviceSpec.from_string(tf.constant(0).device)  # of several workers, each looks at its own
    specs = [tf.DeviceSpec.from_string(device.name) for device in tf.config.list_logical_devices()]
    devices = [
        f"/device:{spec.device_type}:{spec.device_index}"
        for spec in specs
        if (spec.job, spec.task) in ((here.job, here.task), (None, None))
    ]
    yield fact("devices, by where each multiplied matrices", [_placed(device) for device in devices], devices)
    gpu: Any = "gpu"
    yield refused("NumPy array on a GPU", lambda: np.zeros(1, device=gpu), ValueError)

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
    dtypes = [tf.constant(1.5).dtype.name, np.array(1.5).dtype.name]
    yield fact("dtype of 1.5, in TensorFlow and in NumPy", dtypes, ["float32", "float64"])
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
    looked_up = [tf.gather(ours, index).numpy().tolist() for index in (ours, theirs)]
    yield fact("either serves as an index", looked_up, [list(range(10))] * 2)


def tf_functions() -> Iterator[Evidence]:
    """8: each pattern, and what comes of it."""
    seen: list[int] = []
    terms, rate, variable = [1.0], 1.0, tf.Variable(1.0)

    @tf.function
    def appends(x: tf.Tensor) -> tf.Tensor:
        seen.append(1)
        return x

    @tf.function
    def captures(x: tf.Tensor) -> tuple[tf.Tensor, ...]:
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
    zero = tf.constant(0.0)
    for _ in range(3):
        appends(zero)
    yield fact("appends to a Python list in 3 calls", len(seen), 1)
    yield refused("variable made inside", lambda: tf.function(tf.Variable)(1.0), ValueError)
    for number in (1, 2, 3):
        for double, argument in zip(doubles, (number, [number], tf.constant(number)), strict=True):
            double(argument)
    yield fact("graphs for 1, 2, 3 as numbers, in lists, as tensors", [graphs(double) for double in doubles], [3, 3, 1])
    captures(zero)
    terms.append(10.0)
    rate = 2.0
    variable.assign(2.0)
    values = [float(value) for value in captures(zero)]
    yield fact("captured list, number, tf.Variable after a change", values, [1.0, 1.0, 2.0])
    over_python, over_tensor = ([_nodes(loop, length) for length in (10, 100)] for loop in (_loop, _tensor_loop))
    yield Evidence(
        what="nodes of loops of 10 and of 100, over a Python range and over tf.range",
        expected="more, the same",
        observed=f"{over_python}, {over_tensor}",
        holds=over_python[1] > over_python[0] and over_tensor[1] == over_tensor[0],
    )
    product = [float(multiplies(tf.constant(1.0))), graphs(multiplies)]
    yield fact("product over a Python tuple, graphs", product, [24.0, 1], corrects=True)


def _loop(x: tf.Tensor, length: int) -> tf.Tensor:
    for _ in range(length):
        x = x * 2
    return x


def _tensor_loop(x: tf.Tensor, length: int) -> tf.Tensor:
    for _ in tf.range(length):
        x = x * 2
    return x


def _nodes(loop: Callable[..., tf.Tensor], length: int) -> int:
    return len(tf.function(loop).get_concrete_function(tf.constant(1.0), length).graph.as_graph_def().node)
