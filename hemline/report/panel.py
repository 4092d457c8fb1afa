"""A part of a picture with a scale of its own, as SVG: where importing matplotlib, for 0.4 s, is a tenth of a night.

    panel = Panel(top=27, bottom=190, ticks=ticks(86.2, 88.4, most=6), low=86.2, high=88.4, label="accuracy, %")
    panel.axes(left=68, right=638)      # SVG: grid, ticks with their numbers, two lines, and the label
    panel.y(87.5)                       # where that is, in points from the top

Texts are not escaped: give numbers, dates and words of one's own.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Panel:
    """Between two heights of the picture, in points from its top; low and high are what stands there."""

    top: float
    bottom: float
    low: float
    high: float
    ticks: dict[float, str]
    label: str  # beside it; of one line or two

    def y(self, value: float) -> float:
        """Points from the top."""
        return self.bottom - (value - self.low) / (self.high - self.low) * (self.bottom - self.top)

    def axes(self, left: float, right: float) -> Iterator[str]:
        """SVG of all but the values."""
        for value, number in self.ticks.items():
            yield f'<path d="M{left} {self.y(value):.1f}H{right}" stroke="#ddd"/>'
            yield text(left - 5, self.y(value) + 3.5, number, "end")
        yield f'<path d="M{left} {self.top}V{self.bottom}H{right}" fill="none" stroke="black" stroke-width=".8"/>'
        for row, line in enumerate(reversed(self.label.split("\n"))):
            yield text(22 - 11 * row, (self.top + self.bottom) / 2, line, turned=True)


def ticks(low: float, high: float, most: int, least: float = 0) -> dict[float, str]:
    """Round numbers between the limits, at most one more than `most`, as text. least: that two of them differ by."""
    rough = max((high - low) / most, least)
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * times for times in (1, 2, 5, 10) if unit * times >= rough * (1 - 1e-9))
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    values = (round(step * number, digits) for number in range(math.ceil(low / step), math.floor(high / step) + 1))
    return {value: f"{value:,.{digits}f}" for value in values}


def text(x: float, y: float, words: str, anchor: str = "middle", turned: bool = False) -> str:
    """SVG of words that begin, have their middle or end there; turned: they are read from below."""
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turn}>{words}</text>'
