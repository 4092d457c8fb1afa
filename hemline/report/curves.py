"""How a run went over time, as pictures.

svg = learning_curves(epochs, champion)     # epochs, champion: tables of hemline.training.history
svg = running_loss(iterations)              # iterations: some epochs of the run, by `some_iterations`
svg = group_curves(epochs)                  # learning rate and norms of each group
compare_curves([("7", epochs), ("8", other)], Path("curves.png"))
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter

from hemline.report.drawing import COLOURS, GREY, MARKED, MARKERS, WIDE, epochs_below, plain, to_svg
from hemline.storage.files import whole_file

EPOCHS, POINTS = 20, 300  # whose iterations are drawn, evenly chosen, and how many of these
NAMED = 8  # epochs, above which there is no room for their numbers
LABELS = {"loss": "loss, nats", "accuracy": "accuracy"}
DECADES = 1e4  # a schedule's last rate, nearly 0, would leave the others no room
MEASURES = {"learning_rate": "learning rate", "gradient_norm": "norm of the gradient", "weight_norm": "norm of weights"}


def learning_curves(epochs: pd.DataFrame, champion: pd.DataFrame | None = None) -> str:
    """Loss and accuracy by epoch, training and validation; the champion's in grey."""
    lines = [] if champion is None else [("champion's ", champion, (GREY, GREY))]
    return to_svg(_curves([("", epochs, COLOURS[:2]), *lines]))


def compare_curves(runs: Sequence[tuple[str, pd.DataFrame]], path: Path) -> None:
    """Writes the learning curves of several runs over each other, as SVG or PNG by the path's suffix."""
    colours = [COLOURS[number % len(COLOURS)] for number in range(len(runs))]
    lines = [(f"{plain(name)}, ", epochs, (of, of)) for (name, epochs), of in zip(runs, colours, strict=True)]
    figure = _curves(lines)
    with whole_file(path) as temporary:
        if path.suffix == ".svg":
            temporary.write_text(to_svg(figure))
        else:
            figure.savefig(temporary, dpi=150)


def _curves(runs: Sequence[tuple[str, pd.DataFrame, tuple[str, ...]]]) -> Figure:
    """runs: what to call each, its epochs, and the colours of training and validation."""
    rows = len(runs)
    figure = Figure(figsize=(WIDE[0], WIDE[1] + 0.2 * rows))
    legend = (0.5 + 0.2 * rows) / figure.get_figheight()  # of the height
    figure.subplots_adjust(left=0.075, right=0.985, top=0.97, bottom=legend + 0.06, wspace=0.24)
    last = max(int(epochs["epoch"].max()) for _, epochs, _ in runs)
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for number, (title, epochs, colours) in enumerate(runs):
            for split, label, style, colour in zip(
                ("train", "val"), ("training", "validation"), ("--", "-"), colours, strict=True
            ):
                x, y = epochs["epoch"], epochs[f"{split}_{metric}"]
                marker = MARKERS[(2 * number + (style == "-")) % len(MARKERS)]
                _line(axes, x, y, color=colour, linestyle=style, marker=marker, label=title + label)
        axes.set_ylabel(LABELS[metric])
        epochs_below(axes, last)
        _leave_room(axes, share=metric == "accuracy")
    figure.legend(*axes.get_legend_handles_labels(), loc="lower center", ncols=2, frameon=False)
    return figure


def _line(axes: Axes, x: "pd.Series[Any]", y: "pd.Series[Any]", **look: Any) -> None:
    behind = 1 if look["color"] == GREY else 2
    look |= {"clip_on": False}  # a marker at 100 % is whole
    axes.plot(x, y, markersize=5, zorder=behind, **(look | {"marker": look["marker"] if len(x) <= MARKED else None}))


def _leave_room(axes: Axes, share: bool) -> None:
    """A loss from 0 on; a share in percent, one point below and above at least."""
    low, high = axes.dataLim.intervaly
    if share:
        room = max(0.01, 0.08 * (high - low))
        axes.set_ylim(max(low - room, 0), min(high + room, 1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    else:
        axes.set_ylim(0, 1.08 * high)


def some_iterations(directory: Path) -> pd.DataFrame:
    """Of a run's or a version's directory: all epochs, or some of many, evenly chosen, the last one among them."""
    files = sorted((directory / "iterations.parquet").glob("epoch-*.parquet"))
    chosen = sorted(set(np.linspace(len(files) - 1, 0, EPOCHS).round().astype(int))) if files else []
    columns = ["epoch", "step", "running_loss"]
    return pd.concat([pd.read_parquet(files[number], columns=columns) for number in chosen])


def running_loss(iterations: pd.DataFrame) -> str:
    """The mean loss of an epoch so far, by iteration; each epoch begins anew."""
    figure = Figure(figsize=(WIDE[0], 3))
    figure.subplots_adjust(left=0.075, right=0.985, top=0.96, bottom=0.16)
    axes = figure.subplots()
    for number, (epoch, rows) in enumerate(iterations.groupby("epoch")):
        every = max(1, len(iterations) // POINTS)
        kept = rows[(np.arange(len(rows)) % every == 0) | (np.arange(len(rows)) == len(rows) - 1)]
        style = ("-", "--")[number % 2]  # so that neighbours are told apart
        axes.plot(kept["step"], kept["running_loss"], style, color=COLOURS[0], marker="o", markevery=[-1], markersize=5)
        end = kept.iloc[-1]
        if iterations["epoch"].nunique() > NAMED:
            continue
        axes.annotate(
            f"epoch {epoch}", (end["step"], end["running_loss"]), (0, 7), textcoords="offset points", ha="right"
        )
    axes.set(xlabel="iteration since the start of the run", ylabel="running training loss, nats")
    axes.set_ylim(0, 1.15 * float(iterations["running_loss"].max()))
    axes.grid(alpha=0.3)
    return to_svg(figure)


def groups_of(epochs: pd.DataFrame) -> list[str]:
    """Names of the groups that the table has measures of; none in one that an early Hemline wrote."""
    last = "_" + next(iter(MEASURES))
    return [name.removesuffix(last) for name in epochs.columns if name.endswith(last)]


def group_curves(epochs: pd.DataFrame) -> str:
    """Learning rate, and norms of gradient and weights, by epoch and group."""
    figure = Figure(figsize=(WIDE[0], 3.2))
    figure.subplots_adjust(left=0.065, right=0.985, top=0.9, bottom=0.25, wspace=0.24)
    for axes, (measure, title) in zip(figure.subplots(1, 3), MEASURES.items(), strict=True):
        for number, group in enumerate(groups_of(epochs)):
            look = {
                "color": COLOURS[number % 7],
                "marker": MARKERS[number % 7],
                "linestyle": ("-", "--", ":")[number % 3],
            }
            if (name := f"{group}_{measure}") in epochs:
                _line(axes, epochs["epoch"], epochs[name], label=plain(group), **look)
        axes.set_title(title, fontsize=10)
        low, high = axes.dataLim.intervaly
        if low > 0 and high > 20 * low:
            axes.set_yscale("log")
            axes.set_ylim(bottom=max(low, high / DECADES) / 1.5)
            for line in axes.lines:
                line.set_clip_on(True)
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_formatter("{x:g}")  # and not mathematics, which takes 0.2 s
        else:
            axes.set_ylim(0, 1.08 * high or 1)
        epochs_below(axes, int(epochs["epoch"].max()))
    figure.legend(*axes.get_legend_handles_labels(), loc="lower center", ncols=4, frameon=False)
    return to_svg(figure)
