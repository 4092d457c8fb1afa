"""A published version is whole, says what it is made of, and works where this project is not installed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from hemline import bundle
from hemline.bundle import load, next_version, publish, verify
from hemline.dataset import load_split
from hemline.errors import BundleError
from hemline.files import sha256_of
from hemline.record import ModelVersion

from .conftest import CLASSES, FinishedRun


@pytest.fixture(scope="module")
def version(finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    return publish(tmp_path_factory.mktemp("models"), finished.record, finished.trained.directory)


@pytest.fixture
def damaged(version: ModelVersion, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(version.path, tmp_path / version.version))


def test_the_first_version_is_0001(version: ModelVersion, finished: FinishedRun) -> None:
    assert version.version == version.path.name == "0001"
    assert version.run == finished.trained.directory
    assert version.test_accuracy == finished.evaluation.accuracy
    assert version.val_accuracy == finished.trained.epochs[-1]["val_accuracy"]


def test_a_version_holds_what_is_needed_to_judge_it(version: ModelVersion) -> None:
    names = {str(path.relative_to(version.path)) for path in version.path.rglob("*") if path.is_file()}
    assert names >= {
        "MODEL_CARD.md",
        "charts/learning_curves.svg",
        "charts/parity.svg",
        "confusion.csv",
        "epochs.csv",
        "epochs.parquet",
        "evaluation.json",
        "iterations.parquet/epoch-00001.parquet",
        "manifest.json",
        "model.keras",
        "parity.csv",
        "saved_model/saved_model.pb",
    }
    card = (version.path / "MODEL_CARD.md").read_text()
    assert card.startswith("# Model 0001\n")
    assert "(charts/learning_curves.svg)" in card
    assert "(charts/parity.svg)" in card


def test_the_manifest_covers_every_file(version: ModelVersion) -> None:
    manifest = verify(version.path)
    files = {str(path.relative_to(version.path)): path for path in version.path.rglob("*") if path.is_file()}
    del files["manifest.json"]
    assert manifest.files == {name: sha256_of(path) for name, path in files.items()}


def test_the_manifest_is_the_record(version: ModelVersion, finished: FinishedRun) -> None:
    written = json.loads((version.path / "manifest.json").read_text())
    assert written.pop("version") == "0001"
    written.pop("files")
    assert written == finished.record.model_dump(mode="json")


@pytest.mark.parametrize("name", ["model.keras", "epochs.csv", "saved_model/saved_model.pb"])
def test_a_changed_file_is_named(name: str, damaged: Path, flip_byte: Callable[[Path, int], None]) -> None:
    flip_byte(damaged / name, -1)
    with pytest.raises(BundleError, match=f"every file .* must match its manifest.*: {name} was changed. Do not use"):
        load(damaged)


def test_missing_and_further_files_are_named(damaged: Path) -> None:
    (damaged / "parity.csv").unlink()
    (damaged / "saved_model" / "notes.txt").touch()
    with pytest.raises(BundleError) as caught:
        verify(damaged)
    assert "parity.csv is missing; saved_model/notes.txt is not in the manifest." in str(caught.value)


@pytest.mark.parametrize("content", [None, "", "{}"])
def test_a_version_without_a_readable_manifest_is_refused(content: str | None, damaged: Path) -> None:
    (damaged / "manifest.json").unlink()
    if content is not None:
        (damaged / "manifest.json").write_text(content)
    with pytest.raises(BundleError, match=f"must have a readable manifest.json. Received: {damaged}"):
        verify(damaged)


@pytest.mark.parametrize(
    ("taken", "following"),
    [([], "0001"), (["0001", "0003"], "0004"), (["0009", ".0010-x", "README.md"], "0010"), (["9999"], "10000")],
)
def test_numbers_go_up_and_gaps_are_not_filled(taken: list[str], following: str, tmp_path: Path) -> None:
    # A number that was pruned must not come back as another model.
    for name in taken:
        (tmp_path / name).mkdir()
    assert next_version(tmp_path) == following


def test_two_publishers_get_different_numbers(
    finished: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one publishes while this one is at work: the number is taken when it is done."""
    finish = bundle.seal

    def other_publisher_first(directory: Path, record: bundle.Record, version: str) -> bundle.Manifest:
        monkeypatch.setattr(bundle, "seal", finish)
        others.append(publish(tmp_path, finished.record, finished.trained.directory))
        return finish(directory, record, version)

    others: list[ModelVersion] = []
    monkeypatch.setattr(bundle, "seal", other_publisher_first)
    mine = publish(tmp_path, finished.record, finished.trained.directory)
    assert (others[0].version, mine.version) == ("0001", "0002")
    for version in (others[0], mine):
        assert verify(version.path).version == version.version
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0001", "0002"]


def test_publishing_that_fails_leaves_no_version(
    finished: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bundle, "seal", fail)
    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path, finished.record, finished.trained.directory)
    assert list(tmp_path.iterdir()) == []


def test_a_loaded_version_is_the_trained_model(version: ModelVersion, finished: FinishedRun) -> None:
    model, manifest = load(version.path)
    images, _ = load_split(finished.dataset, "test")
    original = keras.saving.load_model(finished.trained.model_path)
    np.testing.assert_array_equal(model(images), original(images))
    assert manifest.evaluation == finished.evaluation


def python(*argv: str) -> str:
    """What another Python process prints."""
    done = subprocess.run([sys.executable, *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


SERVE = """
import json, sys
import tensorflow as tf
images = tf.io.decode_raw(tf.io.read_file(sys.argv[2]), tf.uint8)
outputs = tf.saved_model.load(sys.argv[1]).signatures["serving_default"](image=tf.reshape(images, [-1, 4, 4, 1]))
foreign = [name for name in sys.modules if name.partition(".")[0] in ("hemline", "prefect")]
answer = {name: [value.dtype.name, value.numpy().astype("U" if name == "name" else value.numpy().dtype).tolist()]
          for name, value in outputs.items()}
print(json.dumps([foreign, answer]))
"""

EVALUATE = """
import sys
from pathlib import Path
from hemline.bundle import load
from hemline.dataset import load_split
from hemline.evaluation import compile_predict, evaluate
model, manifest = load(Path(sys.argv[1]))
images, labels = load_split(manifest.dataset, "test")
print(evaluate(compile_predict(model), images, labels, manifest.dataset.class_names)[0].model_dump_json())
"""


def test_other_processes_get_the_same_from_both_models(
    version: ModelVersion, finished: FinishedRun, tmp_path: Path
) -> None:
    """The SavedModel is served by TensorFlow alone; model.keras repeats its recorded evaluation to the bit."""
    images, _ = load_split(finished.dataset, "test")
    (tmp_path / "images").write_bytes(images.tobytes())
    with ThreadPoolExecutor() as both:  # each spends seconds in importing TensorFlow
        served = both.submit(
            python, "-I", "-c", SERVE, os.fspath(version.path / "saved_model"), os.fspath(tmp_path / "images")
        )
        evaluated = both.submit(python, "-c", EVALUATE, os.fspath(version.path))

    assert json.loads(evaluated.result()) == finished.evaluation.model_dump(mode="json")

    foreign, answer = json.loads(served.result())
    assert foreign == []
    assert {name: dtype for name, (dtype, _) in answer.items()} == {
        "label": "int64",
        "name": "string",
        "probabilities": "float32",
    }
    expected = tf.nn.softmax(load(version.path)[0](images)).numpy()
    labels = expected.argmax(axis=1).tolist()
    assert answer["label"][1] == labels
    assert answer["name"][1] == [CLASSES[label] for label in labels]
    # 1e-6: a probability's rounding, since the graph may fuse what eager mode computes apart.
    np.testing.assert_allclose(answer["probabilities"][1], expected, atol=1e-6)
