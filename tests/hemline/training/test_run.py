"""One run from arrays to a saved model: what it leaves, says and refuses."""

import json

import keras
import pandas as pd
import pytest

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import load_training
from hemline.errors import ConfigurationError
from hemline.evaluation.scores import Score, compile_predict
from hemline.runtime.devices import select
from hemline.training.run import check_model
from tests.hemline.conftest import CLASSES, FinishedRun


def test_files_of_a_run(finished: FinishedRun) -> None:
    directory = finished.trained.directory
    assert {path.name for path in directory.iterdir() if path.is_file()} == {
        "confusion.csv",
        "epochs.csv",
        "epochs.parquet",
        "evaluation.json",
        "mistakes.svg",
        "model.keras",
        "parity.csv",  # the fixture's
        "serving.json",
        "timing.csv",
    }


def test_the_last_row_is_what_the_saved_model_gives(finished: FinishedRun) -> None:
    # The validation split's own, not a mean of batches, and of the weights that were saved.
    _, (images, labels) = load_training(finished.dataset, finished.record.config.validation)
    score = Score.of(compile_predict(keras.saving.load_model(finished.trained.model_path))(images), labels)
    last = finished.trained.epochs[-1]
    assert (last["val_loss"], last["val_accuracy"]) == (score.loss, score.accuracy)


def test_tables_have_every_epoch_and_every_iteration(finished: FinishedRun) -> None:
    directory = finished.trained.directory
    assert pd.read_csv(directory / "epochs.csv").to_dict("records") == finished.trained.epochs
    iterations = pd.read_parquet(directory / "iterations.parquet")
    assert iterations["step"].tolist() == list(range(1, 17))  # 240 examples, 8 batches an epoch
    assert iterations.groupby("epoch")["examples"].sum().tolist() == [240, 240]
    timing = pd.read_csv(directory / "timing.csv")
    assert timing["epoch"].tolist() == [1, 1, 1, 2, 2, 2]
    assert timing["phase"].tolist() == 2 * ["steps", "validation", "saving"]
    assert (timing["seconds"] > 0).all()


def test_the_evaluation_on_disk(finished: FinishedRun) -> None:
    directory = finished.trained.directory
    written = [json.loads((directory / name).read_text()) for name in ("evaluation.json", "serving.json")]
    assert written[0] | written[1] == finished.evaluation.model_dump(mode="json")
    assert written[1].keys() == {"latency", "size_bytes"}
    confusion = pd.read_csv(directory / "confusion.csv", index_col="true")
    assert list(confusion.index) == list(confusion.columns) == CLASSES
    assert confusion.to_numpy().sum() == finished.evaluation.examples == 70
    assert confusion.to_numpy().trace() == round(70 * finished.evaluation.accuracy)


def test_the_evaluation_is_of_what_is_published(finished: FinishedRun) -> None:
    directory, evaluation = finished.trained.directory, finished.evaluation
    files = [directory / "model.keras", *(directory / "saved_model").rglob("*")]
    assert evaluation.size_bytes == sum(path.stat().st_size for path in files if path.is_file())
    assert evaluation.latency is not None
    assert 0 < evaluation.latency.single_ms < 1000
    assert len(evaluation.mistakes) == min(16, round(70 * (1 - evaluation.accuracy)))
    assert (directory / "mistakes.svg").read_text().count("<image ") == len(evaluation.mistakes)


def test_the_chapters_words_are_said_for_every_epoch(finished: FinishedRun) -> None:
    epochs = [line for line in finished.said if "val_accuracy" in line]
    assert [line.split()[1] for line in epochs] == ["1/2", "2/2"]


def test_groups_are_checked_without_data() -> None:
    check_model(RetrainConfig(), select("cpu"), (28, 28, 1), classes=10)
    with pytest.raises(ConfigurationError, match="logits/kernel is in no group"):
        check_model(RetrainConfig.model_validate({"groups": {"upper": None}}), select("cpu"), (28, 28, 1), classes=10)
