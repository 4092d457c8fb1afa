"""What training leaves in tables: a row for each iteration, a row for each epoch.

    history = History(run_dir, State(epoch=1, step=0), trainer.batch_sizes)
    history.add_chunk(chunk)                        # keeps every step's exact values
    history.end_epoch(score, measures.after(1))     # writes the epoch's rows

`iterations.parquet` is a directory with a file for each epoch, which pandas reads as one table: a long run
writes each row once and keeps none in memory.

`running_loss` weights every batch alike, as the chapter's `Mean` metric does and displays; `running_loss_weighted`
weights every example alike. They differ by the last, smaller batch of an epoch. Accuracy weights every example alike.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from hemline.errors import DivergenceError
from hemline.evaluation.scores import Score
from hemline.records.run import Row
from hemline.storage.files import whole_file
from hemline.training.checkpoints import State
from hemline.training.loop import Chunk


class History:
    """The tables of one run. The disk has whole epochs only, in files that never change again.

    first: where the run starts or goes on. batch_sizes: (steps,), of an epoch.
    """

    def __init__(self, directory: Path, first: State, batch_sizes: np.ndarray):
        self.directory, self.batch_sizes = directory, batch_sizes
        self.epochs = list(first.epochs)
        # Of the current epoch, a value for each of its steps so far.
        self._epoch, self._losses = first.epoch, np.array(first.losses, np.float32)
        self._correct = np.array(first.correct, np.int32)

    def add_chunk(self, chunk: Chunk) -> None:
        """Takes the values of some more steps of the current epoch."""
        self._epoch = chunk.epoch
        self._losses = np.concatenate([self._losses, chunk.losses])
        self._correct = np.concatenate([self._correct, chunk.correct])

    def state(self, epoch: int, step: int) -> State:
        """What a checkpoint before this step must hold of the tables."""
        current = {"losses": self._losses.tolist(), "correct": self._correct.tolist()}
        return State(epoch=epoch, step=step, epochs=self.epochs, **current)

    def best_epoch(self) -> int:
        """The first epoch with the lowest validation loss."""
        return int(min(self.epochs, key=lambda row: row["val_loss"])["epoch"])

    def stops_early(self, patience: int | None) -> bool:
        """Whether `patience` epochs have gone by without a lower validation loss."""
        finished = len(self.epochs)
        return patience is not None and finished > patience and finished - self.best_epoch() >= patience

    @contextmanager
    def kept_on_divergence(self) -> Iterator[None]:
        """When training diverges inside, writes the iterations that led there: a person wants to see them."""
        try:
            yield
        except DivergenceError:
            if len(self._losses):
                self._write_iterations()
            raise

    def running(self) -> tuple[int, int, float, float]:
        """The current epoch, its iterations so far, and their mean loss and accuracy."""
        steps = len(self._losses)
        accuracy = self._correct.sum() / self.batch_sizes[:steps].sum()
        return self._epoch, steps, float(self._losses.mean(dtype=np.float64)), float(accuracy)

    def end_epoch(self, validation: Score, measures: Row) -> Row:
        """Closes the current epoch, writes the tables and returns the epoch's row. measures: further columns."""
        last = self._write_iterations().iloc[-1]
        row: Row = {
            "epoch": int(last["epoch"]),
            "iterations": int(last["iteration"]),
            "train_loss": float(last["running_loss"]),
            "train_loss_weighted": float(last["running_loss_weighted"]),
            "train_accuracy": float(last["running_accuracy"]),
            "val_loss": validation.loss,
            "val_accuracy": validation.accuracy,
            **measures,
        }
        self.epochs.append(row)
        self._losses, self._correct = self._losses[:0], self._correct[:0]
        table = pd.DataFrame(self.epochs)
        for name in ("epochs.parquet", "epochs.csv"):
            _write(table, self.directory / name)
        return row

    def _write_iterations(self) -> pd.DataFrame:
        """The current epoch's iterations so far, as a table that is also on disk."""
        losses, correct, epoch = self._losses, self._correct, self._epoch
        examples = self.batch_sizes[: len(losses)]
        iteration, seen = np.arange(1, len(losses) + 1), examples.cumsum()
        table = pd.DataFrame(
            {
                "epoch": np.int32(epoch),
                "iteration": iteration.astype(np.int32),
                "step": (epoch - 1) * len(self.batch_sizes) + iteration,
                "examples": examples,
                "loss": losses,
                "accuracy": correct / examples,
                "running_loss": losses.cumsum(dtype=np.float64) / iteration,
                "running_loss_weighted": (losses * examples).cumsum(dtype=np.float64) / seen,
                "running_accuracy": correct.cumsum() / seen,
            }
        )
        _write(table, self.directory / "iterations.parquet" / f"epoch-{epoch:05d}.parquet")
        return table


def _write(table: pd.DataFrame, path: Path) -> None:
    write = table.to_csv if path.suffix == ".csv" else table.to_parquet
    with whole_file(path) as temporary:
        write(temporary, index=False)
