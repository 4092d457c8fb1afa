"""Pictures of runs, as SVG text or in a file.

    svg = learning_curves(epochs)               # epochs: the table of hemline.training.history
    svg = mistakes_grid(images, mistakes)       # images: (N, H, W, C) uint8
    svg = data_picture(then, now, shown)        # then, now: examples by split and class
    svg = parity_map(table)                     # table: of hemline.proofs.parity
    compare_curves([("7", epochs), ("8", other)], Path("curves.png"))

The same table gives the same bytes: no date, no ids of the process.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hemline.records.run import Mistake
from hemline.report.svg import svg_of as _svg
from hemline.storage.files import whole_file

SIDE = 40  # pixels of a mistaken image that are shown, by leaving some out: a report must stay below 200 KB
TILE, PICTURE = (1.3, 1.65), 1.15  # inches: a tile's width and height, and the longer side of the picture in it
CLASSES = 20  # whose names fit under an axis: of more, those whose examples have changed most


def learning_curves(epochs: pd.DataFrame) -> str:
    """Loss and accuracy by epoch, training beside validation."""
    return _svg(_curves([("", epochs)]))


def compare_curves(runs: Sequence[tuple[str, pd.DataFrame]], path: Path) -> None:
    """Writes the learning curves of several runs over each other, as SVG or PNG by the path's suffix."""
    figure = _curves([(f"{_plain(name)}, ", epochs) for name, epochs in runs])
    with whole_file(path) as temporary:
        if path.suffix == ".svg":
            temporary.write_text(_svg(figure))
        else:
            figure.savefig(temporary, dpi=150)


def _curves(runs: Sequence[tuple[str, pd.DataFrame]]) -> Figure:
    figure = Figure(figsize=(9, 3.6), layout="constrained")  # not pyplot: no global state, no display
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for number, (prefix, epochs) in enumerate(runs):
            for split, label, style in (("train", "training", "--"), ("val", "validation", "-")):
                values = epochs["epoch"], epochs[f"{split}_{metric}"]
                axes.plot(*values, style, color=f"C{number}", marker=".", label=prefix + label)
        axes.set(xlabel="epoch", ylabel=metric)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def mistakes_grid(images: np.ndarray, mistakes: Sequence[Mistake], columns: int = 8) -> str:
    """Each mistaken image with its true class, what it was called and how surely."""
    rows = max(1, math.ceil(len(mistakes) / columns))
    figure = Figure(figsize=(columns * TILE[0], rows * TILE[1]))
    captions = (f"{mistake.true}\ncalled {mistake.predicted} {mistake.probability:.0%}" for mistake in mistakes)
    shown = [(images[mistake.index], caption) for mistake, caption in zip(mistakes, captions, strict=True)]
    _tiles(figure.add_axes((0, 0, 1, 1)), shown, rows, columns)
    return _svg(figure, text="none")  # letters, not their outlines: half the size


def data_picture(
    then: Mapping[str, Mapping[str, int]],
    now: Mapping[str, Mapping[str, int]],
    shown: Sequence[tuple[np.ndarray, str]],
    columns: int = 6,
) -> str:
    """Examples by split and class, the champion's beside this run's, and images (H, W, C) under their captions."""
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(columns * TILE[0], 3.2 + rows * TILE[1]), layout="constrained")
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[3.2, max(0.01, rows * TILE[1])]).flat
    for axes, (split, counts) in zip(above.subplots(1, len(now), squeeze=False).flat, now.items(), strict=True):
        earlier = then.get(split, {})
        changed = sorted(counts, key=lambda name: -abs(counts[name] - earlier.get(name, 0)))[:CLASSES]
        names = [name for name in counts if name in set(changed)]
        if earlier:
            axes.stairs([earlier.get(name, 0) for name in names], color="0.5", linestyle="--", label="the champion's")
        axes.stairs([counts[name] for name in names], color="C0", label="this run's")
        title = split if len(names) == len(counts) else f"{split}: {CLASSES} of {len(counts):,} classes"
        axes.set(title=title, ylabel="examples", ylim=(0, None))
        axes.set_xticks(np.arange(len(names)) + 0.5, [_plain(name[:12]) for name in names], rotation=90, fontsize=7)
        axes.legend(frameon=False, loc="lower right", fontsize=7)
    if rows:
        _tiles(below.add_axes((0, 0, 1, 1)), shown, rows, columns)
    return _svg(figure, text="none")


def _tiles(axes: Axes, shown: Sequence[tuple[np.ndarray, str]], rows: int, columns: int) -> None:
    """Images (H, W, C) under their captions, row by row. In one system of axes, counted in tiles: sixteen take long."""
    axes.set(xlim=(0, columns), ylim=(rows, 0), aspect="auto")
    axes.axis("off")
    for number, (image, caption) in enumerate(shown):
        row, column = divmod(number, columns)
        image = image[:: math.ceil(len(image) / SIDE), :: math.ceil(image.shape[1] / SIDE)]
        # Grey or RGB: of other channels the first is shown. Black on white prints, and reads, better.
        grey = image if image.shape[-1] == 3 else 255 - image[..., 0]
        high, wide = np.array(image.shape[:2]) / max(image.shape[:2]) * PICTURE / np.array(TILE[::-1])  # in tiles
        left, bottom = column + 0.5 - wide / 2, row + 0.98
        extent = (left, left + wide, bottom, bottom - high)
        axes.imshow(grey, cmap="gray", vmin=0, vmax=255, interpolation="none", extent=extent, aspect="auto")
        axes.text(column + 0.5, bottom - high - 0.02, _plain(caption), fontsize=7, ha="center", va="bottom")


def _plain(name: str) -> str:
    return name.replace("$", r"\$")  # or matplotlib reads mathematics


def parity_map(table: pd.DataFrame) -> str:
    """Largest difference in units of its tolerance, by dtype policy and kind of input; above 1 is a failure."""
    worst = table.pivot_table(values="ratio", index="policy", columns="inputs", aggfunc="max", sort=False)
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots()
    # White at the tolerance, blue within, red outside. An image: with a path for each cell it is a third larger.
    axes.imshow(worst.clip(1e-3, 1e3), cmap="RdBu_r", norm=LogNorm(1e-3, 1e3), aspect="auto", interpolation="none")
    for (row, column), ratio in np.ndenumerate(worst.to_numpy()):
        if not np.isnan(ratio):  # where policy and inputs meet
            colour = "black" if 0.02 < ratio < 50 else "white"
            axes.text(column, row, f"{ratio:.2g}", ha="center", va="center", color=colour)
    axes.set_xticks(np.arange(worst.shape[1]), worst.columns)
    axes.set_yticks(np.arange(worst.shape[0]), worst.index)
    axes.tick_params(length=0)
    axes.set_title("largest difference in units of its tolerance (red: out of it)", fontsize=10)
    return _svg(figure, text="none")  # letters, not their outlines: a quarter of the size
