"""The network that is trained: the chapter's MLP with the hand-written LayerNorm.

    model = build_mlp(image_shape=(28, 28, 1), classes=10, seed=42)

The optimizer groups' patterns name its layers: hidden_1, norm_1, hidden_2, norm_2 below, logits on top.
"""

from collections.abc import Sequence

import keras

from hemline.models.layer_norm import LayerNorm
from hemline.models.random_layers import augmentation


def build_mlp(
    image_shape: tuple[int, int, int],
    classes: int,
    seed: int,
    precision: str = "float32",
    units: Sequence[int] = (128, 64),
    flip: bool = False,
    shift: int = 0,
) -> keras.Sequential:
    """Flatten, Dense 128, LayerNorm, relu, Dense 64, LayerNorm, relu, Dense classes.

    It scales the pixels itself, so that training, evaluation and serving cannot disagree about it.
    precision: Keras's dtype policy of all but the logits, which are float32. units: of each hidden layer.
    flip, shift: see `augmentation`.
    """

    def dense(units: int, number: int, name: str, dtype: str = precision) -> keras.layers.Dense:
        # With one seed for all, hidden_1 and hidden_2 would start from the same stream of numbers.
        glorot = keras.initializers.GlorotUniform(seed=seed + number)
        return keras.layers.Dense(units, kernel_initializer=glorot, name=name, dtype=dtype)

    layers = [
        keras.Input(image_shape, dtype="uint8", name="image"),
        *augmentation(seed, flip, shift),
        keras.layers.Rescaling(1 / 255, name="scale", dtype=precision),
        keras.layers.Flatten(name="flatten", dtype=precision),
    ]
    for number, width in enumerate(units, start=1):
        layers += [
            dense(width, number - 1, f"hidden_{number}"),
            LayerNorm(name=f"norm_{number}", dtype=precision),
            keras.layers.Activation("relu", name=f"relu_{number}", dtype=precision),
        ]
    return keras.Sequential([*layers, dense(classes, len(units), "logits", dtype="float32")], name="mlp")
