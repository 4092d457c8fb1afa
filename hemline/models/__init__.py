"""The networks that can be trained, and the layer that this project wrote by hand.

    model = build("mlp", image_shape=(28, 28, 1), classes=10, seed=42)      # (B, H, W, C) uint8 -> (B, classes) float32

Others import `MODELS` and `build` from here, and `LayerNorm` from `layer_norm`. A model is a
function and a row of `MODELS`: CONTRIBUTING.md, "Add a model".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Architecture:
    """A network by name."""

    builder: str  # 'module:function' of (image_shape, classes, seed, precision), imported when it is called
    groups: Mapping[str, Sequence[str]]  # patterns of layer names, for optimizer groups that name none


MODELS = {
    "mlp": Architecture("hemline.models.mlp:build_mlp", {"lower": ["hidden_*", "norm_*"], "upper": ["logits"]}),
}


def build(
    name: str, image_shape: tuple[int, int, int], classes: int, seed: int, precision: str = "float32"
) -> "keras.Model":
    """A new model of (B, H, W, C) uint8 images to (B, classes) float32 logits; precision: Keras's dtype policy."""
    model: keras.Model = resolve_name(MODELS[name].builder)(image_shape, classes, seed, precision)
    return model
