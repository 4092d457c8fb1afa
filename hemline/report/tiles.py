"""Images under their captions, as pictures.

svg = mistakes_grid(images, mistakes)       # images: (N, H, W, C) uint8
svg = data_picture(then, now, shown)        # then, now: examples by split and class
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from hemline.records.run import Mistake
from hemline.report.drawing import COLOURS, GREY, plain, to_svg

SIDE = 28  # pixels of the longer side of an image as it is shown: a report must stay below 200 KB
TILE, PICTURE = (1.3, 1.65), 1.15  # inches: a tile's width and height, and the longer side of the picture in it
BARS = 3.2  # inches: the height of the examples by class
CLASSES = 20  # whose names fit under an axis: of more, those whose examples have changed most


def mistakes_grid(images: np.ndarray, mistakes: Sequence[Mistake], columns: int = 8) -> str:
    """Each mistaken image with its true class, what it was called and how surely."""
    rows = max(1, math.ceil(len(mistakes) / columns))
    figure = Figure(figsize=(columns * TILE[0], rows * TILE[1]))
    captions = (f"{mistake.true}\ncalled {mistake.predicted} {mistake.probability:.0%}" for mistake in mistakes)
    shown = [(images[mistake.index], caption) for mistake, caption in zip(mistakes, captions, strict=True)]
    _tiles(figure.add_axes((0, 0, 1, 1)), shown, rows, columns)
    return to_svg(figure)


def data_picture(
    then: Mapping[str, Mapping[str, int]],
    now: Mapping[str, Mapping[str, int]],
    shown: Sequence[tuple[np.ndarray, str]],
    columns: int = 6,
) -> str:
    """Examples by split and class, the champion's beside this run's, and images (H, W, C) under their captions."""
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(columns * TILE[0], BARS + rows * TILE[1]))
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[BARS, max(0.01, rows * TILE[1])]).flat
    above.subplots_adjust(left=0.1, right=0.985, top=0.9, bottom=0.28, wspace=0.3)
    for axes, (split, counts) in zip(above.subplots(1, len(now), squeeze=False).flat, now.items(), strict=True):
        earlier = then.get(split, {})
        changed = sorted(counts, key=lambda name: -abs(counts[name] - earlier.get(name, 0)))[:CLASSES]
        names = [name for name in counts if name in set(changed)]
        if earlier:
            axes.stairs([earlier.get(name, 0) for name in names], color=GREY, linestyle="--", label="the champion's")
        axes.stairs([counts[name] for name in names], color=COLOURS[0], label="this run's")
        title = split if len(names) == len(counts) else f"{split}: {CLASSES} of {len(counts):,} classes"
        axes.set(title=title, ylabel="examples", ylim=(0, None))
        axes.set_xticks(np.arange(len(names)) + 0.5, [plain(name, 12) for name in names], rotation=90, fontsize=7)
        axes.legend(frameon=False, loc="lower center", fontsize=7)
    if rows:
        _tiles(below.add_axes((0, 0, 1, 1)), shown, rows, columns)
    return to_svg(figure)


def _tiles(axes: Axes, shown: Sequence[tuple[np.ndarray, str]], rows: int, columns: int) -> None:
    """Images (H, W, C) under their captions, row by row. In one system of axes, counted in tiles: sixteen take long."""
    axes.set(xlim=(0, columns), ylim=(rows, 0), aspect="auto")
    axes.axis("off")
    for number, (image, caption) in enumerate(shown):
        row, column = divmod(number, columns)
        high, wide = np.array(image.shape[:2]) / max(image.shape[:2]) * PICTURE / np.array(TILE[::-1])  # in tiles
        left, bottom = column + 0.5 - wide / 2, row + 0.98
        extent = (left, left + wide, bottom, bottom - high)
        axes.imshow(_small(image), cmap="gray", vmin=0, vmax=255, interpolation="none", extent=extent, aspect="auto")
        axes.text(column + 0.5, bottom - high - 0.02, plain(caption, 60), fontsize=7, ha="center", va="bottom")


def _small(image: np.ndarray) -> np.ndarray:
    """(h, w) or (h, w, 3) uint8 of (H, W, C), at most SIDE long."""
    # Grey or RGB: of other channels the first is shown. Black on white prints, and reads, better.
    shown = image if image.shape[-1] == 3 else 255 - image[..., 0]
    picture = Image.fromarray(shown)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    # 32 shades of each colour: what is left out of a photograph is mostly noise, half of its bytes.
    return np.asarray(ImageOps.posterize(picture, 5) if picture.mode == "RGB" else picture)
