"""The contestant on JAX with convolutions: each step is a compiled call, the weights are its donated argument.

Not a `scan` over the steps: in a loop XLA's convolutions on a CPU do not get done (jax-ml/jax, issue 12868). The
maximum of reshaped maps takes 0.7 of the step's time with `reduce_window` (processor time, 2 cores).
"""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from bench.peers_jax import Tree, about, adam, sgd
from bench.work import ADAM_RATE, BATCH_SIZE, FILTERS, MAP, NORM_EPSILON, SEED, SGD_RATE, WIDTHS
from bench.worker import Epoch

__all__ = ["about", "step"]


def first_weights() -> Tree:
    """He's for the convolutions, Glorot's for the last layer."""
    rng = np.random.default_rng(SEED)
    lower = []
    for inputs, outputs in pairwise((1, *FILTERS)):
        kernel = rng.standard_normal((3, 3, inputs, outputs), np.float32) * np.float32((2 / (9 * inputs)) ** 0.5)
        zeros = np.zeros(outputs, np.float32)
        lower.append({"kernel": kernel, "bias": zeros, "alpha": np.ones(outputs, np.float32), "beta": zeros})
    shape = (FILTERS[-1], WIDTHS[-1])
    limit = (6 / sum(shape)) ** 0.5
    upper = {"kernel": rng.uniform(-limit, limit, shape).astype(np.float32), "bias": np.zeros(shape[1], np.float32)}
    return jax.tree.map(jnp.array, {"lower": lower, "upper": upper})


def loss_of(weights: Tree, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean loss, and how many were right. x: (B, H, W, 1). y: (B,)."""
    for number, layer in enumerate(weights["lower"]):
        if number:
            batch, height, width, channels = x.shape
            x = x.reshape(batch, height // 2, 2, width // 2, 2, channels).max((2, 4))
        axes = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(x, layer["kernel"], (1, 1), "SAME", dimension_numbers=axes) + layer["bias"]
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        x = jax.nn.relu(layer["alpha"] * ((x - mean) * jax.lax.rsqrt(variance + NORM_EPSILON)) + layer["beta"])
    logits = x.mean((1, 2)) @ weights["upper"]["kernel"] + weights["upper"]["bias"]
    losses = -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)[:, 0]
    return losses.mean(), (logits.argmax(1) == y).sum()


def step(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """Adam below and SGD on top. All batches must be full."""
    pixels = jnp.asarray(images.reshape(-1, MAP, MAP, 1))
    classes = jnp.asarray(labels)
    weights = first_weights()
    moments = tuple(jax.tree.map(jnp.zeros_like, weights["lower"]) for _ in range(2))
    state = (weights, moments, jnp.zeros(()))

    def run(state: Tree, pixels: jax.Array, classes: jax.Array, indices: jax.Array) -> Tree:
        weights, moments, t = state
        x = pixels[indices].astype(jnp.float32) * (1 / 255)
        (loss, correct), gradient = jax.value_and_grad(loss_of, has_aux=True)(weights, x, classes[indices])
        lower, moments = adam(weights["lower"], gradient["lower"], moments, t + 1, ADAM_RATE)
        upper = sgd(weights["upper"], gradient["upper"], SGD_RATE)
        return ({"lower": lower, "upper": upper}, moments, t + 1), loss, correct

    compiled = jax.jit(run, donate_argnums=0)

    def epoch(number: int) -> np.ndarray:
        nonlocal state
        order = np.random.default_rng([SEED, number]).permutation(len(pixels)).astype(np.int32)
        done = []
        for indices in order.reshape(-1, BATCH_SIZE):
            state, loss, correct = compiled(state, pixels, classes, indices)
            done.append((loss, correct))
        np.asarray(jnp.stack([correct for _, correct in done]))
        return np.asarray(jnp.stack([loss for loss, _ in done]))

    return epoch
