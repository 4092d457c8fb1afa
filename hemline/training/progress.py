"""What a person sees while a model trains.

    bars = Bars()
    with Display(total_epochs=5, iterations=430, images=55_000, say=log.info, bars=bars) as display:
        display.begin_epoch(iteration=0, now=perf_counter())
        display.advance(*history.running(), now=perf_counter())     # after every chunk
        display.end_epoch(row)                                      # after every epoch

On a terminal a line lives within the epoch, with a bar; everywhere a line stays after each epoch, and `log_lines` more
within it. Models that train at once have a bar each. Times are seconds of any one clock.
"""

import threading
from collections.abc import Callable, Sequence

from rich.console import Console, RenderableType
from rich.progress import Progress, ProgressColumn, Task, TaskID
from rich.text import Text

from hemline.records.run import Row

Say = Callable[[str], None]  # receives each line that stays, e.g. a logger's `info`
BAR, GAP = 40, 2  # columns: of a bar, at most; between what is said
SHORTEST_BAR = 4  # a shorter one shows nothing


class Bars:
    """The one place that knows whether there is a terminal. console: where the bars go."""

    def __init__(self, console: Console | None = None):
        console = console or Console(stderr=True)
        self._progress = Progress(
            _Line(console),
            console=console,
            transient=True,  # a bar's last state is said as a line
            disable=not console.is_terminal,
        )
        self._lock = threading.RLock()

    def add(self, iterations: int) -> TaskID:
        """A new bar."""
        with self._lock:
            bar = self._progress.add_task("", total=iterations, parts=())
            self._progress.start()
        return bar

    def move(self, bar: TaskID, name: str, iteration: int, parts: Sequence[str]) -> None:
        """Shows where a training is. parts: what stands after the bar, the least important last."""
        self._progress.update(bar, description=name, completed=iteration, parts=parts)

    def remove(self, bar: TaskID) -> None:
        """Ends a bar; with the last one, drawing ends."""
        with self._lock:
            if len(self._progress.tasks) == 1:
                self._progress.stop()
            self._progress.remove_task(bar)

    def drawn(self) -> RenderableType:
        """What is on the terminal now."""
        return self._progress.get_renderable()

    def over(self, say: Say) -> Say:
        """The same, but no bar is drawn over what is said."""

        def said(line: str) -> None:
            with self._lock:
                self._progress.stop()
                say(line)
                if self._progress.tasks:
                    self._progress.start()

        return said


class _Line(ProgressColumn):
    """A training's line: as many of its parts as there is room for, and the bar in what they leave."""

    def __init__(self, console: Console):
        super().__init__()
        self._console = console

    def render(self, task: Task) -> Text:
        """The line, which is never folded."""
        parts, room = list(task.fields["parts"]), self._console.width
        while parts and _length([task.description, *parts]) > room:
            del parts[-1]
        bar = min(room - _length([task.description, *parts]) - GAP, BAR)
        line = Text(task.description, no_wrap=True, overflow="crop")
        if bar >= SHORTEST_BAR:
            done = int(task.completed / (task.total or 1) * bar)
            line.append(" " * GAP).append("━" * done, "bar.finished").append("─" * (bar - done), "bar.back")
        return line.append("".join(" " * GAP + part for part in parts))


def _length(parts: Sequence[str]) -> int:
    return sum(map(len, parts)) + GAP * (len(parts) - 1)


class Display:
    """What is seen of one model's training.

    iterations, images: of an epoch. say: a line that stays, of `bars.over`. title: what its bar begins with.
    log_lines: that stay within an epoch, besides the one at its end.
    """

    def __init__(
        self,
        total_epochs: int,
        iterations: int,
        images: int,
        say: Say,
        bars: Bars,
        title: str = "",
        log_lines: int = 0,
    ):
        self._total_epochs, self._iterations, self._images = total_epochs, iterations, images
        self._say, self._bars, self._title, self._lines = say, bars, title, log_lines
        self._began: float | None = None  # the training
        self._done = 0  # iterations since then, up to this epoch

    def __enter__(self) -> "Display":
        self._bar = self._bars.add(self._iterations)
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.remove(self._bar)

    def begin_epoch(self, iteration: int, now: float) -> None:
        """From here on the epoch's images are timed. iteration: how many of it were done before."""
        self._first, self._epoch_began, self._rate = iteration, now, 0.0
        self._began = now if self._began is None else self._began
        self._said = self._due(iteration)

    def advance(self, epoch: int, iteration: int, loss: float, accuracy: float, now: float) -> None:
        """Shows the means over the epoch's iterations so far."""
        done = iteration - self._first
        self._rate = done / self._iterations * self._images / (now - self._epoch_began)
        name, means = f"epoch {epoch}/{self._total_epochs}", [f"loss {loss:.4f}", f"accuracy {accuracy:.4f}"]
        speed, position = f"{self._rate:,.0f} images/s", f"{iteration}/{self._iterations}"
        left = self._left(epoch, iteration, self._done + done, now)
        self._bars.move(self._bar, self._title + name, iteration, [position, *means, speed, left])
        if (due := self._due(iteration)) > self._said:
            self._say("  ".join([name, f"iteration {position}", *means, speed]))
            self._said = due

    def end_epoch(self, row: Row) -> None:
        """Says the epoch's result, in the words of the chapter."""
        values = (f"{name} {row[name]:.4f}" for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"))
        self._say("  ".join([f"epoch {row['epoch']}/{self._total_epochs}", *values, f"{self._rate:,.0f} images/s"]))
        self._done += self._iterations - self._first

    def _due(self, iteration: int) -> int:
        """How many lines should have been said by now: at even distances, none at the end, which has its own."""
        return min(iteration * (self._lines + 1) // self._iterations, self._lines)

    def _left(self, epoch: int, iteration: int, done: int, now: float) -> str:
        """The time until the last epoch ends, if it goes on as it has since it began; validation is in it."""
        assert self._began is not None
        remaining = (self._total_epochs - epoch + 1) * self._iterations - iteration
        minutes, seconds = divmod(round((now - self._began) / done * remaining), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
