"""The contestants of `bench.reaching` on TensorFlow: our recipes, and Keras `fit`."""

import keras
import numpy as np

from bench.reaching_worker import AfterEpoch, Task
from bench.results import to_train
from hemline.config.retrain import RetrainConfig
from hemline.evaluation.scores import compile_predict
from hemline.models import build
from hemline.training.groups import averaged


def ours(images: np.ndarray, labels: np.ndarray, task: Task, after_epoch: AfterEpoch) -> None:
    """A recipe in so many epochs. settings: recipe."""
    config = RetrainConfig(seed=task.seed, epochs=task.epochs, **task.settings)
    model, groups, trainer = to_train(config, images, labels)
    predict = compile_predict(model)
    for epoch in range(1, task.epochs + 1):
        for _ in trainer.epoch(epoch):
            pass
        with averaged(groups):
            after_epoch(predict)


def fit(images: np.ndarray, labels: np.ndarray, task: Task, after_epoch: AfterEpoch) -> None:
    """The same network, one optimizer, a cosine. settings: network, optimizer, rate, batch.

    The CNN in bfloat16, on images mirrored and moved by Keras's layers; moved all alike in a batch, since moving each
    takes Keras longer than the network.
    """
    keras.utils.set_random_seed(task.seed)
    convolves = task.settings["network"] == "fast_cnn"
    precision = "mixed_bfloat16" if convolves else "float32"
    network = build(task.settings["network"], images.shape[1:], 10, task.seed, precision)
    changes = [
        keras.layers.RandomFlip("horizontal"),
        keras.layers.ZeroPadding2D(1),
        keras.layers.RandomCrop(*images.shape[1:3]),
        keras.layers.Lambda(lambda x: keras.ops.cast(x, "uint8"), output_shape=images.shape[1:]),
    ]
    model = keras.Sequential([keras.Input(images.shape[1:], dtype="uint8"), *(changes if convolves else []), network])
    batch = task.settings["batch"]
    schedule = keras.optimizers.schedules.CosineDecay(task.settings["rate"], task.epochs * -(-len(images) // batch))
    optimizer = (
        keras.optimizers.Adam(schedule)
        if task.settings["optimizer"] == "adam"
        else keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True)
    )
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=not convolves,  # XLA does not get done with convolutions
        steps_per_execution=16 if convolves else 64,
    )
    predict = compile_predict(network)
    after = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: after_epoch(predict))
    model.fit(images, labels, batch_size=batch, epochs=task.epochs, callbacks=[after], verbose=0)
