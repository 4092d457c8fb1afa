"""What training leaves in tables: a row for each iteration, a row for each epoch.

    history = History(run_dir, State(epoch=1, step=0), trainer.batch_sizes)
    history.add_chunk(chunk)                        # keeps every step's exact values
    history.end_epoch(score, timing)                # writes the epoch's rows
    history.running()                               # what a progress display shows

`iterations.parquet` is a directory with a file for each epoch, which pandas reads as one table: a long run
writes each row once and keeps none in memory.

Two means of the training loss are kept. `running_loss` weights every batch alike, as the chapter's
`Mean` metric does and displays; `running_loss_weighted` weights every example alike. They differ by the
last, smaller batch of an epoch. Accuracy is weighted by example in both worlds.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from hemline.errors import DivergenceError
from hemline.evaluation.scores import Score
from hemline.records.run import Row
from hemline.storage.files import whole_file
from hemline.training.checkpoints import State
from hemline.training.loop import Chunk


class Running(NamedTuple):
    """Means over an epoch's iterations so far."""

    epoch: int
    iteration: int
    loss: float
    accuracy: float


class History:
    """The tables of one run. The disk has whole epochs only, in files that never change again.

    first: where the run starts or goes on. batch_sizes: (steps,), of an epoch.
    """

    def __init__(self, directory: Path, first: State, batch_sizes: np.ndarray):
        self.directory = directory
        self.epochs, self.timing = list(first.epochs), list(first.timing)
        self._chunks: list[Chunk] = []
        if first.step:
            losses, correct = np.array(first.losses, np.float32), np.array(first.correct, np.int32)
            self.add_chunk(Chunk(first.epoch, 0, losses, correct, batch_sizes[: first.step]))

    def add_chunk(self, chunk: Chunk) -> None:
        """Takes the values of some more steps of the current epoch."""
        self._chunks.append(chunk)

    def state(self, epoch: int, step: int) -> State:
        """What a checkpoint before this step must hold of the tables."""
        return State(
            epoch=epoch,
            step=step,
            epochs=self.epochs,
            timing=self.timing,
            losses=[loss for chunk in self._chunks for loss in chunk.losses.tolist()],
            correct=[correct for chunk in self._chunks for correct in chunk.correct.tolist()],
        )

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
            if self._chunks:
                self._write_iterations()
            raise

    def running(self) -> Running:
        """Where the current epoch stands."""
        losses, correct, examples = self._columns()
        return Running(
            epoch=self._chunks[-1].epoch,
            iteration=len(losses),
            loss=float(losses.mean(dtype=np.float64)),
            accuracy=float(correct.sum() / examples.sum()),
        )

    def end_epoch(self, validation: Score, timing: Row) -> Row:
        """Closes the current epoch, writes the tables and returns the epoch's row."""
        last = self._write_iterations().iloc[-1]
        row: Row = {
            "epoch": int(last["epoch"]),
            "iterations": int(last["iteration"]),
            "train_loss": float(last["running_loss"]),
            "train_loss_weighted": float(last["running_loss_weighted"]),
            "train_accuracy": float(last["running_accuracy"]),
            "val_loss": validation.loss,
            "val_accuracy": validation.accuracy,
        }
        self.epochs.append(row)
        self.timing.append({"epoch": row["epoch"]} | timing)
        self._chunks.clear()
        epochs = pd.DataFrame(self.epochs)
        with whole_file(self.directory / "epochs.parquet") as path:
            epochs.to_parquet(path, index=False)
        with whole_file(self.directory / "epochs.csv") as path:
            epochs.to_csv(path, index=False)
        with whole_file(self.directory / "timing.csv") as path:
            pd.DataFrame(self.timing).to_csv(path, index=False)
        return row

    def _write_iterations(self) -> pd.DataFrame:
        """The current epoch's iterations so far, as a table that is also on disk."""
        table = self._iteration_table()
        part = self.directory / "iterations.parquet" / f"epoch-{self._chunks[-1].epoch:05d}.parquet"
        with whole_file(part) as path:
            table.to_parquet(path, index=False)
        return table

    def _columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        chunks = self._chunks
        return (
            np.concatenate([chunk.losses for chunk in chunks]),
            np.concatenate([chunk.correct for chunk in chunks]),
            np.concatenate([chunk.examples for chunk in chunks]),
        )

    def _iteration_table(self) -> pd.DataFrame:
        losses, correct, examples = self._columns()
        iteration = np.arange(1, len(losses) + 1)
        seen = examples.cumsum()
        epoch = self._chunks[-1].epoch
        return pd.DataFrame(
            {
                "epoch": np.int32(epoch),
                "iteration": iteration.astype(np.int32),
                "step": (epoch - 1) * len(losses) + iteration,
                "examples": examples,
                "loss": losses,
                "accuracy": correct / examples,
                "running_loss": losses.cumsum(dtype=np.float64) / iteration,
                "running_loss_weighted": (losses * examples).cumsum(dtype=np.float64) / seen,
                "running_accuracy": correct.cumsum() / seen,
            }
        )
