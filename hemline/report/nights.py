"""The picture of the newest nights: how good, how long, on how much, and what became of each.

    svg = nights_picture(status.nights)                 # neither pandas nor matplotlib
    alt = nights_in_words(status.nights)                # for who cannot see it

Nights are side by side in their order, however far apart they were. What became of one is told by shape and colour
(Okabe and Ito's, which differ for the colour-blind too), and a night without an accuracy has its mark at the bottom.
The background is white and opaque: so it is legible on a dark page.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from hemline.records.status import Night
from hemline.report.panel import Panel, text, ticks

UP, DOWN, RIGHTWARDS = "M0-4 4 4H-4z", "M0 4 4-4H-4z", "M4 0-4 4V-4z"
ROUND, SQUARE, DIAMOND = (
    "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0z",
    "M-3.5-3.5h7v7h-7z",
    "M0-4.5 4.5 0 0 4.5-4.5 0z",
)
PLUS = "M-1.4-4h2.8v2.6h2.6v2.8h-2.6v2.6h-2.8v-2.6h-2.6v-2.8h2.6z"
CROSS = "M0-2 2-4 4-2 2 0 4 2 2 4 0 2-2 4-4 2-2 0-4-2-2-4z"
MARKS = {  # by fate: a marker around 0, in points; its colour, and that of its inside
    "Promoted": (UP, "#009E73", "#009E73"),
    "Kept": (ROUND, "#0072B2", "#0072B2"),
    "Needs approval": (DIAMOND, "#E69F00", "#E69F00"),
    "Rolled back": (DOWN, "#D55E00", "#D55E00"),
    "Unchanged": (SQUARE, "#56B4E9", "white"),
    "Trained": (ROUND, "#56B4E9", "#56B4E9"),
    "Refused": (CROSS, "#CC79A7", "white"),
    "Failed": (CROSS, "#CC79A7", "#CC79A7"),
    "Unfinished": (PLUS, "#000000", "#000000"),
    "Running": (RIGHTWARDS, "#000000", "white"),
    "Finished": (ROUND, "#000000", "white"),
}
WIDE, HIGH, LEFT, RIGHT = 648, 331, 72, 638  # points: of the picture, and where the nights begin and end
FEWEST = 8  # nights that fill the width: one alone is not as wide as the picture
LEAST_POINTS = 0.5  # height of the accuracies' axis at the least, in points: no noise fills it
LEAST_SHARE = 0.02  # the same of the examples' axis, as a share of them
LABELS = 8  # dates under the axis


def nights_picture(nights: Sequence[Night]) -> str:
    """SVG of nights, oldest first; of none, axes that say so."""
    each = (RIGHT - LEFT) / max(len(nights), FEWEST)  # points of the width
    places = [LEFT + (number + 0.5) * each for number in range(len(nights))]
    every = -(-len(nights) // LABELS) or 1
    dated = list(range(len(nights) - 1, -1, -every))[::-1]  # the newest has its date
    parts = [*_legend(nights), *_accuracies(nights, places), *_seconds(nights, places, 0.6 * each)]
    parts += _examples(nights, places)
    for place, day in zip(dated, _days([nights[place].started for place in dated]), strict=True):
        parts += [text(places[place], 312 + 11 * n, line) for n, line in enumerate(day.split("\n"))]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDE}pt" height="{HIGH}pt" viewBox="0 0 {WIDE} {HIGH}" '
        f'font-family="sans-serif" font-size="10"><rect width="{WIDE}" height="{HIGH}" fill="white"/>'
        f"{''.join(parts)}</svg>"
    )


def nights_in_words(nights: Sequence[Night]) -> str:
    """'Test accuracy of the last 3 nights, oldest to newest 87.00 %, 87.20 %, 87.10 %; 2 kept, 1 promoted'."""
    known = [night.accuracy for night in nights if night.accuracy is not None]
    fates = ", ".join(f"{number} {fate.lower()}" for fate, number in Counter(night.fate for night in nights).items())
    if not known:
        return f"No test accuracy of the last {len(nights)} nights is known; {fates or 'there was none'}"
    span = f"{min(known):.2%} to {max(known):.2%}, latest {known[-1]:.2%}"
    return f"Test accuracy of the last {len(nights)} nights: {span}; {fates}"


def _mark(fate: str, x: float, y: float) -> str:
    shape, colour, inside = MARKS[fate]
    return f'<path transform="translate({x:.1f} {y:.1f})" d="{shape}" stroke="{colour}" fill="{inside}"/>'


def _legend(nights: Sequence[Night]) -> Iterator[str]:
    """What occurs, in the order of MARKS."""
    fates = [fate for fate in MARKS if fate in {night.fate for night in nights}]
    widths = [26 + 4.9 * len(fate) for fate in fates]  # of the mark, the word and what is between two of them
    x = (WIDE - sum(widths)) / 2
    for fate, width in zip(fates, widths, strict=True):
        yield _mark(fate, x + 8, 14) + text(x + 16, 17.5, fate, "start")
        x += width


def _accuracies(nights: Sequence[Night], places: Sequence[float]) -> Iterator[str]:
    """Intervals, and marks by fate."""
    spans = [(night.interval or (night.accuracy,) * 2) if night.accuracy is not None else () for night in nights]
    low, high = _room([100 * end for span in spans for end in span], LEAST_POINTS)
    panel = Panel(27, 194, low, high, ticks(low, high, most=6), "test accuracy, %")
    yield from panel.axes(LEFT, RIGHT)
    for place, span in zip(places, spans, strict=True):
        if span:
            ends = (panel.y(100 * end) for end in span)
            yield f'<path d="M{place:.1f} {next(ends):.1f}V{next(ends):.1f}" stroke="#b2b2b2" stroke-width="3"/>'
    bottom = low + 0.05 * (high - low)
    for place, night in zip(places, nights, strict=True):
        yield _mark(night.fate, place, panel.y(bottom if night.accuracy is None else 100 * night.accuracy))
    if not nights:
        yield text((LEFT + RIGHT) / 2, 110, "no run yet")


def _seconds(nights: Sequence[Night], places: Sequence[float], width: float) -> Iterator[str]:
    """A bar for each night that has ended."""
    most = 1.15 * max((night.seconds or 0 for night in nights), default=0) or 1
    panel = Panel(206, 247, 0, most, ticks(0, most, most=3, least=1), "seconds")
    yield from panel.axes(LEFT, RIGHT)
    for place, night in zip(places, nights, strict=True):
        if night.seconds:
            bar = f"M{place - width / 2:.1f} {panel.bottom}V{panel.y(night.seconds):.1f}h{width:.1f}V{panel.bottom}"
            yield f'<path d="{bar}z" fill="#999"/>'


def _examples(nights: Sequence[Night], places: Sequence[float]) -> Iterator[str]:
    """A dot for each night that knows, and a line that changes its height between two of them."""
    known = [(x, night.examples["train"]) for x, night in zip(places, nights, strict=True) if "train" in night.examples]
    sizes = [number for _, number in known]
    low, high = _room(sizes, LEAST_SHARE * max([100, *sizes]))
    panel = Panel(259, 299, low, high, ticks(low, high, most=3, least=1), "examples\nto train on")
    yield from panel.axes(LEFT, RIGHT)
    dots = [(x, panel.y(number)) for x, number in known]
    if dots:
        line = "".join(f"H{(x + then) / 2:.1f}V{y:.1f}H{then:.1f}" for (x, _), (then, y) in pairwise(dots))
        yield f'<path d="M{dots[0][0]:.1f} {dots[0][1]:.1f}{line}" fill="none" stroke="#595959" stroke-width="1.5"/>'
    yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="#595959"/>' for x, y in dots)


def _days(starts: Sequence[datetime]) -> list[str]:
    """'11-29', with the time below it if two are of one day."""
    days = [f"{start:%m-%d}" for start in starts]
    return days if len({*days}) == len(days) else [f"{start:%m-%d\n%H:%M}" for start in starts]


def _room(values: Sequence[float], least: float) -> tuple[float, float]:
    """Limits of an axis with all of them inside, however few or equal they are."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    more = max(0.12 * (high - low), (least - (high - low)) / 2, 0.05 * least)
    return low - more, high + more
