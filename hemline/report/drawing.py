"""What all pictures have in common: colours, a light background, and SVG that is small and the same every time.

    figure = Figure(figsize=WIDE)           # not pyplot: no global state, no display
    ...
    svg = to_svg(figure)                    # the same figure gives the same bytes: no date, no ids of the process

A report has ten pictures inside, in base64, and must stay below 200 KB: what matplotlib writes is halved. Margins are
set by hand, since matplotlib's layouts draw everything twice; a picture takes 50 to 100 ms (2 cores).
"""

import io
import re

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

WIDE = (9, 3.6)  # inches
# Okabe and Ito's, which any eye can tell apart (https://jfly.uni-koeln.de/color/); lines differ in their markers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "0.55"  # of what the champion did
MARKED = 12  # points of a line, above which they have no markers


def to_svg(figure: Figure) -> str:
    """Without what a browser does not need; coordinates are in hundredths of a point."""
    file, nothing = io.StringIO(), dict.fromkeys(("Creator", "Date", "Format", "Type"))
    # Letters, not their outlines: a quarter of the size. In one font, and not, at each text, with a dozen others.
    style = {"svg.hashsalt": "hemline", "svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans"]}
    with matplotlib.rc_context(style):  # type: ignore[arg-type]
        # Opaque and light, so that a dark page shows it as well.
        figure.savefig(file, format="svg", facecolor="white", metadata=nothing)
    styles: dict[str, str] = {}
    text = re.sub(r"<!--.*?-->|<!DOCTYPE[^>]*>|(?<=>)\s+(?=<)", "", file.getvalue(), flags=re.DOTALL)
    text = re.sub(r"<[^>]+>", lambda tag: _smaller(tag[0], styles), text)
    rules = "".join(f".{name}{{{style}}}" for style, name in styles.items())
    return text.replace("</style>", f"{rules}</style>", 1)


def _smaller(tag: str, styles: dict[str, str]) -> str:
    """A tag that refers to its style, which others share. styles: a name for each so far."""
    tag = re.sub(r' id="[\w.]+_\d+"| transform="rotate\(-0 [^"]*"', "", tag)  # nothing refers to these ids
    tag = re.sub(r' (?:d|x|y|width|height|transform)="[^"]*"', lambda found: _rounded(found[0]), tag)
    return re.sub(r'style="([^"]*)"', lambda found: f'class="{styles.setdefault(found[1], f"s{len(styles)}")}"', tag)


def _rounded(text: str) -> str:
    return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", re.sub(r"\s+", " ", text))


def plain(name: str, most: int = 24) -> str:
    """A name, cut where it is long, as matplotlib shows it and does not read as mathematics."""
    return (name if len(name) <= most else f"{name[: most - 1]}…").replace("$", r"\$")


def epochs_below(axes: Axes, last: int) -> None:
    """Whole epochs under the axis, from 1 to the last; a single one is in the middle."""
    axes.set(xlabel="epoch", xlim=(0.5, last + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
