"""The contestants on TensorFlow and Keras: our loop, `fit` three ways, the chapter's loop."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bench.chapter import training
from bench.work import ADAM_RATE, BATCH_SIZE, CHAPTER, COSINE_EPOCHS, SEED, steps_of
from bench.worker import Epoch
from hemline.config.retrain import RetrainConfig
from hemline.models import build
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
    """The chapter's two optimizers."""
    return _ours(RetrainConfig(groups=CHAPTER), images, labels)


hemline_streamed = hemline  # which streams what is mapped from disk


def best_mlp(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """The recipe: three optimizers, one of them Muon."""
    return _ours(RetrainConfig(recipe="best-mlp", epochs=COSINE_EPOCHS), images, labels)


def cnn(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """The convolutional network, in graph mode as on any CPU."""
    return _ours(RetrainConfig(model="cnn", groups=CHAPTER), images, labels, xla=False)


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
    nowhere = Path(os.devnull).open("w")  # noqa: SIM115  for as long as the process lives
    _, epoch = training(images[..., 0].astype(np.float32) / 255, labels, nowhere)
    return lambda number: np.asarray(epoch())
