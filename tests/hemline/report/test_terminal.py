"""Tables: aligned, a line a row where no terminal is, and within one where it is."""

import os
from collections.abc import Callable
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemline.report.folding import width_of
from hemline.report.layout import layout
from hemline.report.terminal import Marked, show, table


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


@pytest.fixture
def be_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the test's stdout a terminal; called in the test, since its fixtures have another stdout."""

    def be(columns: int, **environment: str) -> None:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((columns, 24)))
        for name, value in ({"NO_COLOR": "1", "TERM": "xterm"} | environment).items():
            monkeypatch.setenv(name, value)

    return be


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


SENTENCE = "challenger 2 is worse, 95 % interval -0.60 to 0.38, p 0.69 is above the level 0.00014"


def test_a_last_sentence_goes_below_its_row_where_it_would_be_narrow(
    capsys: pytest.CaptureFixture[str], be_terminal: Callable[..., None]
) -> None:
    be_terminal(60)
    table(("at", "version", "reason"), [(datetime(2026, 11, 1, 2, 30), "2", SENTENCE)])
    assert lines(capsys) == [
        "at                version",
        "    reason",
        "2026-11-01 02:30  2",
        "    challenger 2 is worse, 95 % interval -0.60 to 0.38, p",
        "    0.69 is above the level 0.00014",
    ]


def test_a_last_sentence_stays_in_its_column_where_there_is_room(
    capsys: pytest.CaptureFixture[str], be_terminal: Callable[..., None]
) -> None:
    be_terminal(80)
    table(("at", "version", "reason"), [(datetime(2026, 11, 1, 2, 30), "2", SENTENCE)])
    assert lines(capsys) == [
        "at                version  reason",
        "2026-11-01 02:30  2        challenger 2 is worse, 95 % interval -0.60 to 0.38, p",
        "                           0.69 is above the level 0.00014",
    ]


def test_headings_fold_first_and_the_optional_column_goes_next(
    capsys: pytest.CaptureFixture[str], be_terminal: Callable[..., None]
) -> None:
    row = [0.5, "▁▂█", "7"]
    be_terminal(24)
    table(("val_accuracy", "curve", "in"), [row], optional="curve")
    assert lines(capsys) == ["val_accuracy  curve  in", "0.5000        ▁▂█    7"]
    be_terminal(20)
    table(("val_accuracy", "curve", "in"), [row], optional="curve")
    assert lines(capsys) == ["val_       curve  in", "accuracy", "0.5000     ▁▂█    7"]
    be_terminal(16)
    table(("val_accuracy", "curve", "in"), [row], optional="curve")
    assert lines(capsys) == ["val_accuracy  in", "0.5000        7"]


def test_numbers_and_dates_stay_whole_and_what_has_no_room_goes_below(
    capsys: pytest.CaptureFixture[str], be_terminal: Callable[..., None]
) -> None:
    be_terminal(30)
    table(("version", "at", "data"), [("8", datetime(2026, 11, 1, 2, 30), "fashion_mnist/3.0.1")])
    assert lines(capsys) == ["version  at", "    data", "8        2026-11-01 02:30", "    fashion_mnist/3.0.1"]


def test_what_fits_is_not_folded(capsys: pytest.CaptureFixture[str], be_terminal: Callable[..., None]) -> None:
    be_terminal(120)
    table(("a", "b"), [("x " * 29 + "x", "y" * 59)])
    assert lines(capsys)[1:] == [f"{'x ' * 29}x  {'y' * 59}"]


CELLS = st.text("ab_-/ .\uff0c衬1", max_size=50)


@given(st.data(), st.integers(10, 90), st.integers(1, 5))
def test_a_table_is_no_wider_than_the_terminal_and_nothing_is_lost(data: st.DataObject, room: int, width: int) -> None:
    grid = data.draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=4))
    beside, widths, below = layout(grid, room, optional=None)
    assert sorted(beside + below) == list(range(width))
    assert beside
    assert sum(widths) + 2 * (len(widths) - 1) <= room
    natural = [max(map(width_of, column)) for column in zip(*grid, strict=True)]
    if sum(natural) + 2 * (width - 1) <= room:
        assert (widths, below) == (natural, [])


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({"NO_COLOR": ""}, True), ({}, False), ({"NO_COLOR": "", "TERM": "dumb"}, False)],
)
def test_colours_only_on_a_terminal_that_wants_them(
    capsys: pytest.CaptureFixture[str],
    be_terminal: Callable[..., None],
    environment: dict[str, str],
    coloured: bool,
) -> None:
    rows = [("refused", ["champion", "missing"]), ("champion", ["champion"]), ("running", [])]
    table(("name", "standing"), rows)
    assert "\x1b" not in "".join(lines(capsys))
    be_terminal(80, **environment)
    table(("name", "standing"), rows)
    plain = ["name      standing", "refused   champion, missing", "champion  champion", "running"]
    expected = [
        "\x1b[1mname\x1b[0m      \x1b[1mstanding\x1b[0m",
        "refused   \x1b[31mchampion, missing\x1b[0m",  # a name may be any word
        "champion  \x1b[32mchampion\x1b[0m",
        "running",
    ]
    found = lines(capsys)
    assert [line.rstrip() for line in found] == (expected if coloured else plain)


def test_a_marked_value_is_good_or_bad(capsys: pytest.CaptureFixture[str], be_terminal: Callable[..., None]) -> None:
    be_terminal(80, NO_COLOR="")
    table(("is",), [[Marked("better", True)], [Marked(0.5, False)], [Marked("", None)]])
    assert lines(capsys)[1:] == ["\x1b[32mbetter\x1b[0m", "\x1b[31m0.5000\x1b[0m", ""]


def test_csv_has_every_field_and_lists_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"a": 1.25, "b": ["x", "y"], "c": None}, {"a": 2, "b": [], "c": 'say "no", then'}]
    show(rows, as_csv=True)
    text = capsys.readouterr().out
    assert text == 'a,b,c\n1.25,"[""x"", ""y""]",\n2,[],"say ""no"", then"\n'
    show([], as_csv=True)
    assert capsys.readouterr().out == ""


def test_a_table_without_rows_has_its_names(capsys: pytest.CaptureFixture[str]) -> None:
    table(("a", "b"), [])
    assert lines(capsys) == ["a  b"]
