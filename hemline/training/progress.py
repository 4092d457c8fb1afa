"""What a person sees while a model trains.

    display = Display(total_epochs=5, iterations=430, say=log.info)
    with display:
        display.advance(history.running())      # after every chunk
        display.end_epoch(row)                  # after every epoch

On a terminal a bar moves within the epoch and a line stays after it; anywhere else (a file, a worker,
the Prefect UI's log) plain lines do, four an epoch.
"""

import sys
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from hemline.records.run import Row
from hemline.training.history import Running

LINES_PER_EPOCH = 4


class Display:
    """The one place that knows whether there is a terminal.

    say: receives each line that stays, e.g. a logger's `info`. console: where the bar goes.
    """

    def __init__(self, total_epochs: int, iterations: int, say: Callable[[str], None], console: Console | None = None):
        self._total_epochs, self._iterations, self._say = total_epochs, iterations, say
        console = console or Console(file=sys.stderr)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("iteration {task.completed}/{task.total}  {task.fields[means]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,  # its last state is said as a line
            disable=not console.is_terminal,
        )
        self._bar = self._progress.add_task("", total=iterations, means="")
        self._lines_said = 0

    def __enter__(self) -> "Display":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def advance(self, running: Running) -> None:
        """Shows the means over the epoch's iterations so far."""
        epoch = f"epoch {running.epoch}/{self._total_epochs}"
        means = f"loss {running.loss:.4f}  accuracy {running.accuracy:.4f}"
        self._progress.update(self._bar, description=epoch, completed=running.iteration, means=means)
        due = running.iteration * LINES_PER_EPOCH // self._iterations
        if self._progress.disable and due > self._lines_said:
            self._say(f"{epoch}  iteration {running.iteration}/{self._iterations}  {means}")
        self._lines_said = due

    def end_epoch(self, row: Row) -> None:
        """Says the epoch's result, in the words of the chapter."""
        self._progress.stop()  # so that the line is not drawn over
        shown = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
        values = "  ".join(f"{name} {row[name]:.4f}" for name in shown)
        self._say(f"epoch {row['epoch']}/{self._total_epochs}  {values}")
        self._lines_said = 0
        if row["epoch"] < self._total_epochs:
            self._progress.start()
