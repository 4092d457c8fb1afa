"""One compiled program for all functions that compute the same, each on variables of its own.

    programs = Programs()
    first = programs.shared(tf.function(steps_of(model), jit_compile=True))
    second = programs.shared(tf.function(steps_of(another), jit_compile=True))
    first(x), second(x)                 # traced twice, compiled once, by whichever is called first

Models that differ in their seed alone differ in the values of their variables, and these are inputs of a program. That
two functions compute the same is not believed but seen: each is traced, and what TensorFlow would run is compared in
full. A number that a seed has put into the program itself, such as a layer's seed of Dropout, makes it another program.
"""

import copy
import re
import threading
from collections.abc import Callable
from typing import Any

import tensorflow as tf


class Programs:
    """The programs of some trainings in one process. May be asked from several threads."""

    def __init__(self) -> None:
        self._first: dict[str, Any] = {}  # a tf.types.experimental.ConcreteFunction by what it computes
        self._lock = threading.Lock()

    @property
    def number(self) -> int:
        """How many there are: what is compiled."""
        return len(self._first)

    def shared(self, function: tf.types.experimental.PolymorphicFunction) -> Any:
        """The same function of tensors, in the program of an earlier one that computes the same."""
        own: dict[tuple[Any, ...], Callable[..., Any]] = {}

        def call(*arguments: tf.Tensor) -> Any:
            signature = tuple((argument.dtype, tuple(argument.shape)) for argument in arguments)
            if signature not in own:
                with self._lock:  # tracing holds the interpreter: two at once are no faster
                    own[signature] = self._compiled_as(function.get_concrete_function(*arguments))
            return own[signature](*arguments)

        return call

    def _compiled_as(self, traced: Any) -> Any:
        first = self._first.setdefault(_what_it_computes(traced), traced)
        if first is traced:
            return first
        same = copy.copy(first)  # TensorFlow compiles by a function's name, which stays
        same.set_external_captures(traced.captured_inputs)  # in the order of the inputs, which is part of the text
        return same


def _what_it_computes(traced: Any) -> str:
    """The text of a traced function and of all that it calls, in which numbers of this process are replaced."""
    main = traced.function_def
    texts = {inner.signature.name: str(inner) for inner in traced.graph.as_graph_def().library.function}
    texts[main.signature.name] = str(main)
    order = [main.signature.name]  # of the calls: TensorFlow's own is by hashes of names
    for name in order:  # which grows
        called = dict.fromkeys(re.findall(r'"([^"]+)"', texts[name]))
        order += [other for other in called if other in texts and other not in order]
    text = "\n".join(texts[name] for name in order)
    for name in sorted(order, key=len, reverse=True):  # one name may be the beginning of another
        text = text.replace(name, f"function-{order.index(name)}")
    return text
