"""What `hemline.proofs.parity` tries: variants of the layer, and kinds of inputs.

    for variant in variants("default"):     # 30 layers; "full" has 720
        layer = variant.make(LayerNorm, variant.parameters(rng))
        x, upstream = variant.draw("normal", rng)

In the default grid any two values of form, rank, features, policy and epsilon meet in a layer. Every layer is tried
with every kind of input, eagerly and as a graph. XLA takes 0.1 s to compile one, so it has as many as let every form
and every rank meet every value of the others. The full grid has every combination, all in every mode.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, product
from typing import Any, Literal, get_args

import keras
import numpy as np
import tensorflow as tf

from hemline.models.layer_norm import Form
from hemline.proofs.reference import QUANTITIES, SMALLEST, ULP

Grid = Literal["default", "full"]  # as in the configuration, on which no proof depends
Mode = Literal["eager", "graph", "xla"]
MODES: tuple[Mode, ...] = get_args(Mode)

LEADING = {2: (6,), 3: (2, 3), 4: (2, 1, 3)}  # rank: the axes before the features
FEATURES = (1, 2, 7, 64, 784)
POLICIES = ("float32", "float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")
AS_BUILT = None  # in place of epsilon: a layer made without arguments, alpha and beta left as they are
EPSILONS = (1e-3, 1e-5, 1e-6, AS_BUILT)


def computed_in(dtype: str) -> str:
    """What is computed in for a compute dtype: half precision is widened, here as in Keras."""
    return "float64" if dtype == "float64" else "float32"


def _huge(dtype: str) -> float:
    """As large as can be while the squares of 784 have a finite sum."""
    return float(min(tf.as_dtype(dtype).max, tf.as_dtype(computed_in(dtype)).max ** 0.5)) / 64


# How inputs are drawn: generator, shape, dtype.
INPUTS: dict[str, Callable[[np.random.Generator, tuple[int, ...], str], np.ndarray]] = {
    "normal": lambda rng, shape, dtype: rng.normal(size=shape),
    # The squares leave float16, which ends at 65504.
    "large": lambda rng, shape, dtype: 300 * rng.normal(size=shape),
    # Epsilon is nearly all of the divisor: where it stands, and how exact it is, decides.
    "tiny_variance": lambda rng, shape, dtype: 1e-4 * rng.normal(size=shape),
    # The mean takes most digits. Half precision has few values there.
    "large_offset": lambda rng, shape, dtype: 1e4 + max(1.0, 8e4 * ULP[dtype]) * rng.normal(size=shape),
    "constant_rows": lambda rng, shape, dtype: np.broadcast_to(3 * rng.normal(size=(*shape[:-1], 1)), shape),
    "huge": lambda rng, shape, dtype: _huge(dtype) * rng.uniform(-1, 1, size=shape),
    "denormal": lambda rng, shape, dtype: SMALLEST[dtype] * rng.uniform(-1, 1, size=shape),
}


@dataclass(frozen=True)
class Variant:
    """A layer to try: its arguments, the shape of its inputs, and the modes it is tried in."""

    form: Form
    rank: int
    features: int
    policy: str
    given_epsilon: float | None
    modes: tuple[Mode, ...] = MODES

    @property
    def as_built(self) -> bool:
        """Whether the layer's defaults are under test too."""
        return self.given_epsilon is AS_BUILT

    @property
    def epsilon(self) -> float:
        """As given, or what it has to be by default."""
        return self.given_epsilon or 1e-3

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the inputs."""
        return (*LEADING[self.rank], self.features)

    @property
    def dtypes(self) -> dict[str, str]:
        """Of the quantities: a gradient has that of what it is for."""
        policy = keras.DTypePolicy(self.policy)
        names = [policy.compute_dtype] * 2 + [policy.variable_dtype] * 2
        return dict(zip(QUANTITIES, names, strict=True))

    def parameters(self, rng: np.random.Generator) -> tuple[tf.Tensor, tf.Tensor]:
        """alpha, beta: (features,). Drawn, or what they have to be in a new layer."""
        size = self.features
        drawn = (np.ones(size), np.zeros(size)) if self.as_built else rng.normal(size=(2, size))
        alpha, beta = (tf.constant(values, self.dtypes["alpha_gradient"]) for values in drawn)
        return alpha, beta

    def draw(self, inputs: str, rng: np.random.Generator) -> tuple[tf.Tensor, tf.Tensor]:
        """x and the gradient for the output, rounded to what the layer will see: no reference gets other digits.

        No gradient for x exceeds upstream / epsilon: with a small epsilon upstream is small, for float16's sake.
        """
        dtype = self.dtypes["output"]
        upstream = min(1.0, 1e3 * self.epsilon) * rng.normal(size=self.shape)
        return tf.constant(INPUTS[inputs](rng, self.shape, dtype), dtype), tf.constant(upstream, dtype)

    def make(self, layer_class: type[keras.Layer], parameters: Sequence[tf.Tensor]) -> keras.Layer:
        """A built layer. layer_class: LayerNorm or Keras's."""
        arguments: dict[str, Any] = {} if self.as_built else {"epsilon": self.epsilon}
        if self.form != "variance":  # which is the default
            arguments["epsilon_on"] = self.form
        layer = layer_class(dtype=keras.DTypePolicy(self.policy), **arguments)
        layer.build(self.shape)
        if not self.as_built:
            for variable, value in zip(layer.trainable_variables, parameters, strict=True):
                variable.assign(value)  # alpha and beta here, gamma and beta in Keras
        return layer


@cache
def variants(grid: Grid) -> list[Variant]:
    """The layers of a grid, in the same order every time."""
    full = list(product(get_args(Form), LEADING, FEATURES, POLICIES, EPSILONS))
    if grid == "full":
        return [Variant(*values) for values in full]
    some = _covering(full, first_axes=5)
    compiled = _covering(some, first_axes=2)
    return [replace(Variant(*values), modes=MODES if values in compiled else ("eager", "graph")) for values in some]


def _covering(rows: Sequence[tuple[Any, ...]], first_axes: int) -> list[tuple[Any, ...]]:
    """Few of the rows, with every pair of values in them that has one on the first axes.

    Greedy: the row with most of the missing pairs is next. Shuffled, so that ties fall evenly.
    """
    order = np.random.default_rng(0).permutation(len(rows))
    pairs = {rows[i]: {pair for pair in combinations(enumerate(rows[i]), 2) if pair[0][0] < first_axes} for i in order}
    missing = set().union(*pairs.values())
    chosen = []
    while missing:
        chosen.append(max(pairs, key=lambda row: len(pairs[row] & missing)))
        missing -= pairs[chosen[-1]]
    return chosen
