"""The tables of a run, against means worked by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hemline.errors import DivergenceError
from hemline.evaluation.scores import Score
from hemline.records.run import Row
from hemline.training.checkpoints import State
from hemline.training.history import History
from hemline.training.loop import Chunk

SCORE = Score(loss=0.25, accuracy=0.75)
MEASURES: Row = {"lower_learning_rate": 0.001}
BATCH_SIZES = np.array([4, 4, 2], np.int32)


def new(directory: Path) -> History:
    return History(directory, State(epoch=1, step=0), BATCH_SIZES)


def chunk(epoch: int, first_step: int, losses: list[float], correct: list[int]) -> Chunk:
    return Chunk(epoch, first_step, np.array(losses, np.float32), np.array(correct, np.int32))


def add_epoch(history: History, epoch: int) -> None:
    """Batches of 4, 4 and 2 examples in two chunks."""
    history.add_chunk(chunk(epoch, 0, [1.0, 2.0], [1, 2]))
    history.add_chunk(chunk(epoch, 2, [6.0], [2]))


def iterations(history: History) -> pd.DataFrame:
    return pd.read_parquet(history.directory / "iterations.parquet")


def test_both_running_means(tmp_path: Path) -> None:
    history = new(tmp_path)
    add_epoch(history, 1)
    history.end_epoch(SCORE, MEASURES)
    table = iterations(history)
    # As the chapter's Mean metric: 1/1, 3/2, 9/3. The last batch, half as large, counts as much.
    assert table["running_loss"].tolist() == [1.0, 1.5, 3.0]
    # By example: 4/4, (4 + 8)/8, (4 + 8 + 12)/10.
    assert table["running_loss_weighted"].tolist() == [1.0, 1.5, 2.4]
    assert table["running_accuracy"].tolist() == [1 / 4, 3 / 8, 5 / 10]
    assert table["accuracy"].tolist() == [1 / 4, 2 / 4, 2 / 2]


def test_running_is_the_epoch_so_far(tmp_path: Path) -> None:
    history = new(tmp_path)
    history.add_chunk(chunk(2, 0, [1.0, 2.0], [1, 2]))
    assert history.running() == (2, 2, 1.5, 3 / 8)
    history.add_chunk(chunk(2, 2, [6.0], [2]))
    assert history.running() == (2, 3, 3.0, 0.5)


def test_an_epochs_row(tmp_path: Path) -> None:
    history = new(tmp_path)
    add_epoch(history, 1)
    row = history.end_epoch(SCORE, MEASURES)
    assert row == {
        "epoch": 1,
        "iterations": 3,
        "train_loss": 3.0,
        "train_loss_weighted": 2.4,
        "train_accuracy": 0.5,
        "val_loss": 0.25,
        "val_accuracy": 0.75,
        "lower_learning_rate": 0.001,
    }
    assert history.epochs == [row]


def test_an_epoch_starts_afresh(tmp_path: Path) -> None:
    history = new(tmp_path)
    for epoch in (1, 2):
        add_epoch(history, epoch)
        history.end_epoch(SCORE, MEASURES)
    first, second = (table for _, table in iterations(history).groupby("epoch"))
    assert second["running_loss"].tolist() == first["running_loss"].tolist()
    assert second["iteration"].tolist() == [1, 2, 3]
    assert second["step"].tolist() == [4, 5, 6]


@pytest.fixture
def two_epochs(tmp_path: Path) -> History:
    history = new(tmp_path)
    for epoch in (1, 2):
        add_epoch(history, epoch)
        history.end_epoch(SCORE, MEASURES)
    return history


def test_the_iterations_table_on_disk(two_epochs: History) -> None:
    table = iterations(two_epochs)
    assert [path.name for path in sorted((two_epochs.directory / "iterations.parquet").iterdir())] == [
        "epoch-00001.parquet",
        "epoch-00002.parquet",
    ]
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == {
        "epoch": "int32",
        "iteration": "int32",
        "step": "int64",
        "examples": "int32",
        "loss": "float32",
        "accuracy": "float64",
        "running_loss": "float64",
        "running_loss_weighted": "float64",
        "running_accuracy": "float64",
    }
    assert len(table) == 6


@pytest.mark.parametrize("name", ["epochs.csv", "epochs.parquet"])
def test_the_epochs_table_on_disk(name: str, two_epochs: History) -> None:
    path = two_epochs.directory / name
    table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    assert table.to_dict("records") == two_epochs.epochs
    assert [str(dtype) for dtype in table.dtypes] == ["int64"] * 2 + ["float64"] * 6


def test_an_interrupted_epoch_leaves_the_tables_of_the_earlier_ones(two_epochs: History) -> None:
    before = {path: path.read_bytes() for path in two_epochs.directory.rglob("*.*") if path.is_file()}
    two_epochs.add_chunk(chunk(3, 0, [1.0], [1]))
    assert {path: path.read_bytes() for path in two_epochs.directory.rglob("*.*") if path.is_file()} == before
    assert len(before) == 4


def test_a_history_that_goes_on_writes_the_same_tables(two_epochs: History, tmp_path: Path) -> None:
    """In the midst of an epoch, as from a checkpoint."""
    add_epoch(two_epochs, 3)
    two_epochs.end_epoch(SCORE, MEASURES)
    at_step_1 = State(epoch=3, step=1, epochs=two_epochs.epochs[:2], losses=[1.0], correct=[1])
    later = History(tmp_path / "later", at_step_1, BATCH_SIZES)
    assert later.state(3, 1) == at_step_1
    later.add_chunk(chunk(3, 1, [2.0, 6.0], [2, 2]))
    later.end_epoch(SCORE, MEASURES)
    for name in ("epochs.csv", "epochs.parquet", "iterations.parquet/epoch-00003.parquet"):
        assert (tmp_path / "later" / name).read_bytes() == (tmp_path / name).read_bytes(), name


def epochs_with(directory: Path, losses: list[float]) -> History:
    history = new(directory)
    history.epochs = [{"epoch": epoch, "val_loss": loss} for epoch, loss in enumerate(losses, 1)]
    return history


@pytest.mark.parametrize(
    ("losses", "best", "stops_early"),
    [
        ([3.0], 1, False),
        ([3.0, 2.0, 2.0], 2, False),  # of equal ones the first is the best
        ([3.0, 2.0, 2.5, 2.0], 2, True),
        ([1.0, 2.0, 3.0], 1, True),
        ([1.0, 2.0, 0.5], 3, False),
    ],
)
def test_the_best_epoch_and_when_to_stop(tmp_path: Path, losses: list[float], best: int, stops_early: bool) -> None:
    history = epochs_with(tmp_path, losses)
    assert history.best_epoch() == best
    assert history.stops_early(2) == stops_early
    assert not history.stops_early(None)


def test_without_an_epoch_there_is_nothing_to_stop(tmp_path: Path) -> None:
    assert not new(tmp_path).stops_early(1)


def test_what_led_to_a_divergence_is_kept(two_epochs: History) -> None:
    two_epochs.add_chunk(chunk(3, 0, [1.0], [1]))
    with pytest.raises(DivergenceError), two_epochs.kept_on_divergence():
        raise DivergenceError
    assert iterations(two_epochs)["step"].tolist() == [1, 2, 3, 4, 5, 6, 7]  # the third epoch's first follows the sixth
