"""Tables: aligned, a line a row where no terminal is, and within one where it is."""

import os

import pytest

from hemline.report.terminal import table


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def be_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow one. In the test: its fixtures have another stdout."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((80, 24)))


def test_columns_are_as_wide_as_their_widest_cell(capsys: pytest.CaptureFixture[str]) -> None:
    table(("metric", "value"), [("accuracy", 0.87861), ("epochs", 5), ("best", None), ("of", ["1", "2"])])
    assert lines(capsys) == [
        "metric    value",
        "accuracy  0.8786",
        "epochs    5",
        "best      -",
        "of        1, 2",
    ]


def test_a_wide_letter_takes_two_columns(capsys: pytest.CaptureFixture[str]) -> None:
    table(("class", "recall"), [("衬衫", 0.5), ("bag", 1.0)])
    assert lines(capsys) == ["class  recall", "衬衫   0.5000", "bag    1.0000"]


def test_a_row_is_a_line_and_no_letter_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    table(("reason", "by"), [("two\nlines \x1b[31mred", "ada"), ("long " * 100, "bob")])
    first, *rest = lines(capsys)[1:]
    assert first.startswith("two lines  [31mred ")
    assert len(rest) == 1


def test_on_a_terminal_the_widest_columns_are_folded_and_nothing_is_lost(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    be_terminal(monkeypatch)
    words = [f"word{number}" for number in range(60)]
    table(("version", "reason", "by"), [("8", " ".join(words), "ada@laptop"), ("9", "short", "x" * 200)])
    found = lines(capsys)
    assert max(map(len, found)) <= 120  # which a ledger needs at least
    assert next(line for line in found if line.startswith("8")).split()[:2] == ["8", "word0"]
    assert [word for line in found for word in line.split() if word.startswith("word")] == words
    assert sum(line.count("x") for line in found) == 200
    assert {line[:9] for line in found} == {"version  ", "8        ", "9        ", " " * 9}


def test_what_fits_is_not_folded(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    be_terminal(monkeypatch)
    table(("a", "b"), [("x" * 59, "y" * 59)])
    assert lines(capsys)[1:] == [f"{'x' * 59}  {'y' * 59}"]


def test_a_table_without_rows_has_its_names(capsys: pytest.CaptureFixture[str]) -> None:
    table(("a", "b"), [])
    assert lines(capsys) == ["a  b"]
