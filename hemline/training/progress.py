"""What a person sees while a model trains.

    bars = Bars()
    with Display(total_epochs=5, iterations=430, say=log.info, bars=bars) as display:
        display.advance(*history.running())     # after every chunk
        display.end_epoch(row)                  # after every epoch

On a terminal a bar moves within the epoch and a line stays after it; anywhere else (a file, a worker,
the Prefect UI's log) plain lines do, four an epoch. Models that train at once have a bar each.
"""

import threading
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from hemline.records.run import Row

LINES_PER_EPOCH = 4
Say = Callable[[str], None]  # receives each line that stays, e.g. a logger's `info`


class Bars:
    """The one place that knows whether there is a terminal. console: where the bars go."""

    def __init__(self, console: Console | None = None):
        console = console or Console(stderr=True)
        self.drawn = console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("iteration {task.completed}/{task.total}  {task.fields[means]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,  # a bar's last state is said as a line
            disable=not self.drawn,
        )
        self._lock = threading.RLock()

    def add(self, iterations: int) -> TaskID:
        """A new bar."""
        with self._lock:
            bar = self._progress.add_task("", total=iterations, means="")
            self._progress.start()
        return bar

    def move(self, bar: TaskID, name: str, iteration: int, means: str) -> None:
        """Shows where a training is."""
        self._progress.update(bar, description=name, completed=iteration, means=means)

    def remove(self, bar: TaskID) -> None:
        """Ends a bar; with the last one, drawing ends."""
        with self._lock:
            if len(self._progress.tasks) == 1:
                self._progress.stop()
            self._progress.remove_task(bar)

    def over(self, say: Say) -> Say:
        """The same, but no bar is drawn over what is said."""

        def said(line: str) -> None:
            with self._lock:
                self._progress.stop()
                say(line)
                if self._progress.tasks:
                    self._progress.start()

        return said


class Display:
    """What is seen of one model's training. say: a line that stays, of `bars.over`. title: what its bar begins with."""

    def __init__(self, total_epochs: int, iterations: int, say: Say, bars: Bars, title: str = ""):
        self._total_epochs, self._iterations, self._say, self._bars = total_epochs, iterations, say, bars
        self._title = title
        self._lines_said = 0

    def __enter__(self) -> "Display":
        self._bar = self._bars.add(self._iterations)
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.remove(self._bar)

    def advance(self, epoch: int, iteration: int, loss: float, accuracy: float) -> None:
        """Shows the means over the epoch's iterations so far."""
        name, means = f"epoch {epoch}/{self._total_epochs}", f"loss {loss:.4f}  accuracy {accuracy:.4f}"
        self._bars.move(self._bar, self._title + name, iteration, means)
        due = iteration * LINES_PER_EPOCH // self._iterations
        if not self._bars.drawn and due > self._lines_said:
            self._say(f"{name}  iteration {iteration}/{self._iterations}  {means}")
        self._lines_said = due

    def end_epoch(self, row: Row) -> None:
        """Says the epoch's result, in the words of the chapter."""
        values = (f"{name} {row[name]:.4f}" for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"))
        self._say("  ".join([f"epoch {row['epoch']}/{self._total_epochs}", *values]))
        self._lines_said = 0
