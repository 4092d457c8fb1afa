"""Plain lines where there is no terminal, a live line with a bar where there is one. Times are made up."""

import io
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from hemline.training.progress import Bars, Display

ROW: dict[str, int | float] = {
    "epoch": 1,
    "iterations": 100,
    "train_loss": 0.5,
    "train_loss_weighted": 0.6,
    "train_accuracy": 0.25,
    "val_loss": 0.75,
    "val_accuracy": 0.125,
}
RESULT = "epoch 1/2  train_loss 0.5000  train_accuracy 0.2500  val_loss 0.7500  val_accuracy 0.1250  "


def show(
    console: Console,
    iterations: int,
    ends_of_chunks: Sequence[int],
    epochs: int = 1,
    log_lines: int = 0,
    first: int = 0,
) -> list[str]:
    """What is said of epochs of 1,000 images in which an iteration takes half a second, and validation ten."""
    said: list[str] = []
    bars, now = Bars(console), 100.0
    with Display(2, iterations, 1000, bars.over(said.append), bars, log_lines=log_lines) as display:
        for epoch in range(1, epochs + 1):
            display.begin_epoch(first, now)
            for iteration in ends_of_chunks:
                display.advance(epoch, iteration, 1 / iteration, 0.5, now + (iteration - first) / 2)
            display.end_epoch(ROW | {"epoch": epoch})
            now, first = now + iterations / 2 + 10, 0
    return said


def plain_console() -> Console:
    return Console(file=io.StringIO())


@pytest.fixture
def plain() -> Console:
    return plain_console()


@pytest.fixture
def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=120)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_an_epoch_has_a_line(plain: Console) -> None:
    """8 iterations in 4 s: 1,000 images in 4 s, validation apart."""
    assert show(plain, 8, range(1, 9), epochs=2) == [
        RESULT + "250 images/s",
        RESULT.replace("1/2", "2/2") + "250 images/s",
    ]


def test_more_lines_worked_by_hand(plain: Console) -> None:
    assert show(plain, 8, range(1, 9), log_lines=3) == [
        "epoch 1/2  iteration 2/8  loss 0.5000  accuracy 0.5000  250 images/s",
        "epoch 1/2  iteration 4/8  loss 0.2500  accuracy 0.5000  250 images/s",
        "epoch 1/2  iteration 6/8  loss 0.1667  accuracy 0.5000  250 images/s",
        RESULT + "250 images/s",
    ]


def test_the_rest_of_an_epoch_is_timed_alone(plain: Console) -> None:
    """6 of 8 iterations were done before: 250 images in 1 s. The lines before are not said again."""
    assert show(plain, 8, [7, 8], log_lines=3, first=6) == [RESULT + "250 images/s"]


@given(st.integers(1, 500), st.integers(1, 64), st.integers(0, 20))
def test_never_more_than_the_promised_lines_and_the_result_last(iterations: int, chunk: int, log_lines: int) -> None:
    ends = [min(start + chunk, iterations) for start in range(0, iterations, chunk)]
    *lines, last = show(plain_console(), iterations, ends, log_lines=log_lines)
    assert last.startswith(RESULT)
    assert len(lines) <= log_lines
    # A naive twin: a line after the first chunk that reaches a division's end.
    divisions = [math.ceil(iterations * n / (log_lines + 1)) for n in range(1, log_lines + 1)]
    due = sorted({min(end for end in ends if end >= division) for division in divisions})
    assert [int(line.split()[3].split("/")[0]) for line in lines] == due


def test_every_epoch_has_its_lines(plain: Console) -> None:
    said = show(plain, 100, [25, 50, 75, 100], epochs=2, log_lines=3)
    assert [line.split()[1] for line in said] == ["1/2"] * 4 + ["2/2"] * 4


def test_without_a_terminal_nothing_is_drawn(plain: Console) -> None:
    show(plain, 100, [50, 100])
    assert written(plain).strip() == ""


def test_a_terminal_has_a_live_line_and_one_that_stays(terminal: Console) -> None:
    """1,000 images in 50 s. After half of the first of two epochs 25 s are over and 75 left; half of the second is
    at 85 s of three quarters of the way, so 28 are left: validation took 10."""
    said = show(terminal, 100, [50, 100], epochs=2)
    assert said == [RESULT + "20 images/s", RESULT.replace("1/2", "2/2") + "20 images/s"]
    display = lines_drawn(120, [(1, 50, 25.0), (2, 50, 85.0)])
    assert display == [
        f"epoch 1/2  {'━' * 20}{'─' * 20}  50/100  loss 0.5000  accuracy 0.2500  20 images/s  1:15",
        f"epoch 2/2  {'━' * 20}{'─' * 20}  50/100  loss 0.5000  accuracy 0.2500  20 images/s  0:28",
    ]


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (80, "epoch 1/2  ━━━━━━──────  50/100  loss 0.5000  accuracy 0.2500  20 images/s  1:15"),
        (72, "epoch 1/2  ━━──  50/100  loss 0.5000  accuracy 0.2500  20 images/s  1:15"),
        (71, "epoch 1/2  50/100  loss 0.5000  accuracy 0.2500  20 images/s  1:15"),
        (65, "epoch 1/2  50/100  loss 0.5000  accuracy 0.2500  20 images/s"),
        (30, "epoch 1/2  50/100  loss 0.5000"),
        (5, "epoch"),
    ],
)
def test_a_narrow_terminal_has_what_fits(width: int, shown: str) -> None:
    assert lines_drawn(width, [(1, 50, 25.0)]) == [shown]


def lines_drawn(width: int, moments: Sequence[tuple[int, int, float]]) -> list[str]:
    """The live line at moments: epoch, iteration and seconds since the beginning."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    bars, lines = Bars(console), list[str]()
    with Display(2, 100, 1000, lambda line: None, bars) as display:
        for epoch, iteration, now in moments:
            display.begin_epoch(0, 60.0 * (epoch - 1))
            display.advance(epoch, iteration, 0.5, 0.25, now)
            lines.append("".join(part.text for part in console.render(bars.drawn())).rstrip("\n"))
            display.end_epoch(ROW)
    return lines


def test_the_bar_ends_with_the_block_even_by_an_exception(terminal: Console) -> None:
    display = Display(2, 100, 1000, lambda line: None, Bars(terminal))
    with pytest.raises(KeyboardInterrupt), display:
        raise KeyboardInterrupt
    assert written(terminal).endswith(("\x1b[?25h", "\x1b[2K"))  # the cursor is back


def test_models_that_train_at_once_have_a_bar_each_until_the_last_ends(terminal: Console) -> None:
    bars, said = Bars(terminal), list[str]()

    def say(line: str) -> None:
        said.append(written(terminal)[-4:])  # how what is drawn ends

    one, two = (Display(2, 100, 1000, bars.over(say), bars, f"seed {seed}  ") for seed in (7, 8))
    with two:
        with one:
            for display in (one, two):
                display.begin_epoch(0, 0.0)
            one.advance(1, 50, 0.5, 0.25, 1.0)
            two.advance(2, 25, 0.125, 0.75, 1.0)
            one.end_epoch(ROW)
        two.end_epoch(ROW)
        assert not written(terminal).endswith(("\x1b[?25h", "\x1b[2K"))  # the other's is still drawn
    assert said == ["\x1b[2K", "\x1b[2K"]  # bars are away while something is said
    drawn = written(terminal)
    for name, iteration in {"seed 7  epoch 1/2": "50/100  loss 0.5000", "seed 8  epoch 2/2": "25/100"}.items():
        assert any(name in line and iteration in line for line in drawn.splitlines())
    assert drawn.endswith("\x1b[2K")
