"""How good a model is, as pictures.

svg = class_changes(decision.classes)           # what became of each class since the champion
svg = reliability(evaluation.calibration)       # whether its probabilities can be believed
svg = confusion_map(table)                      # table: (classes, classes), true classes in rows; see `most_confused`
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from hemline.records.run import CalibrationBin, ClassChange
from hemline.report.drawing import COLOURS, GREY, WIDE, plain, to_svg

CLASSES = 30  # that are drawn
NUMBERED = 12  # classes of a confusion matrix, above which its cells have no numbers


def _inches(names: Iterable[str]) -> float:
    """That the longest name needs, at 8 points, beside the label of an axis."""
    return 0.4 + 0.068 * max(map(len, names))


def class_changes(classes: Sequence[ClassChange]) -> str:
    """Points of recall that each class gained or lost, and its negative flips."""
    figure = Figure(figsize=(WIDE[0], 0.9 + 0.24 * len(classes)))
    height = figure.get_figheight()
    names = [plain(one.name) for one in classes]
    figure.subplots_adjust(
        left=_inches(names) / WIDE[0], right=0.985, top=1 - 0.3 / height, bottom=0.5 / height, wspace=0.08
    )
    gains, flips = figure.subplots(1, 2, sharey=True)
    places = range(len(classes))
    values = [one.difference_points for one in classes]
    bars = gains.barh(places, values, color=[COLOURS[0] if value >= 0 else COLOURS[1] for value in values])
    gains.bar_label(bars, [f"{value:+.1f}" for value in values], padding=2, fontsize=8)
    gains.axvline(0, color="black", linewidth=0.8)
    gains.set_title("recall: points gained or lost", fontsize=10)
    reach = 1.4 * max(0.4, *(abs(value) for value in values))
    gains.set(xlim=(-reach, reach), xlabel="points")
    bars = flips.barh(places, [one.negative_flips for one in classes], color=GREY)
    labels = [f"{one.negative_flips:g} of {one.examples:,}" for one in classes]
    flips.bar_label(bars, labels, padding=2, fontsize=8)
    flips.set_title("negative flips: right before, wrong now", fontsize=10)
    flips.set(xlim=(0, 1.3 * max(1, *(one.negative_flips for one in classes))), xlabel="examples")
    gains.set_yticks(places, names, fontsize=8)
    gains.set_ylim(len(classes) - 0.4, -0.6)  # the first class above
    return to_svg(figure)


def reliability(bins: Sequence[CalibrationBin]) -> str:
    """Accuracy by confidence, which would be the same, and how many examples have that confidence."""
    figure = Figure(figsize=(6, 5))
    figure.subplots_adjust(left=0.13, right=0.97, top=0.97, bottom=0.1, hspace=0.12)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    confidence, accuracy = [one.confidence for one in bins], [one.accuracy for one in bins]
    above.plot([0, 1], [0, 1], "--", color=GREY, label="as sure as it is right")
    above.plot(confidence, accuracy, "o-", color=COLOURS[0], label="this model")
    above.set(ylabel="accuracy", ylim=(-0.03, 1.03))
    above.yaxis.set_major_formatter(PercentFormatter(1))
    above.legend(loc="upper left", frameon=False)
    above.grid(alpha=0.3)
    below.bar(confidence, [one.examples for one in bins], width=0.04, color=COLOURS[0])
    most = max(one.examples for one in bins)
    for one in bins:
        below.text(one.confidence, one.examples + 0.04 * most, f"{one.examples:,}", fontsize=7, ha="center")
    below.set(xlabel="probability of the predicted class", ylabel="examples", xlim=(-0.03, 1.03), ylim=(0, 1.25 * most))
    below.xaxis.set_major_formatter(PercentFormatter(1))
    return to_svg(figure)


def most_confused(path: Path) -> pd.DataFrame:
    """(classes, classes) of confusion.csv: all of few classes; of many those with most mistakes, in their order."""
    table = pd.read_csv(path, index_col="true", dtype={"true": str, "predicted": str}, keep_default_na=False)
    if list(table.columns) == ["predicted", "examples"]:  # pairs, of so many classes that a matrix would be of zeros
        pairs = table.reset_index()
    else:
        pairs = table.melt(var_name="predicted", value_name="examples", ignore_index=False).reset_index()
    names = list(dict.fromkeys(pairs["true"]))
    if len(names) > CLASSES:
        wrong = pairs[pairs["true"] != pairs["predicted"]]
        sums = [wrong.groupby(side)["examples"].sum() for side in ("true", "predicted")]
        chosen = set(pd.concat(sums).groupby(level=0).sum().nlargest(CLASSES).index)
        names = [name for name in names if name in chosen]
        pairs = pairs[pairs["true"].isin(chosen) & pairs["predicted"].isin(chosen)]
    square = pairs.pivot(index="true", columns="predicted", values="examples")
    return square.reindex(index=names, columns=names).fillna(0).astype(int)


def confusion_map(table: pd.DataFrame) -> str:
    """Share of each true class, in rows, that was called each class, in columns; of few classes with the numbers."""
    side = len(table)
    counts = table.to_numpy()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    inches = max(3.2, 0.42 * side) if side <= NUMBERED else 0.22 * side
    names = [plain(str(name)) for name in table.index]
    beside = _inches(names)
    total = inches + beside + 0.1
    figure = Figure(figsize=(total, total))
    figure.subplots_adjust(left=beside / total, right=1 - 0.1 / total, top=1 - 0.1 / total, bottom=beside / total)
    axes = figure.subplots()
    # Of the root of the share: nine of ten examples are on the diagonal, and the others are what one looks for.
    axes.imshow(share, cmap="Blues", norm=PowerNorm(0.5, 0, 1), aspect="auto", interpolation="none")
    if side <= NUMBERED:
        for (row, column), number in np.ndenumerate(counts):
            if number:
                colour = "white" if share[row, column] > 0.3 else "black"
                axes.text(column, row, f"{number:,}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(side), names, rotation=90, fontsize=8)
    axes.set_yticks(range(side), names, fontsize=8)
    axes.tick_params(length=0)
    axes.set(xlabel="called", ylabel="true class")
    return to_svg(figure)
