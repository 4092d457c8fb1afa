"""The contestants on JAX: the whole epoch is one compiled `scan`, the weights are its donated carry.

The optimizers are written out: JAX brings none. Of an epoch's time (processor time, 2 cores): images gathered in words
of 4 bytes 0.97, the order of the examples drawn by NumPy and not inside the compiled epoch, where it is sorted by one
thread, 0.95, both kept; `unroll=2` or 4 1.02 to 1.1, other ways to write the variance 1.0, left out.
"""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bench.work import (
    ADAM_EPSILON,
    ADAM_RATE,
    BATCH_SIZE,
    BEST_ADAM_RATE,
    BEST_SGD_RATE,
    BETA_1,
    BETA_2,
    MUON_COEFFICIENTS,
    MUON_DECAY,
    MUON_MOMENTUM,
    MUON_RATE,
    MUON_RMS,
    MUON_STEPS,
    NORM_EPSILON,
    SEED,
    SGD_RATE,
    WIDTHS,
    cosine,
    glorot,
    steps_of,
)
from bench.worker import Epoch

Tree = Any  # nested lists and dictionaries of arrays
Update = Callable[[Tree, Tree, Tree, jax.Array, jax.Array], tuple[Tree, Tree]]


def about() -> dict[str, str]:
    """What JAX computes with."""
    return {"JAX": f"{jax.__version__}, jaxlib {version('jaxlib')}, {jax.devices()[0].platform}"}


def first_weights() -> Tree:
    """Of the MLP."""
    *kernels, top = [jnp.asarray(kernel) for kernel in glorot()]
    hidden = [
        {"kernel": k, "bias": jnp.zeros(k.shape[1]), "alpha": jnp.ones(k.shape[1]), "beta": jnp.zeros(k.shape[1])}
        for k in kernels
    ]
    return {"lower": hidden, "upper": {"kernel": top, "bias": jnp.zeros(WIDTHS[3])}}


def loss_of(weights: Tree, x: jax.Array, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean loss, and how many were right. x: (B, 784). y: (B,). weight: (B,), 0 for padding."""
    for layer in weights["lower"]:
        x = x @ layer["kernel"] + layer["bias"]
        mean, variance = x.mean(1, keepdims=True), x.var(1, keepdims=True)
        x = layer["alpha"] * ((x - mean) * jax.lax.rsqrt(variance + NORM_EPSILON)) + layer["beta"]
        x = jax.nn.relu(x)
    logits = x @ weights["upper"]["kernel"] + weights["upper"]["bias"]
    losses = -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)[:, 0]
    return (losses * weight).sum() / weight.sum(), ((logits.argmax(1) == y) & (weight > 0)).sum()


def sgd(weights: Tree, gradient: Tree, rate: float | jax.Array) -> Tree:
    """Without momentum."""
    return jax.tree.map(lambda w, g: w - rate * g, weights, gradient)


def adam(weights: Tree, gradient: Tree, moments: Tree, t: jax.Array, rate: float | jax.Array) -> tuple[Tree, Tree]:
    """t: the step, from 1."""
    m = jax.tree.map(lambda m, g: m + (g - m) * (1 - BETA_1), moments[0], gradient)
    v = jax.tree.map(lambda v, g: v + (g * g - v) * (1 - BETA_2), moments[1], gradient)
    rate = rate * jnp.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
    return jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + ADAM_EPSILON), weights, m, v), (m, v)


def muon(kernel: jax.Array, gradient: jax.Array, momentum: jax.Array, rate: jax.Array) -> tuple[jax.Array, jax.Array]:
    """kernel: (inputs, outputs), inputs being more."""
    momentum = MUON_MOMENTUM * momentum + gradient
    x = (gradient + MUON_MOMENTUM * momentum).T
    x = x / (jnp.linalg.norm(x) + 1e-7)
    a, b, c = MUON_COEFFICIENTS
    for _ in range(MUON_STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    rate_of_shape = rate * MUON_RMS * max(x.shape) ** 0.5
    return kernel * (1 - rate * MUON_DECAY) - rate_of_shape * x.T, momentum


def _train(update: Update, moments: Tree, images: np.ndarray, labels: np.ndarray) -> Epoch:
    """update: weights, gradient, moments, step from 1 and share of the rates to new weights and moments."""
    pixels = jnp.asarray(images.reshape(-1, WIDTHS[0]).view(np.uint32))  # (N, 196)
    classes = jnp.asarray(labels)
    steps = steps_of(len(images))
    state = (first_weights(), moments, jnp.zeros(()))

    def run(state: Tree, pixels: jax.Array, classes: jax.Array, order: jax.Array, shares: jax.Array) -> Any:
        def step(state: Tree, inputs: Tree) -> tuple[Tree, Tree]:
            (weights, moments, t), (indices, share) = state, inputs
            present = jnp.maximum(indices, 0)
            x = jax.lax.bitcast_convert_type(pixels[present], jnp.uint8).reshape(BATCH_SIZE, WIDTHS[0])
            gradient_of = jax.value_and_grad(loss_of, has_aux=True)
            scaled, weight = x.astype(jnp.float32) * (1 / 255), (indices >= 0).astype(jnp.float32)
            (loss, correct), gradient = gradient_of(weights, scaled, classes[present], weight)
            weights, moments = update(weights, gradient, moments, t + 1, share)
            return (weights, moments, t + 1), (loss, correct)

        return jax.lax.scan(step, state, (order, shares))

    compiled = jax.jit(run, donate_argnums=0)

    def epoch(number: int) -> np.ndarray:
        nonlocal state
        order = np.full(steps * BATCH_SIZE, -1, np.int32)
        order[: len(images)] = np.random.default_rng([SEED, number]).permutation(len(images))
        shares = jnp.asarray(cosine(number, steps))
        state, (losses, correct) = compiled(state, pixels, classes, order.reshape(steps, BATCH_SIZE), shares)
        np.asarray(correct)
        return np.asarray(losses)

    return epoch


def scan(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """Adam below and SGD on top, at constant rates."""

    def update(weights: Tree, gradient: Tree, moments: Tree, t: jax.Array, share: jax.Array) -> tuple[Tree, Tree]:
        lower, moments = adam(weights["lower"], gradient["lower"], moments, t, ADAM_RATE)
        return {"lower": lower, "upper": sgd(weights["upper"], gradient["upper"], SGD_RATE)}, moments

    zeros = jax.tree.map(jnp.zeros_like, first_weights()["lower"])
    return _train(update, (zeros, jax.tree.map(jnp.copy, zeros)), images, labels)  # no array may be donated twice


def best_mlp(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """best-mlp: Muon on the hidden matrices, Adam on the other variables below, SGD on top, along a cosine."""

    def kernels(lower: Tree) -> list[jax.Array]:
        return [layer["kernel"] for layer in lower]

    def others(lower: Tree) -> Tree:
        return [{name: array for name, array in layer.items() if name != "kernel"} for layer in lower]

    def update(weights: Tree, gradient: Tree, moments: Tree, t: jax.Array, share: jax.Array) -> tuple[Tree, Tree]:
        lower, slope = weights["lower"], gradient["lower"]
        rest, of_adam = adam(others(lower), others(slope), moments[1], t, BEST_ADAM_RATE * share)
        rate = MUON_RATE * share
        done = [muon(*three, rate) for three in zip(kernels(lower), kernels(slope), moments[0], strict=True)]
        hidden = [layer | {"kernel": kernel} for layer, (kernel, _) in zip(rest, done, strict=True)]
        upper = sgd(weights["upper"], gradient["upper"], BEST_SGD_RATE * share)
        return {"lower": hidden, "upper": upper}, ([momentum for _, momentum in done], of_adam)

    def zeros(part: Callable[[Tree], Tree]) -> Tree:
        return jax.tree.map(jnp.zeros_like, part(first_weights()["lower"]))

    return _train(update, (zeros(kernels), (zeros(others), zeros(others))), images, labels)
