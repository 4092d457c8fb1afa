"""The contestant on JAX: the whole epoch is one compiled `scan`, the weights are its donated carry."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bench.worker import ADAM_EPSILON, ADAM_RATE, BATCH_SIZE, NORM_EPSILON, SEED, SGD_RATE, WIDTHS, Epoch, glorot

Tree = Any  # nested lists and dictionaries of arrays
BETA_1, BETA_2 = 0.9, 0.999


def scan(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """Adam below and SGD on top, written out: JAX brings no optimizers."""
    pixels, classes = jnp.asarray(images.reshape(-1, WIDTHS[0])), jnp.asarray(labels)
    steps = -(-len(images) // BATCH_SIZE)
    *kernels, top = [jnp.asarray(kernel) for kernel in glorot()]
    hidden = [
        {"kernel": k, "bias": jnp.zeros(k.shape[1]), "alpha": jnp.ones(k.shape[1]), "beta": jnp.zeros(k.shape[1])}
        for k in kernels
    ]
    weights = {"lower": hidden, "upper": {"kernel": top, "bias": jnp.zeros(WIDTHS[3])}}
    state = (weights, jax.tree.map(jnp.zeros_like, hidden), jax.tree.map(jnp.zeros_like, hidden), jnp.zeros(()))

    def loss_of(weights: Tree, x: jax.Array, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        for layer in weights["lower"]:
            x = x @ layer["kernel"] + layer["bias"]
            mean, variance = x.mean(1, keepdims=True), x.var(1, keepdims=True)
            x = layer["alpha"] * ((x - mean) * jax.lax.rsqrt(variance + NORM_EPSILON)) + layer["beta"]
            x = jax.nn.relu(x)
        logits = x @ weights["upper"]["kernel"] + weights["upper"]["bias"]
        losses = -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)[:, 0]
        return (losses * weight).sum() / weight.sum(), ((logits.argmax(1) == y) & (weight > 0)).sum()

    def run(state: Tree, pixels: jax.Array, classes: jax.Array, key: jax.Array) -> tuple[Tree, Tree]:
        def step(state: Tree, indices: jax.Array) -> tuple[Tree, Tree]:
            weights, m, v, t = state
            present = jnp.maximum(indices, 0)
            x, y = pixels[present].astype(jnp.float32) * (1 / 255), classes[present]
            gradient_of = jax.value_and_grad(loss_of, has_aux=True)
            (loss, correct), gradient = gradient_of(weights, x, y, (indices >= 0).astype(jnp.float32))
            t = t + 1
            m = jax.tree.map(lambda m, g: m + (g - m) * (1 - BETA_1), m, gradient["lower"])
            v = jax.tree.map(lambda v, g: v + (g * g - v) * (1 - BETA_2), v, gradient["lower"])
            rate = ADAM_RATE * jnp.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
            lower = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + ADAM_EPSILON), weights["lower"], m, v)
            upper = jax.tree.map(lambda w, g: w - SGD_RATE * g, weights["upper"], gradient["upper"])
            return ({"lower": lower, "upper": upper}, m, v, t), (loss, correct)

        order = jax.random.permutation(key, len(images))
        order = jnp.pad(order, (0, steps * BATCH_SIZE - len(images)), constant_values=-1)
        return jax.lax.scan(step, state, order.reshape(steps, BATCH_SIZE))

    compiled = jax.jit(run, donate_argnums=0)

    def epoch(number: int) -> np.ndarray:
        nonlocal state
        key = jax.random.fold_in(jax.random.key(SEED), number)
        state, (losses, correct) = compiled(state, pixels, classes, key)
        np.asarray(correct)
        return np.asarray(losses)

    return epoch
