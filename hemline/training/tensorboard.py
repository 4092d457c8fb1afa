"""A run's tables for TensorBoard, which reads what is in the run's directory: tensorboard --logdir artifacts/runs

    write_events(directory, epoch=3)            # directory/tensorboard/00003.tfevents, of the tables in the directory

`iteration/running_loss` has a value for each step of the run, `epoch/<column>` one for each epoch. There is a file for
each epoch, as of the table of iterations: it appears whole, and if the epoch is trained again after a crash, anew.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import tensorflow as tf

from hemline.storage.files import whole_file

DIRECTORY = "tensorboard"


def write_events(directory: Path, epoch: int) -> None:
    """Writes the events of one epoch, whose rows are on disk."""
    # An event file is a TFRecord of these messages. `tf.summary` wants TensorBoard installed, and a name with the time
    # and the process in it.
    now, message = time.time(), tf.compat.v1.Event
    with whole_file(directory / DIRECTORY / f"{epoch:05d}.tfevents") as path, tf.io.TFRecordWriter(str(path)) as file:
        file.write(message(wall_time=now, file_version="brain.Event:2").SerializeToString())
        for tag, step, value in _points(directory, epoch):
            summary = tf.compat.v1.Summary(value=[tf.compat.v1.Summary.Value(tag=tag, simple_value=value)])
            file.write(message(wall_time=now, step=step, summary=summary).SerializeToString())


def _points(directory: Path, epoch: int) -> Iterator[tuple[str, int, float]]:
    """Tag, step and value."""
    iterations = pd.read_parquet(directory / "iterations.parquet" / f"epoch-{epoch:05d}.parquet")
    for step, loss in zip(iterations["step"].tolist(), iterations["running_loss"].tolist(), strict=True):
        yield "iteration/running_loss", step, loss
    row = pd.read_parquet(directory / "epochs.parquet").set_index("epoch").loc[epoch].dropna()
    for name, value in row.to_dict().items():
        yield f"epoch/{name}", epoch, value
