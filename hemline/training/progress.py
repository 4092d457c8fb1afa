"""What a person sees while a model trains.

    with Display(total_epochs=5, iterations=430, say=log.info) as display:
        display.advance(*history.running())     # after every chunk
        display.end_epoch(row)                  # after every epoch

On a terminal a bar moves within the epoch and a line stays after it; anywhere else (a file, a worker,
the Prefect UI's log) plain lines do, four an epoch.
"""

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from hemline.records.run import Row

LINES_PER_EPOCH = 4
Say = Callable[[str], None]  # receives each line that stays, e.g. a logger's `info`


class Display:
    """The one place that knows whether there is a terminal. console: where the bar goes."""

    def __init__(self, total_epochs: int, iterations: int, say: Say, console: Console | None = None):
        self._total_epochs, self._iterations, self._say = total_epochs, iterations, say
        console = console or Console(stderr=True)
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

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def advance(self, epoch: int, iteration: int, loss: float, accuracy: float) -> None:
        """Shows the means over the epoch's iterations so far."""
        name, means = f"epoch {epoch}/{self._total_epochs}", f"loss {loss:.4f}  accuracy {accuracy:.4f}"
        self._progress.update(self._bar, description=name, completed=iteration, means=means)
        due = iteration * LINES_PER_EPOCH // self._iterations
        if self._progress.disable and due > self._lines_said:
            self._say(f"{name}  iteration {iteration}/{self._iterations}  {means}")
        self._lines_said = due

    def end_epoch(self, row: Row) -> None:
        """Says the epoch's result, in the words of the chapter."""
        self._progress.stop()  # so that the line is not drawn over
        values = (f"{name} {row[name]:.4f}" for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"))
        self._say("  ".join([f"epoch {row['epoch']}/{self._total_epochs}", *values]))
        self._lines_said = 0
        if row["epoch"] < self._total_epochs:
            self._progress.start()
