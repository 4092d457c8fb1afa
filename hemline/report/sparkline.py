"""A curve in a line of text.

sparkline([0.9, 0.5, 0.3, 0.2])     # '█▄▂▁'
sparkline([0.1, None, 0.2])         # '▁ █': None, NaN and infinity are gaps
"""

import math
from collections.abc import Sequence
from fractions import Fraction

BLOCKS = "▁▂▃▄▅▆▇█"
LEVEL = BLOCKS[3]  # of values that are all the same


def sparkline(values: Sequence[float | None]) -> str:
    """A letter for each value, from the lowest to the highest of them."""
    there = [value for value in values if value is not None and math.isfinite(value)]
    low, high = min(there, default=0), max(there, default=0)

    def block(value: float | None) -> str:
        if value is None or not math.isfinite(value):
            return " "
        if high == low:
            return LEVEL
        share = (Fraction(value) - Fraction(low)) / (Fraction(high) - Fraction(low))  # floats overflow or lose it
        return BLOCKS[round(share * (len(BLOCKS) - 1))]

    return "".join(map(block, values))


def thinned(values: Sequence[float | None], most: int) -> list[float | None]:
    """At most so many of them at even distances, among them the first and the last. most: at least 2."""
    if len(values) <= most:
        return list(values)
    return [values[round(number * (len(values) - 1) / (most - 1))] for number in range(most)]
