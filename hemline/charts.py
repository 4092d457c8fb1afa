"""Pictures of a run, as SVG text.

    svg = learning_curves(epochs)       # epochs: the table of hemline.metrics

The same table gives the same bytes: no date, no ids of the process.
"""

import io

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def learning_curves(epochs: pd.DataFrame) -> str:
    """Loss and accuracy by epoch, training beside validation."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")  # not pyplot: no global state, no display
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for split, label in (("train", "training"), ("val", "validation")):
            axes.plot(epochs["epoch"], epochs[f"{split}_{metric}"], marker="o", markersize=4, label=label)
        axes.set(xlabel="epoch", ylabel=metric)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return _svg(figure)


def _svg(figure: Figure) -> str:
    with matplotlib.rc_context({"svg.hashsalt": "hemline"}):
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
