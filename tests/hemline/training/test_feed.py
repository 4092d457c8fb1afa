"""Images from memory and from disk: the same examples in the same order, so the same bits."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from hemline.config.optimizers import OptimizerGroup
from hemline.data.dataset import DatasetRef, for_run, load_split, load_training
from hemline.evaluation.scores import compile_predict
from hemline.models.mlp import build_mlp
from hemline.training import loop as training
from hemline.training import run
from hemline.training.feed import Feed
from hemline.training.groups import partition
from hemline.training.loop import Trainer
from tests.hemline.conftest import CPU, FinishedRun

ORDER = np.array([[[3, 0], [5, 1]], [[2, 4], [6, -1]]], np.int32)  # 2 chunks of 2 steps of 2


def on_disk(images: np.ndarray, directory: Path) -> np.memmap:
    images.tofile(directory / "images")
    return np.memmap(directory / "images", np.uint8, "r", shape=images.shape)


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("shape", [(4, 4, 1), (3, 3, 1)], ids=["words", "bytes"])
def test_a_step_gets_the_examples_of_its_indices(shape: tuple[int, int, int], mapped: bool, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(256, size=(7, *shape), dtype=np.uint8)
    labels = np.arange(10, 17)
    feed = Feed(on_disk(images, tmp_path) if mapped else images, labels)
    for (rows, classes, indices), expected in zip(feed(ORDER), ORDER, strict=True):
        for got, wanted in zip(indices, expected, strict=True):
            x, y, weight = feed.batch(rows, classes, got)
            there = wanted >= 0
            np.testing.assert_array_equal(weight, there)
            np.testing.assert_array_equal(x[there], images[wanted[there]])
            np.testing.assert_array_equal(y[there], labels[wanted[there]])


def test_streamed_training_has_the_same_bits(tiny: DatasetRef, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(training, "CHUNK", 4)
    groups = {"all": OptimizerGroup(layers=["*"], optimizer="adam", learning_rate=1e-3)}
    trained = []
    for mapped in (False, True):
        (images, labels), _ = load_training(for_run(tiny, mapped), 60)
        assert isinstance(images, np.memmap) == mapped
        model = build_mlp((4, 4, 1), classes=3, seed=1)
        trainer = Trainer(model, partition(model, groups), images, labels, batch_size=32, seed=7)
        chunks = [*trainer.epoch(1), *trainer.epoch(2, first_step=3, stop_every=5)]
        trained.append(b"".join(c.losses.tobytes() for c in chunks) + b"".join(v.numpy() for v in model.variables))
    assert trained[0] == trained[1]


def test_a_run_goes_on_with_its_images_on_disk(finished: FinishedRun, tmp_path: Path) -> None:
    directory = shutil.copytree(finished.trained.directory, tmp_path / "run")
    shutil.rmtree(max((directory / "checkpoints").glob("epoch-*")))  # as if killed after its first epoch
    run.train(finished.record.config, for_run(finished.dataset, streaming=True), CPU, directory, lambda line: None)
    for table in ("epochs.csv", "iterations.parquet/epoch-00002.parquet"):
        assert (directory / table).read_bytes() == (finished.trained.directory / table).read_bytes(), table


def test_a_split_in_pieces_has_the_same_logits(tiny: DatasetRef, monkeypatch: pytest.MonkeyPatch) -> None:
    images, _ = load_split(for_run(tiny, streaming=True), "train")
    predict = compile_predict(build_mlp((4, 4, 1), classes=3, seed=1))
    whole = predict(images)
    monkeypatch.setattr("hemline.evaluation.scores.BATCH", 128)  # 300 = 128 + 128 + 44
    np.testing.assert_allclose(predict(images), whole, rtol=1e-5, atol=1e-6)
