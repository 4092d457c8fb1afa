"""The work that contestants share, in numbers: three networks, their optimizers, and the arithmetic of an epoch.

    kernels = glorot()                      # first weights of the MLP, for who does not use Keras
    shares = cosine(epoch)                  # (steps,): what the rates of best-mlp are multiplied with in this epoch
    seconds = mlp_flops(60_000) / peak      # what an epoch's products would take at so many operations a second

Needs NumPy alone. tests/bench/test_work.py compares the numbers with the models and recipes they are taken from.
"""

from itertools import pairwise

import numpy as np

BATCH_SIZE = 128
SEED = 42

WIDTHS = (784, 128, 64, 10)  # of the MLP's three matrices
ADAM_RATE, SGD_RATE = 1e-3, 0.1  # below, and on the last layer
CHAPTER = {  # the recipe's groups, for any model
    "lower": {"optimizer": "adam", "learning_rate": ADAM_RATE, "schedule": {"kind": "constant"}},
    "upper": {"optimizer": "sgd", "learning_rate": SGD_RATE, "schedule": {"kind": "constant"}},
}
BETA_1, BETA_2 = 0.9, 0.999  # of Adam's moments
ADAM_EPSILON, NORM_EPSILON = 1e-7, 1e-3  # Keras's

# best-mlp: Muon on the hidden matrices, Adam on the other variables below, SGD on the last layer, each along a cosine.
MUON_RATE, MUON_DECAY, MUON_MOMENTUM, MUON_RMS = 0.05, 0.1, 0.95, 0.2
MUON_STEPS, MUON_COEFFICIENTS = 5, (3.4445, -4.7750, 2.0315)  # of Newton and Schulz
BEST_ADAM_RATE, BEST_SGD_RATE = 2e-3, 0.1
COSINE_EPOCHS = 20  # of the recipe 5: so the rates of a later epoch are not zero

# The CNN: 3x3 convolutions of these many filters, each on maps half as wide as the one before.
FILTERS, MAP = (32, 64, 128), 28


def glorot() -> list[np.ndarray]:
    """First weights of the MLP, from the distribution that Keras draws them from."""
    rng = np.random.default_rng(SEED)
    sizes = [(shape, (6 / sum(shape)) ** 0.5) for shape in pairwise(WIDTHS)]
    return [rng.uniform(-limit, limit, shape).astype(np.float32) for shape, limit in sizes]


def steps_of(examples: int) -> int:
    """Steps in an epoch."""
    return -(-examples // BATCH_SIZE)


def cosine(epoch: int, steps: int) -> np.ndarray:
    """(steps,) float32: the share of its peak that a rate has in each step of an epoch, counted from 1."""
    step = np.arange((epoch - 1) * steps, epoch * steps)
    progress = np.minimum(step / (COSINE_EPOCHS * steps), 1)
    return (0.5 * (1 + np.cos(np.pi * progress))).astype(np.float32)


def mlp_flops(examples: int) -> int:
    """Of the matrix products, forward and backward: none is for the gradient of the images."""
    layers = [rows * columns for rows, columns in pairwise(WIDTHS)]
    return 2 * examples * (3 * sum(layers) - layers[0])


def best_mlp_flops(examples: int) -> int:
    """The same, and those of Newton-Schulz steps as Keras and PyTorch write them."""
    hidden = [sorted(shape) for shape in pairwise(WIDTHS[:-1])]
    of_a_step = sum(2 * (2 * short**2 * long + short**3) for short, long in hidden)  # x x', its square, times x
    return mlp_flops(examples) + steps_of(examples) * MUON_STEPS * of_a_step


def cnn_flops(examples: int) -> int:
    """Of convolutions and the last layer, forward and backward: none is for the gradient of the images."""
    layers = [
        (MAP // 2**number) ** 2 * 9 * inputs * outputs
        for number, (inputs, outputs) in enumerate(pairwise((1, *FILTERS)))
    ]
    layers.append(FILTERS[-1] * WIDTHS[-1])
    return 2 * examples * (3 * sum(layers) - layers[0])
