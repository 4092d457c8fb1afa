"""A convolutional network for small pictures whose objects lie in one place, as Fashion-MNIST's do, made for CPUs.

    model = build_fast_cnn(image_shape=(28, 28, 1), classes=10, seed=42)        # 107,698 parameters

What makes it cheap: maps are halved before LayerNorm and relu see them, so that only the first convolution, of few
channels, works on whole pictures. What makes it good: `logits` sees a grid of maxima and not one mean, and so where
something is. The recipe `fast-cnn` trains it; docs/results.md has its numbers.
"""

import keras

from hemline.models.layer_norm import LayerNorm
from hemline.models.random_layers import augmentation

FILTERS = (32, 64, 120)


def build_fast_cnn(
    image_shape: tuple[int, int, int],
    classes: int,
    seed: int,
    precision: str = "float32",
    flip: bool = False,
    shift: int = 0,
) -> keras.Model:
    """3x3 convolutions of 32, 64 and 120 filters, each halved by its maxima, with LayerNorm and relu; Dense.

    The third is halved after relu, to a grid of 4 x 4 for 28 x 28 pixels. It scales the pixels itself.
    precision: Keras's dtype policy of all but the logits, which are float32. flip, shift: see `augmentation`.
    """

    def halve(number: int) -> keras.layers.Layer:
        return keras.layers.MaxPooling2D(2, padding="same", name=f"half_{number}", dtype=precision)

    layers = [
        keras.Input(image_shape, dtype="uint8", name="image"),  # (B, H, W, C)
        *augmentation(seed, flip, shift),
        keras.layers.Rescaling(1 / 255, name="scale", dtype=precision),
    ]
    for number, filters in enumerate(FILTERS, start=1):
        he = keras.initializers.HeNormal(seed=seed + number)
        layers += [
            keras.layers.Conv2D(
                filters, 3, padding="same", kernel_initializer=he, name=f"conv_{number}", dtype=precision
            ),
            *([halve(number)] if number < len(FILTERS) else []),
            LayerNorm(name=f"norm_{number}", dtype=precision),  # (B, H', W', filters)
            keras.layers.Activation("relu", name=f"relu_{number}", dtype=precision),
        ]
    glorot = keras.initializers.GlorotUniform(seed=seed)
    layers += [
        halve(len(FILTERS)),
        keras.layers.Flatten(name="flatten", dtype=precision),
        keras.layers.Dense(classes, kernel_initializer=glorot, name="logits", dtype="float32"),
    ]
    return keras.Sequential(layers, name="fast_cnn")
