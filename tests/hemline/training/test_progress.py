"""Plain lines where there is no terminal, a bar where there is one."""

import io

import pytest
from rich.console import Console

from hemline.training.progress import LINES_PER_EPOCH, Bars, Display

ROW: dict[str, int | float] = {
    "epoch": 1,
    "iterations": 100,
    "train_loss": 0.5,
    "train_loss_weighted": 0.6,
    "train_accuracy": 0.25,
    "val_loss": 0.75,
    "val_accuracy": 0.125,
}
EPOCH_LINE = "epoch 1/2  train_loss 0.5000  train_accuracy 0.2500  val_loss 0.7500  val_accuracy 0.1250"


def show(console: Console, iterations: int, ends_of_chunks: list[int], epochs: int = 1) -> list[str]:
    said: list[str] = []
    bars = Bars(console)
    with Display(2, iterations, bars.over(said.append), bars) as display:
        for epoch in range(1, epochs + 1):
            for iteration in ends_of_chunks:
                display.advance(epoch, iteration, loss=1 / iteration, accuracy=0.5)
            display.end_epoch(ROW | {"epoch": epoch})
    return said


@pytest.fixture
def plain() -> Console:
    return Console(file=io.StringIO())


@pytest.fixture
def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=120)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_lines_worked_by_hand(plain: Console) -> None:
    assert show(plain, 8, list(range(1, 9))) == [
        "epoch 1/2  iteration 2/8  loss 0.5000  accuracy 0.5000",
        "epoch 1/2  iteration 4/8  loss 0.2500  accuracy 0.5000",
        "epoch 1/2  iteration 6/8  loss 0.1667  accuracy 0.5000",
        "epoch 1/2  iteration 8/8  loss 0.1250  accuracy 0.5000",
        EPOCH_LINE,
    ]


@pytest.mark.parametrize("iterations", [5, 430, 469])
@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_never_more_than_the_promised_lines_and_always_the_last(iterations: int, chunk: int, plain: Console) -> None:
    ends = [min(start + chunk, iterations) for start in range(0, iterations, chunk)]
    *lines, last = show(plain, iterations, ends)
    assert len(lines) == min(LINES_PER_EPOCH, len(ends))
    assert lines[-1].startswith(f"epoch 1/2  iteration {iterations}/{iterations}  loss ")
    assert last == EPOCH_LINE


def test_every_epoch_has_its_lines(plain: Console) -> None:
    said = show(plain, 100, [25, 50, 75, 100], epochs=2)
    assert [line.split()[1] for line in said] == ["1/2"] * (LINES_PER_EPOCH + 1) + ["2/2"] * (LINES_PER_EPOCH + 1)


def test_without_a_terminal_nothing_is_drawn(plain: Console) -> None:
    show(plain, 100, [50, 100])
    assert written(plain).strip() == ""


def test_a_terminal_has_a_bar_and_one_line_an_epoch(terminal: Console) -> None:
    assert show(terminal, 100, [50, 100], epochs=2) == [EPOCH_LINE, EPOCH_LINE.replace("1/2", "2/2")]
    drawn = written(terminal)
    assert "epoch 1/2" in drawn
    assert "epoch 2/2" in drawn
    assert "iteration 100/100  loss 0.0100  accuracy 0.5000" in drawn
    assert "━" in drawn


def test_the_bar_ends_with_the_block_even_by_an_exception(terminal: Console) -> None:
    display = Display(2, 100, lambda line: None, Bars(terminal))
    with pytest.raises(KeyboardInterrupt), display:
        raise KeyboardInterrupt
    assert written(terminal).endswith(("\x1b[?25h", "\x1b[2K"))  # the cursor is back


def test_models_that_train_at_once_have_a_bar_each_until_the_last_ends(terminal: Console) -> None:
    bars, said = Bars(terminal), list[str]()

    def say(line: str) -> None:
        said.append(written(terminal)[-4:])  # how what is drawn ends

    one, two = (Display(2, 100, bars.over(say), bars, f"seed {seed}  ") for seed in (7, 8))
    with two:
        with one:
            one.advance(1, 50, 0.5, 0.25)
            two.advance(2, 25, 0.125, 0.75)
            one.end_epoch(ROW)
        two.end_epoch(ROW)
        assert not written(terminal).endswith(("\x1b[?25h", "\x1b[2K"))  # the other's is still drawn
    assert said == ["\x1b[2K", "\x1b[2K"]  # bars are away while something is said
    drawn = written(terminal)
    for name, iteration in {"seed 7  epoch 1/2": "50/100  loss 0.5000", "seed 8  epoch 2/2": "25/100"}.items():
        assert any(name in line and iteration in line for line in drawn.splitlines())
    assert drawn.endswith("\x1b[2K")
