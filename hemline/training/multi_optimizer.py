"""The groups' optimizers as one, for `model.fit`, which then trains as the loop does.

    model = build("mlp", image_shape=(28, 28, 1), classes=10, seed=42)
    groups = partition(model, RetrainConfig().groups.by_name(), steps_per_epoch=469, epochs=5)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(multi_optimizer(model, groups), loss, metrics=["accuracy"], jit_compile=True)
    model.fit(images, labels, batch_size=128, epochs=5, callbacks=[keras.callbacks.BackupAndRestore("backup")])

On the same batches, all of one size, the weights are the same to the bit. `model.save` and Keras's callbacks keep
the state of every optimizer; `tf.train.Checkpoint` does not. A callback that sets the learning rate would set it for
all groups: give a group a `schedule` instead.
"""

import re
from collections.abc import Sequence

import keras

from hemline.training.groups import Group, labelled_variables


def multi_optimizer(model: keras.Model, groups: Sequence[Group]) -> keras.optimizers.MultiOptimizer:
    """One optimizer that trains each variable by its group's. A variable in no group gets steps of size 0."""
    labels = {id(variable): label for label, variable in labelled_variables(model).items()}
    patterns = {
        # Anchored at the layer's name and not at the model's, which a loaded model may lack.
        f"([^/]+/)?{re.escape(labels[id(variable)])}": group.optimizer
        for group in groups
        for variable in group.variables
    }
    frozen = keras.optimizers.SGD(0.0, name="frozen")
    return keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(frozen, patterns))
