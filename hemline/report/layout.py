"""How a table fits a terminal.

    side_by_side, widths, below = layout(grid, room=80, optional="curve")      # numbers of columns

When it does not fit as it is: 1. headings fold at their joints; 2. the optional column is left out; 3. long cells fold,
which are sentences and paths; 4. the last columns go below their row, as does a last long one that would be narrow;
5. what is still too wide folds at its joints, or where it must. Numbers, dates and names stay whole until then.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

from hemline.report.folding import longest_piece, width_of

GAP = "  "  # between columns
LONG = 30  # columns of a terminal: a wider cell may fold, and to no less
WIDE_ENOUGH = 50  # for the last, long column to stay beside the rest of its row


class Layout(NamedTuple):
    """Numbers of columns, and the widths of those that stand side by side."""

    side_by_side: list[int]
    widths: list[int]
    below: list[int]


class _Column:
    """What a column can do without."""

    def __init__(self, number: int, cells: Sequence[str]):
        self.number = number
        self._heading, *self._cells = cells
        self._widest = max(map(width_of, self._cells), default=0)

    @cached_property
    def whole(self) -> int:
        """Its width if nothing folds."""
        return max(width_of(self._heading), self._widest)

    @cached_property
    def narrow(self) -> int:
        """If its heading does."""
        return max(longest_piece(self._heading), self._widest)

    @cached_property
    def folded(self) -> int:
        """If long cells do too."""
        return min(max(self.pieces, LONG), self.narrow)

    @cached_property
    def pieces(self) -> int:
        """If all folds that can without being cut."""
        return max(map(longest_piece, [self._heading, *self._cells]))

    @property
    def is_long(self) -> bool:
        """Whether it has a sentence or a path."""
        return self.folded < self.narrow


def layout(grid: Sequence[Sequence[str]], room: int | None, optional: str | None) -> Layout:
    """grid: (rows, columns), headings first. room: columns of the terminal; None where there is none."""
    columns = [_Column(number, cells) for number, cells in enumerate(zip(*grid, strict=True))]
    widths, below = [column.whole for column in columns], list[int]()
    if room is not None and total(widths) > room:
        if total(column.narrow for column in columns) > room:
            columns = [column for column in columns if grid[0][column.number] != optional]
        while len(columns) > 1 and not _fits(columns, room):
            below.insert(0, columns.pop().number)
        widths = _fitting(columns, room)
    return Layout([column.number for column in columns], widths, below)


def total(widths: Iterable[int]) -> int:
    """The width of all, with the gaps between them."""
    return sum(width + len(GAP) for width in widths) - len(GAP)


def _fits(columns: Sequence[_Column], room: int) -> bool:
    *others, last = columns
    if total(column.narrow for column in columns) <= room:
        return True
    if last.is_long and room - total([*(column.narrow for column in others), 0]) < WIDE_ENOUGH:
        return False
    return total(column.folded for column in columns) <= room


def _fitting(columns: Sequence[_Column], room: int) -> list[int]:
    """The widest become narrower until all fit."""
    widths = [column.whole for column in columns]
    for floors in (
        [column.narrow for column in columns],
        [column.folded for column in columns],
        [column.pieces for column in columns],
        [1] * len(columns),
    ):
        while total(widths) > room and (above := [n for n, floor in enumerate(floors) if widths[n] > floor]):
            widths[max(above, key=widths.__getitem__)] -= 1
    return widths
