"""Checkpoints: what they hold, which are refused, which are passed over. Killed runs are in tests/system."""

import json
import logging
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef, load_training, write_split
from hemline.errors import CheckpointError, DivergenceError
from hemline.evaluation.scores import Score, compile_predict
from hemline.models import build
from hemline.records.run import TrainedRun
from hemline.runtime import code
from hemline.runtime.devices import DeviceInfo
from hemline.storage.runs import lease
from hemline.training import run
from hemline.training.checkpoints import Checkpoints, State
from hemline.training.groups import partition
from tests.hemline.conftest import CLASSES, CPU, SHAPE, pictures, write_dataset

SETTINGS: dict[str, Any] = {"epochs": 3, "batch_size": 60, "validation": 60, "checkpoint_steps": 2}


def train(dataset: DatasetRef, directory: Path, device: DeviceInfo = CPU, **changes: Any) -> tuple[TrainedRun, str]:
    """The run and what it said."""
    said: list[str] = []
    config = RetrainConfig(**SETTINGS | changes)
    return run.train(config, dataset, device, directory, said.append), "\n".join(said)


class GoesOn(BaseException):
    """What a run says when it does."""


def go_on(line: str) -> None:
    if line.startswith("resumed"):
        raise GoesOn(line)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "checkpoints").iterdir())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DatasetRef:
    return write_dataset(tmp_path_factory.mktemp("data"), {"train": 300, "test": 70})


@pytest.fixture(scope="module")
def whole(data: DatasetRef, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """Three epochs in one go; its files must be left as they are."""
    return train(data, tmp_path_factory.mktemp("whole"))[0]


@pytest.fixture
def finished_copy(whole: TrainedRun, tmp_path: Path) -> Path:
    return shutil.copytree(whole.directory, tmp_path / "finished")


@pytest.fixture(scope="module")
def interrupted_once(data: DatasetRef, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def stop(line: str) -> None:
        if line.startswith("epoch 2/3  iteration 4/4"):
            raise KeyboardInterrupt

    directory = tmp_path_factory.mktemp("interrupted")
    config = RetrainConfig(**SETTINGS, log_lines=3)
    with pytest.raises(KeyboardInterrupt):
        run.train(config, data, CPU, directory, stop)
    return directory


@pytest.fixture
def interrupted(interrupted_once: Path, tmp_path: Path) -> Path:
    """Stopped in the second epoch of three, after the checkpoint at its step 2."""
    return shutil.copytree(interrupted_once, tmp_path / "interrupted")


def test_a_run_goes_on_from_the_newest_and_says_so(data: DatasetRef, interrupted: Path, whole: TrainedRun) -> None:
    assert names(interrupted)[-1] == "epoch-00002-step-000002"
    resumed, said = train(data, interrupted)
    assert "resumed at epoch 2, iteration 3" in said
    assert resumed.epochs == whole.epochs
    for name in ("epochs.csv", "iterations.parquet/epoch-00002.parquet", "iterations.parquet/epoch-00003.parquet"):
        assert (interrupted / name).read_bytes() == (whole.directory / name).read_bytes(), name


def test_a_finished_run_has_nothing_left_to_train(data: DatasetRef, whole: TrainedRun, finished_copy: Path) -> None:
    again, said = train(data, finished_copy)
    assert again.epochs == whole.epochs
    assert "epoch 3/3" not in said


def three_saved(directory: Path, keep: int = 3) -> tuple[Checkpoints, list[keras.Variable]]:
    """Checkpoints of epochs 1 to 3, before each of which every weight was set to the epoch's number."""
    model = build("mlp", SHAPE, len(CLASSES), seed=0)
    groups = partition(model, RetrainConfig().groups.by_name(), steps_per_epoch=4, epochs=3)
    checkpoints = Checkpoints(directory / "checkpoints", model, groups, {"config": {}}, {}, keep)
    for epoch in (1, 2, 3):
        for variable in model.variables:
            variable.assign(np.full(variable.shape, epoch))
        checkpoints.save(State(epoch=epoch, step=0))
    return checkpoints, model.variables


def test_the_newest_are_kept(tmp_path: Path) -> None:
    three_saved(tmp_path, keep=2)
    assert names(tmp_path) == ["epoch-00002-step-000000", "epoch-00003-step-000000"]


@pytest.mark.parametrize("file", ["state.index", "state.data-00000-of-00001", "record.json", "SHA256SUMS"])
def test_a_corrupt_newest_is_passed_over_loudly(
    file: str, tmp_path: Path, flip_byte: Callable[[Path, int], None], caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints, variables = three_saved(tmp_path)
    flip_byte(tmp_path / "checkpoints" / "epoch-00003-step-000000" / file, 0)
    with caplog.at_level(logging.WARNING):
        assert checkpoints.restore() == State(epoch=2, step=0)
    assert "epoch-00003-step-000000 is passed over" in caplog.text
    assert "corrupt-epoch-00003-step-000000" in names(tmp_path)
    assert {float(value) for variable in variables for value in variable.numpy().ravel()} == {2.0}


def test_a_record_that_is_no_text_is_passed_over(tmp_path: Path) -> None:
    checkpoints, _ = three_saved(tmp_path)
    (tmp_path / "checkpoints" / "epoch-00003-step-000000" / "record.json").write_bytes(b"\xff")
    assert checkpoints.restore() == State(epoch=2, step=0)


def flipped_bits(directory: Path, rng: random.Random, number: int) -> Iterator[tuple[Path, int]]:
    """Some bits of every file of a directory, each flipped while it is yielded, with their file."""
    for file in sorted(directory.iterdir()):
        content = file.read_bytes()
        for bit in rng.sample(range(8 * len(content)), min(number, 8 * len(content))):
            changed = bytearray(content)
            changed[bit // 8] ^= 1 << bit % 8
            file.write_bytes(changed)
            yield file, bit
        file.write_bytes(content)


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """Regression: one in record.json, which had no checksum, made a published accuracy of 0.852 one of 0.952."""
    checkpoints, _ = three_saved(tmp_path)
    newest = tmp_path / "checkpoints" / "epoch-00003-step-000000"
    for file, bit in flipped_bits(newest, random.Random(0), 40):
        assert checkpoints.restore() == State(epoch=2, step=0), (file.name, bit)
        newest.with_name(f"corrupt-{newest.name}").rename(newest)
    assert checkpoints.restore() == State(epoch=3, step=0)


@pytest.mark.parametrize("name", ["record.json", "SHA256SUMS", "state.index"])
def test_a_checkpoint_without_one_of_its_files_is_passed_over(name: str, tmp_path: Path) -> None:
    checkpoints, _ = three_saved(tmp_path)
    (tmp_path / "checkpoints" / "epoch-00003-step-000000" / name).unlink()
    assert checkpoints.restore() == State(epoch=2, step=0)


def test_every_flipped_bit_of_the_best_weights_is_refused_and_named(tmp_path: Path) -> None:
    """Regression: they had no checksum, and what was published was whatever the disk gave back."""
    checkpoints, variables = three_saved(tmp_path)
    checkpoints.save_best(2)
    best = tmp_path / "checkpoints" / "best-00002"
    for file, bit in flipped_bits(best, random.Random(0), 150):
        with pytest.raises(CheckpointError, match=rf"Received: {best} .*Remove {best.parent} and go on with the run"):
            checkpoints.restore_best(2)
        assert file.parent == best, bit
    variables[0].assign(np.zeros(variables[0].shape))
    checkpoints.restore_best(2)
    assert float(variables[0].numpy().max()) == 3.0


def test_a_run_that_starts_from_scratch_takes_no_best_weights_of_before(tmp_path: Path) -> None:
    checkpoints, _ = three_saved(tmp_path)
    checkpoints.save_best(2)
    for path in (tmp_path / "checkpoints").glob("epoch-*"):
        shutil.rmtree(path)
    assert checkpoints.restore() is None
    assert names(tmp_path) == []


def test_without_its_checkpoints_a_run_with_corrupt_best_weights_ends_with_the_same_bits(
    data: DatasetRef, tmp_path: Path, flip_byte: Callable[[Path, int], None]
) -> None:
    """The remedy that the refusal gives."""
    lower = {"optimizer": "sgd", "learning_rate": 3.0}  # overshoots, so that the best epoch is not the last
    changes: dict[str, Any] = {"early_stopping": 2, "epochs": 60, "groups": {"lower": lower}}
    trained, said = train(data, tmp_path, **changes)
    assert "restored the weights" in said
    before = keras.saving.load_model(trained.model_path).get_weights()
    (best,) = (tmp_path / "checkpoints").glob("best-*")
    flip_byte(best / "weights.index", 9)
    with pytest.raises(CheckpointError, match="must be as they were written"):
        train(data, tmp_path, **changes)
    shutil.rmtree(tmp_path / "checkpoints")
    again = keras.saving.load_model(train(data, tmp_path, **changes)[0].model_path).get_weights()
    for one, other in zip(before, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("models/mlp.py", '"relu"', '"tanh"'),  # Regression: the run went on without a word
        ("models/layer_norm.py", "centred * scale,", "centred / scale,"),
        ("training/step.py", "example_loss * weight", "example_loss"),
        ("training/schedules.py", "(step + 1)", "(step + 2)"),
    ],
)
def test_other_code_is_refused_with_the_commit_to_go_back_to(
    path: str, old: str, new: str, data: DatasetRef, interrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code is compared by its text, so it need not run here."""
    before = names(interrupted)
    record = json.loads((interrupted / "checkpoints" / before[-1] / "record.json").read_text())
    commit = record["git_commit"] or "unknown"
    copy_of_the_code(tmp_path, path, old, new, monkeypatch)
    with pytest.raises(CheckpointError, match=f"the code that computed it.*of commit {commit};.*Check out that commit"):
        train(data, interrupted)
    assert names(interrupted) == before


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("report/card.py", "def model_card(", "def other(): ...\n\n\ndef model_card("),
        ("gate/rules.py", "def decide(", "def other(): ...\n\n\ndef decide("),
        ("models/__init__.py", "MODELS = {", 'MODELS = {\n    "other": None,'),
        ("config/optimizers.py", "OPTIMIZERS = {", 'OPTIMIZERS = {\n    "other": None,'),
        ("errors.py", "class DeviceError", "class OtherError(Exception): ...\n\n\nclass DeviceError"),
        ("training/loop.py", "# Tensors: each Python number", "# Each Python number"),
        ("training/step.py", '"""The training step', '"""The step of training'),
    ],
)
def test_code_that_decides_no_bit_may_change(
    path: str, old: str, new: str, data: DatasetRef, interrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_of_the_code(tmp_path, path, old, new, monkeypatch)
    config = RetrainConfig(**SETTINGS)
    with pytest.raises(GoesOn, match="resumed at epoch 2"):  # which is enough: it has not to train
        run.train(config, data, CPU, interrupted, go_on)


def copy_of_the_code(directory: Path, path: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of Hemline with one text replaced, which is taken for the code that runs."""
    copy = shutil.copytree(code.SOURCE / "hemline", directory / "source" / "hemline")
    text = (copy / path).read_text()
    assert old in text
    (copy / path).write_text(text.replace(old, new, 1))
    monkeypatch.setattr(code, "SOURCE", directory / "source")


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"epochs": 4}, "config.epochs was 3 and is 4"),
        ({"groups": {"upper": {"learning_rate": 0.2}}}, "config.groups.upper.learning_rate was 0.1 and is 0.2"),
    ],
)
def test_another_configuration_is_refused_with_the_difference(
    change: dict[str, Any], difference: str, data: DatasetRef, interrupted: Path
) -> None:
    before = names(interrupted)
    with pytest.raises(CheckpointError, match=difference):
        train(data, interrupted, **change)
    assert names(interrupted) == before


def test_other_data_is_refused(data: DatasetRef, interrupted: Path) -> None:
    other = data.model_copy(update={"class_names": ["other", *data.class_names[1:]]})
    with pytest.raises(CheckpointError, match="fingerprint was"):
        train(other, interrupted)


def test_where_and_how_often_files_are_kept_may_change(data: DatasetRef, finished_copy: Path) -> None:
    _, said = train(data, finished_copy, checkpoint_steps=None, keep_checkpoints=1)
    assert "resumed at epoch 4" in said


def test_other_settings_are_worth_a_warning(
    data: DatasetRef, finished_copy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    device = CPU.model_copy(update={"settings": CPU.settings | {"onednn": "0"}})
    with caplog.at_level(logging.WARNING):
        _, said = train(data, finished_copy, device=device)
    assert "onednn was - and is 0" in caplog.text
    assert "resumed at epoch 4" in said


def test_a_worker_alone_with_its_checkpoints_keeps_them(
    data: DatasetRef, interrupted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker has none: its directory is new, or another's."""
    monkeypatch.setattr("hemline.training.checkpoints.smallest", lambda position: 0)
    before = names(interrupted)
    with pytest.raises(CheckpointError, match="all workers must have a checkpoint in common"):
        train(data, interrupted)
    assert names(interrupted) == before


def test_divergence_keeps_the_tables_and_the_last_good_checkpoint(tmp_path: Path) -> None:
    images, labels = pictures(100, np.random.default_rng(0))
    labels[17] = 99  # a label beyond the classes has no probability: XLA makes its loss NaN
    splits = {name: write_split(tmp_path, name, [(images, labels)]) for name in ("train", "test")}
    broken = DatasetRef(full_name="broken/1.0.0", path=tmp_path, image_shape=SHAPE, class_names=CLASSES, splits=splits)
    with pytest.raises(DivergenceError, match=r"epoch 1, iteration \d+ of 90"):
        train(broken, tmp_path, epochs=1, batch_size=1, validation=10, checkpoint_steps=1)
    newest = names(tmp_path)[-1]
    record = json.loads((tmp_path / "checkpoints" / newest / "record.json").read_text())
    iterations = pd.read_parquet(tmp_path / "iterations.parquet")
    assert np.isfinite(iterations["loss"]).all()
    assert len(iterations) == record["state"]["step"] > 0


def test_early_stopping_restores_the_best_weights(data: DatasetRef, tmp_path: Path) -> None:
    # A rate that overshoots now and then, so that the lowest validation loss is not the last.
    lower = {"optimizer": "sgd", "learning_rate": 3.0}
    trained, said = train(data, tmp_path, epochs=60, early_stopping=2, groups={"lower": lower})
    losses = [row["val_loss"] for row in trained.epochs]
    best = int(np.argmin(losses)) + 1
    assert len(losses) == best + 2 < 60
    assert f"restored the weights of epoch {best}, the best" in said
    assert [name for name in names(tmp_path) if name.startswith("best")] == [f"best-{best:05d}"]

    _, (images, labels) = load_training(data, 60)
    model = keras.saving.load_model(trained.model_path)
    assert Score.of(compile_predict(model)(images), labels).loss == losses[best - 1]


def test_only_one_process_writes_a_run(tmp_path: Path) -> None:
    with lease(tmp_path), pytest.raises(CheckpointError, match="only one process"), lease(tmp_path):
        pass
    with lease(tmp_path):
        pass
