"""What training leaves in tables: a row for each iteration, a row for each epoch.

    history = History(run_dir)
    history.add_chunk(chunk)                        # keeps every step's exact values
    history.end_epoch(validation=score)             # writes iterations.parquet, epochs.csv, epochs.parquet
    history.running()                               # what a progress display shows

Two means of the training loss are kept. `running_loss` weights every batch alike, as the chapter's
`Mean` metric does and displays; `running_loss_weighted` weights every example alike. They differ by the
last, smaller batch of an epoch. Accuracy is weighted by example in both worlds.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from hemline.evaluation import Score
from hemline.files import whole_file
from hemline.record import Row, Rows
from hemline.training import Chunk


class Running(NamedTuple):
    """Means over an epoch's iterations so far."""

    epoch: int
    iteration: int
    loss: float
    accuracy: float


@dataclass
class History:
    """The tables of one run, in memory and on disk. The disk has whole epochs only."""

    directory: Path
    iterations: list[pd.DataFrame] = field(default_factory=list)  # one for each finished epoch
    epochs: Rows = field(default_factory=list)
    _chunks: list[Chunk] = field(default_factory=list)

    def add_chunk(self, chunk: Chunk) -> None:
        """Takes the values of some more steps of the current epoch."""
        self._chunks.append(chunk)

    def running(self) -> Running:
        """Where the current epoch stands."""
        losses, correct, examples = self._columns()
        return Running(
            epoch=self._chunks[-1].epoch,
            iteration=len(losses),
            loss=float(losses.mean(dtype=np.float64)),
            accuracy=float(correct.sum() / examples.sum()),
        )

    def end_epoch(self, validation: Score) -> Row:
        """Closes the current epoch, writes the tables and returns the epoch's row."""
        table = self._iteration_table()
        last = table.iloc[-1]
        row = {
            "epoch": int(last["epoch"]),
            "iterations": len(table),
            "train_loss": float(last["running_loss"]),
            "train_loss_weighted": float(last["running_loss_weighted"]),
            "train_accuracy": float(last["running_accuracy"]),
            "val_loss": validation.loss,
            "val_accuracy": validation.accuracy,
        }
        self.iterations.append(table)
        self.epochs.append(row)
        self._chunks.clear()
        self._write()
        return row

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

    def _write(self) -> None:
        epochs = pd.DataFrame(self.epochs)
        with whole_file(self.directory / "iterations.parquet") as path:
            pd.concat(self.iterations, ignore_index=True).to_parquet(path, index=False)
        with whole_file(self.directory / "epochs.parquet") as path:
            epochs.to_parquet(path, index=False)
        with whole_file(self.directory / "epochs.csv") as path:
            epochs.to_csv(path, index=False)
