"""The contestants on TensorFlow and Keras: our loop, `fit` three ways, the chapter's loop."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bench.work import ADAM_RATE, BATCH_SIZE, COSINE_EPOCHS, SEED, SGD_RATE, steps_of
from bench.worker import Epoch
from hemline.config.retrain import RetrainConfig
from hemline.models import build
from hemline.models.layer_norm import LayerNorm
from hemline.training.groups import partition
from hemline.training.loop import Trainer


def about() -> dict[str, str]:
    """What our own environment computes with."""
    threads = tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count()
    between = tf.config.threading.get_inter_op_parallelism_threads() or os.cpu_count()
    onednn = {"0": "off"}.get(os.environ.get("TF_ENABLE_ONEDNN_OPTS", ""), "on")
    text = f"{tf.__version__}, oneDNN {onednn}, {threads} threads in an operation, {between} between operations"
    return {"TensorFlow": text, "Keras": keras.__version__}


def _ours(config: RetrainConfig, images: np.ndarray, labels: np.ndarray, *, xla: bool = True) -> Epoch:
    """Loss and accuracy of every step."""
    model = build(config.model, images.shape[1:], 10, SEED)
    groups = partition(model, config.groups.by_name(), steps_per_epoch=steps_of(len(images)), epochs=COSINE_EPOCHS)
    trainer = Trainer(model, groups, images, labels, batch_size=BATCH_SIZE, seed=SEED, xla=xla)
    return lambda number: np.concatenate([chunk.losses for chunk in trainer.epoch(number)])


def hemline(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """The default configuration: two optimizers."""
    return _ours(RetrainConfig(), images, labels)


hemline_streamed = hemline  # which streams what is mapped from disk


def best_mlp(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """The recipe: three optimizers, one of them Muon."""
    return _ours(RetrainConfig(recipe="best-mlp", epochs=COSINE_EPOCHS), images, labels)


def cnn(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """The convolutional network, in graph mode as on any CPU."""
    return _ours(RetrainConfig(model="cnn"), images, labels, xla=False)


def fit(images: np.ndarray, labels: np.ndarray, name: str = "mlp", **options: Any) -> Epoch:
    """One optimizer, and metrics of the epoch alone: less work than ours."""
    model = build(name, images.shape[1:], 10, SEED)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(ADAM_RATE), loss, metrics=["accuracy"], **options)
    return lambda number: np.asarray(model.fit(images, labels, batch_size=BATCH_SIZE, verbose=0).history["loss"])


fit_64 = partial(fit, steps_per_execution=64)
fit_jit = partial(fit, steps_per_execution=64, jit_compile=True)


fit_cnn = partial(fit, name="cnn", steps_per_execution=16, jit_compile=False)  # XLA does not get done with it


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
