"""Lines of a terminal: folded where a reader would, as wide as said, and nothing lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemline.report.folding import folded, longest_piece, width_of


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("challenger 2 is worse", 12, ["challenger 2", "is worse"]),
        ("runs/2026-11-23-nightly", 16, ["runs/2026-11-23-", "nightly"]),
        ("a/b/models/7", 8, ["a/b/", "models/7"]),
        ("val_accuracy", 8, ["val_", "accuracy"]),
        ("from -0.60 to 2026-11-23", 11, ["from -0.60", "to", "2026-11-23"]),
        ("x" * 7, 3, ["xxx", "xxx", "x"]),
        ("衬衫不见了\uff0c等待。", 6, ["衬衫不", "见了\uff0c", "等待。"]),  # no mark begins a line
        ("the 衬衫 are", 6, ["the 衬", "衫 are"]),
        ("", 5, [""]),
    ],
)
def test_lines_worked_by_hand(text: str, width: int, lines: list[str]) -> None:
    assert folded(text, width) == lines


@pytest.mark.parametrize(("text", "width"), [("shirt", 5), ("衬衫", 4), ("cafe\u0301", 4), ("", 0)])
def test_columns_of_a_terminal(text: str, width: int) -> None:
    assert width_of(text) == width


@given(st.text("ab_-/. \uff0c。衬衫1", max_size=60), st.integers(3, 30))
def test_no_line_is_wider_and_nothing_is_lost(text: str, width: int) -> None:
    lines = folded(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert max(map(width_of, lines)) <= max(width, 1) or width_of(text.strip()) <= width


@given(st.text("ab_-/. 衬1", min_size=1, max_size=60))
def test_no_piece_is_cut_if_all_have_room(text: str) -> None:
    if width := longest_piece(text):
        assert max(map(width_of, folded(text, width))) <= max(width, 1)
        words = [word for word in text.split() if word.isascii() and word.isalnum()]
        assert all(any(word in line for line in folded(text, width)) for word in words)
