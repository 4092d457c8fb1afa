"""The contestants on TensorFlow and Keras: our loop, `fit` three ways, the chapter's loop."""

import os
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bench.worker import ADAM_RATE, BATCH_SIZE, SEED, SGD_RATE, WIDTHS, Epoch
from hemline.config.retrain import RetrainConfig
from hemline.models.layer_norm import LayerNorm
from hemline.models.mlp import build_mlp
from hemline.training.groups import partition
from hemline.training.loop import Trainer


def hemline(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """Two optimizers, loss and accuracy of every step."""
    model = build_mlp(images.shape[1:], 10, SEED)
    groups = partition(model, RetrainConfig().groups.by_name())
    trainer = Trainer(model, groups, images, labels, batch_size=BATCH_SIZE, seed=SEED)
    return lambda number: np.concatenate([chunk.losses for chunk in trainer.epoch(number)])


hemline_streamed = hemline  # which streams what is mapped from disk


def hemline_small(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """The same on 2,000 examples, to run many epochs."""
    return hemline(images[:2000], labels[:2000])


def fit(images: np.ndarray, labels: np.ndarray, **options: Any) -> Epoch:
    """One optimizer, and metrics of the epoch alone: less work than ours."""
    model = build_mlp(images.shape[1:], 10, SEED)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(ADAM_RATE), loss, metrics=["accuracy"], **options)
    return lambda number: model.fit(images, labels, batch_size=BATCH_SIZE, verbose=0).history["loss"]


fit_64 = partial(fit, steps_per_execution=64)
fit_jit = partial(fit, steps_per_execution=64, jit_compile=True)


def chapter(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """The listing of exercise 2 with its two optimizers on all layers; its progress line goes nowhere."""
    dataset = tf.data.Dataset.from_tensor_slices((images.astype(np.float32) / 255, labels)).shuffle(60_000)
    dataset = dataset.batch(BATCH_SIZE)
    model = keras.Sequential(
        [
            keras.Input(images.shape[1:]),
            keras.layers.Flatten(),
            keras.layers.Dense(128),
            LayerNorm(),
            keras.layers.Activation("relu"),
            keras.layers.Dense(64),
            LayerNorm(),
            keras.layers.Activation("relu"),
            keras.layers.Dense(10),
        ]
    )
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    mean_loss, accuracy = keras.metrics.Mean(), keras.metrics.SparseCategoricalAccuracy()
    upper = model.layers[-1].trainable_variables
    lower = [variable for variable in model.trainable_variables if all(variable is not other for other in upper)]
    adam, sgd = keras.optimizers.Adam(ADAM_RATE), keras.optimizers.SGD(SGD_RATE)
    adam.build(lower)
    sgd.build(upper)

    @tf.function
    def train_step(x: tf.Tensor, y: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = loss_of(y, logits)
        gradients = tape.gradient(loss, [variable.value for variable in lower + upper])
        adam.apply(gradients[: len(lower)], lower)
        sgd.apply(gradients[len(lower) :], upper)
        mean_loss.update_state(loss)
        accuracy.update_state(y, logits)

    def epoch(number: int) -> np.ndarray:
        mean_loss.reset_state()
        accuracy.reset_state()
        with Path(os.devnull).open("w") as nowhere:
            for iteration, (x, y) in enumerate(dataset, 1):
                train_step(x, y)
                print(f"{iteration} loss={mean_loss.result():.4f} acc={accuracy.result():.4f}", end="\r", file=nowhere)
        return np.asarray(mean_loss.result())

    return epoch


def products(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """The matrix products of every step's forward and backward pass in NumPy, and nothing else."""
    rng = np.random.default_rng(SEED)
    kernels = [rng.standard_normal(shape, np.float32) for shape in pairwise(WIDTHS)]
    x = [rng.standard_normal((BATCH_SIZE, width), np.float32) for width in WIDTHS]

    def epoch(number: int) -> np.ndarray:
        for _ in range(-(-len(images) // BATCH_SIZE)):
            for i, kernel in enumerate(kernels):
                np.matmul(x[i], kernel)  # forward
                np.matmul(x[i].T, x[i + 1])  # the kernel's gradient
                if i > 0:
                    np.matmul(x[i + 1], kernel.T)  # the input's gradient, which the first layer does not need
        return np.zeros(1)

    return epoch
