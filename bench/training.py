"""Seconds an epoch: our loop, Keras's `fit`, and the chapter's loop with all variables trained.

    make bench                          # or: python -m bench.training --rounds 9

One process, one network, the 60,000 training images, batches of 128. After a warm-up, which compiles,
every round runs one epoch of each in turn, so that a machine that slows down slows all of them. Read the
ratios; the seconds are this machine's.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from hemline.config import DataConfig, RetrainConfig
from hemline.dataset import load_split, prepare
from hemline.layer_norm import LayerNorm
from hemline.models import build_mlp
from hemline.optimizer_groups import partition
from hemline.training import Trainer

BATCH_SIZE = 128
SEED = 42

Epoch = Callable[[], object]


def main() -> None:
    """Prints a row for each contestant: median seconds an epoch and the ratio to ours."""
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="epochs measured of each (default: 5)")
    rounds = parser.parse_args().rounds

    images, labels = load_split(prepare(DataConfig()), "train")
    contestants: dict[str, Epoch] = {
        "hemline": hemline_epoch(images, labels),
        "fit, default": fit_epoch(images, labels),
        "the chapter's loop, all variables": chapter_epoch(images, labels),
    }
    for name, epoch in contestants.items():
        print(f"{name}: first epoch, with tracing and compiling, {seconds(epoch):.2f} s", flush=True)
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, epoch in contestants.items():
            times[name].append(seconds(epoch))

    ours = times["hemline"]
    print(f"\n| loop | s/epoch, median of {rounds} | times ours, median of pairs |\n| --- | --- | --- |")
    for name, values in times.items():
        ratio = statistics.median(other / own for other, own in zip(values, ours, strict=True))
        print(f"| {name} | {statistics.median(values):.3f} | {ratio:.2f} |")


def seconds(epoch: Epoch) -> float:
    """Wall-clock time of one call."""
    began = time.perf_counter()
    epoch()
    return time.perf_counter() - began


def hemline_epoch(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """Two optimizers, exact metrics of every iteration."""
    model = build_mlp(images.shape[1:], 10, SEED)
    groups = partition(model, RetrainConfig().groups.by_name())
    trainer = Trainer(model, groups, images, labels, batch_size=BATCH_SIZE, seed=SEED)
    epochs = iter(range(1, 1_000_000))
    return lambda: list(trainer.epoch(next(epochs)))


def fit_epoch(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """One optimizer, which is less work than two: `fit` takes only one."""
    model = build_mlp(images.shape[1:], 10, SEED)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    return lambda: model.fit(images, labels, batch_size=BATCH_SIZE, verbose=0)


def chapter_epoch(images: np.ndarray, labels: np.ndarray) -> Epoch:
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
    adam, sgd = keras.optimizers.Adam(1e-3), keras.optimizers.SGD(0.1)
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

    def epoch() -> None:
        mean_loss.reset_state()
        accuracy.reset_state()
        with Path(os.devnull).open("w") as nowhere:
            for iteration, (x, y) in enumerate(dataset, 1):
                train_step(x, y)
                print(f"{iteration} loss={mean_loss.result():.4f} acc={accuracy.result():.4f}", end="\r", file=nowhere)

    return epoch


if __name__ == "__main__":
    main()
