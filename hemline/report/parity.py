"""LayerNorm beside its references, as a picture: svg = parity_map(table), of hemline.proofs.parity."""

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from hemline.report.drawing import to_svg


def parity_map(table: pd.DataFrame) -> str:
    """Largest difference in units of its tolerance, by dtype policy and kind of input; above 1 is a failure."""
    worst = table.pivot_table(values="ratio", index="policy", columns="inputs", aggfunc="max", sort=False)
    figure = Figure(figsize=(9, 3.2))
    figure.subplots_adjust(left=0.14, right=0.99, top=0.91, bottom=0.09)
    axes = figure.subplots()
    # White at the tolerance, blue within, red outside. An image: with a path for each cell it is a third larger.
    axes.imshow(worst.clip(1e-3, 1e3), cmap="RdBu_r", norm=LogNorm(1e-3, 1e3), aspect="auto", interpolation="none")
    for (row, column), ratio in np.ndenumerate(worst.to_numpy()):
        if not np.isnan(ratio):  # where policy and inputs meet
            colour = "black" if 0.02 < ratio < 50 else "white"
            axes.text(column, row, f"{ratio:.2g}", ha="center", va="center", color=colour)
    axes.set_xticks(np.arange(worst.shape[1]), worst.columns, fontsize=8)
    axes.set_yticks(np.arange(worst.shape[0]), worst.index, fontsize=9)
    axes.tick_params(length=0)
    axes.set_title("largest difference in units of its tolerance (red: out of it)", fontsize=10)
    return to_svg(figure)
