"""The picture of the newest nights: how good, how long, on how much, and what became of each.

    svg = nights_picture(status.nights)                 # no pandas; 0.1 s of a processor
    alt = nights_in_words(status.nights)                # for who cannot see it

Nights are side by side in their order, however far apart they were. What became of one is told by shape and colour
(Okabe and Ito's, which differ for the colour-blind too), and a night without an accuracy has its mark at the bottom.
The background is white and opaque: so it is legible on a dark page.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, MaxNLocator

from hemline.records.status import Night
from hemline.report.drawing import to_svg

MARKS = {  # by fate: a marker, its colour, and that of its inside
    "Promoted": ("^", "#009E73", "#009E73"),
    "Kept": ("o", "#0072B2", "#0072B2"),
    "Needs approval": ("D", "#E69F00", "#E69F00"),
    "Rolled back": ("v", "#D55E00", "#D55E00"),
    "Unchanged": ("s", "#56B4E9", "white"),
    "Trained": ("h", "#56B4E9", "#56B4E9"),
    "Refused": ("X", "#CC79A7", "white"),
    "Failed": ("X", "#CC79A7", "#CC79A7"),
    "Unfinished": ("P", "#000000", "#000000"),
    "Running": (">", "#000000", "white"),
    "Finished": ("o", "#000000", "white"),
}
FEWEST = 8  # nights that fill the width: one alone is not as wide as the picture
LEAST_POINTS = 0.5  # height of the accuracies' axis at the least, in points: no noise fills it
LEAST_SHARE = 0.02  # the same of the examples' axis, as a share of them
LABELS = 8  # dates under the axis


def nights_picture(nights: Sequence[Night]) -> str:
    """SVG of nights, oldest first; of none, axes that say so."""
    figure = Figure(figsize=(9, 4.6))
    above, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=[3.2, 1, 1])
    figure.subplots_adjust(left=0.105, right=0.985, top=0.92, bottom=0.1, hspace=0.14)
    _accuracies(above, nights)
    if nights:
        figure.legend(loc="upper center", ncols=len(MARKS), frameon=False, fontsize=9)
    spent = [(place, night.seconds) for place, night in enumerate(nights) if night.seconds is not None]
    middle.bar([place for place, _ in spent], [seconds for _, seconds in spent], width=0.6, color="0.6")
    middle.set(ylabel="seconds", ylim=(0, 1.15 * max((seconds for _, seconds in spent), default=1) or 1))
    seen = [(place, night.examples["train"]) for place, night in enumerate(nights) if "train" in night.examples]
    sizes = [number for _, number in seen]
    below.plot([place for place, _ in seen], sizes, ".-", color="0.35", drawstyle="steps-mid")
    below.set(ylabel="examples\nto train on", ylim=_room(sizes, LEAST_SHARE * max(sizes, default=100)))
    for axes in (middle, below):
        axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    for axes in (above, middle, below):
        axes.grid(axis="y", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    last = max(len(nights), FEWEST) - 1
    every = -(-len(nights) // LABELS) or 1
    places = list(range(len(nights) - 1, -1, -every))[::-1]  # the newest has its date
    below.set_xlim(-0.6, last + 0.6)
    below.xaxis.set_major_locator(FixedLocator(places))
    below.xaxis.set_major_formatter(FixedFormatter(_days([nights[place].started for place in places])))
    return to_svg(figure)


def nights_in_words(nights: Sequence[Night]) -> str:
    """'Test accuracy of the last 3 nights, oldest to newest 87.00 %, 87.20 %, 87.10 %; 2 kept, 1 promoted'."""
    known = [night.accuracy for night in nights if night.accuracy is not None]
    fates = ", ".join(f"{number} {fate.lower()}" for fate, number in Counter(night.fate for night in nights).items())
    if not known:
        return f"No test accuracy of the last {len(nights)} nights is known; {fates or 'there was none'}"
    span = f"{min(known):.2%} to {max(known):.2%}, latest {known[-1]:.2%}"
    return f"Test accuracy of the last {len(nights)} nights: {span}; {fates}"


def _accuracies(axes: Axes, nights: Sequence[Night]) -> None:
    """Intervals, and marks by fate."""
    ends: list[float] = []
    for place, night in enumerate(nights):
        if night.accuracy is not None:
            low, high = night.interval or (night.accuracy, night.accuracy)
            axes.plot([place, place], [100 * low, 100 * high], color="0.7", linewidth=3, solid_capstyle="butt")
            ends += [100 * low, 100 * high]
    low, high = _room(ends, LEAST_POINTS)
    axes.set(ylabel="test accuracy, %", ylim=(low, high))
    bottom = low + 0.05 * (high - low)
    for fate, (marker, colour, inside) in MARKS.items():
        heights = {
            place: bottom if night.accuracy is None else 100 * night.accuracy
            for place, night in enumerate(nights)
            if night.fate == fate
        }
        if heights:
            marks = axes.plot(list(heights), list(heights.values()), marker, markersize=7, label=fate, clip_on=False)
            marks[0].set(markeredgecolor=colour, markerfacecolor=inside, zorder=3)
    if not nights:
        axes.text(0.5, 0.5, "no run yet", transform=axes.transAxes, ha="center", color="0.4")


def _days(starts: Sequence[datetime]) -> list[str]:
    """'11-29', with the time below it if two are of one day."""
    days = [f"{start:%m-%d}" for start in starts]
    return days if len({*days}) == len(days) else [f"{start:%m-%d\n%H:%M}" for start in starts]


def _room(values: Sequence[float], least: float) -> tuple[float, float]:
    """Limits of an axis with all of them inside, however few or equal they are."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    more = max(0.12 * (high - low), (least - (high - low)) / 2, 0.05 * least)
    return low - more, high + more
