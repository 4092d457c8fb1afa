"""A published version is whole, says what it is made of, and works where this project is not installed."""

import hashlib
import json
import os
import re
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

from hemline.data.dataset import hashes, load_split
from hemline.errors import VersionError
from hemline.records.run import ModelVersion, Quality
from hemline.registry import versions
from hemline.registry.signatures import SIGNATURE
from hemline.registry.versions import DIGEST, FILES, MANIFEST, load, next_version, publish, seen, verify
from hemline.storage.files import sha256_of
from hemline.storage.runs import SEEDS
from tests.hemline.conftest import CLASSES, FinishedRun
from tests.hemline.registry.published import RECORD, make_version

ROOT = Path(__file__).parents[3]
SAVED_MODEL = {"saved_model.pb", "fingerprint.pb", "variables", "assets"}  # as TensorFlow writes it


@pytest.fixture(scope="module")
def version(finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    return publish(tmp_path_factory.mktemp("artifacts"), finished.record, finished.trained.directory)


@pytest.fixture
def damaged(version: ModelVersion, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(version.path, tmp_path / version.version))


def test_the_first_version_is_1(version: ModelVersion, finished: FinishedRun) -> None:
    assert version.version == version.path.name == "1"
    assert (version.name, version.path.parts[-3:-1], version.title) == ("tiny", ("models", "tiny"), "tiny 1")
    assert version.run == finished.trained.directory
    assert version.test_accuracy == finished.evaluation.accuracy
    assert version.val_accuracy == finished.trained.epochs[-1]["val_accuracy"]


def test_a_version_holds_what_is_needed_to_judge_it(version: ModelVersion) -> None:
    files = {str(path.relative_to(version.path)) for path in version.path.rglob("*") if path.is_file()}
    expected = {*FILES, *SAVED_MODEL, MANIFEST, DIGEST} - {".", "assets"}  # none of this model
    assert {next((name for name in expected if f"{file}/".startswith(f"{name}/")), file) for file in files} == expected
    assert {"variables/variables.index", "iterations.parquet/epoch-00001.parquet"} <= files
    card = (version.path / "MODEL_CARD.md").read_text()
    assert card.startswith("# Model tiny 1\n")
    for picture in re.findall(r"\]\((.*?)\)", card):
        assert (version.path / picture).exists()
    assert "(charts/mistakes.svg)" in card


def test_what_is_published_about_a_version_names_each_of_its_files() -> None:
    """artifacts/README.md has the table for people; the one that is used is in the code."""
    readme = (ROOT / "artifacts" / "README.md").read_text()
    _, _, section = readme.partition("\n## models/…/\n")
    table = section.partition("\n### ")[0]
    named = re.findall(r"`([^`]+)`", "".join(line.split(" | ")[0] for line in table.splitlines()))
    assert sorted(name.rstrip("/") for name in named) == sorted(
        {*FILES, *SAVED_MODEL, SEEDS, MANIFEST, DIGEST, SIGNATURE} - {"."}
    )


@pytest.mark.parametrize("streaming", [False, True])
def test_a_version_says_which_examples_it_has_seen(streaming: bool, finished: FinishedRun, tmp_path: Path) -> None:
    """Each training and validation example once, read from memory or from disk, and no test example."""
    dataset = finished.dataset.model_copy(update={"streaming": streaming})
    record = finished.record.model_copy(update={"dataset": dataset})
    found = seen(publish(tmp_path, record, finished.trained.directory).path)
    train, test = (load_split(dataset, split)[0] for split in ("train", "test"))
    digests = (hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in train)
    assert found.tolist() == sorted(int.from_bytes(digest, "little") for digest in digests)
    assert not np.isin(hashes(test), found).any()


def test_the_model_card_says_how_to_load_it(version: ModelVersion, finished: FinishedRun) -> None:
    """Each of its snippets, as a stranger would run it: in a fresh process and in the version's directory."""
    card = (version.path / "MODEL_CARD.md").read_text()
    snippets = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(snippets) == 2
    head = "import numpy as np; images = np.zeros((2, 4, 4, 1), np.uint8)\n"
    code = head + "\n".join(snippets) + "print(manifest.version, model(images).shape)"
    assert python("-c", code, cwd=version.path) == "1 (2, 3)"


def test_importing_hemline_is_light() -> None:
    code = "import sys, hemline; print([name for name in ('tensorflow', 'keras', 'pydantic') if name in sys.modules])"
    assert python("-c", code) == "[]"


def test_the_manifest_covers_every_file(version: ModelVersion) -> None:
    manifest = verify(version.path)
    files = {str(path.relative_to(version.path)): path for path in version.path.rglob("*") if path.is_file()}
    del files["manifest.json"], files["manifest.sha256"]
    assert manifest.files == {name: sha256_of(path) for name, path in files.items()}


def test_the_manifest_is_the_record(version: ModelVersion, finished: FinishedRun) -> None:
    written = json.loads((version.path / "manifest.json").read_text())
    assert written.pop("version") == "1"
    written.pop("files")
    assert written == finished.record.model_dump(mode="json")


def test_a_shell_can_check_the_manifest(version: ModelVersion) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "manifest.sha256"], cwd=version.path, check=True)


def test_a_flipped_bit_in_any_file_is_refused_by_its_name(
    damaged: Path, flip_byte: Callable[[Path, int], None]
) -> None:
    manifest = verify(damaged)
    for name in [*manifest.files, "manifest.json", "manifest.sha256"]:
        for position in (0, (damaged / name).stat().st_size // 2, -1):
            flip_byte(damaged / name, position)
            with pytest.raises(VersionError) as caught:
                verify(damaged)
            if name.startswith("manifest."):
                assert "must have a readable manifest.json" in str(caught.value)
            else:
                assert caught.value.problem == f"{name} was changed"
            flip_byte(damaged / name, position)
    assert verify(damaged) == manifest


def test_a_manifest_that_is_changed_and_still_json_is_refused(damaged: Path) -> None:
    manifest = damaged / "manifest.json"
    manifest.write_text(manifest.read_text().replace("retrain-tiny-2-epochs", "retrain-tiny-3-epochs"))
    with pytest.raises(VersionError, match=r"it does not have the SHA-256 in manifest.sha256") as caught:
        load(damaged)
    assert caught.value.problem == "its manifest.json is missing or was changed"


def test_missing_and_further_files_are_named(damaged: Path) -> None:
    (damaged / "parity.csv").unlink()
    (damaged / "variables" / "notes.txt").touch()
    with pytest.raises(VersionError) as caught:
        verify(damaged)
    assert "parity.csv is missing; variables/notes.txt is not in the manifest." in str(caught.value)


def test_a_missing_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VersionError, match=r"must be a directory. Received: .*/9, which is none"):
        verify(tmp_path / "9")


def resealed(version: Path, content: str) -> None:
    """A manifest that is its writer's own, whatever it says."""
    (version / "manifest.json").write_text(content)
    digest = hashlib.sha256(content.encode()).hexdigest()
    (version / "manifest.sha256").write_text(f"{digest}  manifest.json\n")


@pytest.mark.parametrize("digest", [True, False])
@pytest.mark.parametrize("content", [None, "", "{}", "[]", "null", "half"])
def test_a_version_without_a_readable_manifest_is_refused(content: str | None, digest: bool, damaged: Path) -> None:
    manifest = damaged / "manifest.json"
    text = manifest.read_text()
    content = text[: len(text) // 2] if content == "half" else content
    if content is None:
        manifest.unlink()
    elif digest:
        resealed(damaged, content)
    else:
        manifest.write_text(content)
    with pytest.raises(VersionError, match=f"must have a readable manifest.json. Received: {damaged}"):
        verify(damaged)


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../2/model.keras",
        "charts/../../x",
        "charts/../epochs.csv",
        "./epochs.csv",
        "..",
        ".",
        "",
        "a//b",
    ],
)
def test_a_path_that_leaves_the_version_is_refused_by_name(name: str, damaged: Path) -> None:
    manifest = json.loads((damaged / "manifest.json").read_text())
    manifest["files"][name] = "0" * 64
    resealed(damaged, json.dumps(manifest))
    with pytest.raises(VersionError, match=r"must match its manifest") as caught:
        verify(damaged)
    assert caught.value.problem == f"{name} is missing"


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sha256"])
def test_a_manifest_that_lists_itself_is_refused(name: str, damaged: Path) -> None:
    manifest = json.loads((damaged / "manifest.json").read_text())
    manifest["files"][name] = sha256_of(damaged / name)
    resealed(damaged, json.dumps(manifest))
    with pytest.raises(VersionError, match=f"{name} was changed"):
        verify(damaged)


def test_a_symbolic_link_is_refused_by_name(damaged: Path, tmp_path: Path) -> None:
    """Wherever it leads and whatever stands there: to the same bytes, out of the version, nowhere."""
    outside = tmp_path / "outside"
    (damaged / "model.keras").rename(outside)
    for name, target in {
        "model.keras": outside,
        "charts/link": Path("learning_curves.svg"),
        "more": tmp_path,
        "dangling": tmp_path / "nothing",
    }.items():
        (damaged / name).symlink_to(target)
        with pytest.raises(VersionError, match=f"{name} is a symbolic link"):
            verify(damaged)
        with pytest.raises(VersionError, match=f"{name} is a symbolic link"):
            versions.seal(damaged, RECORD, "1")
        (damaged / name).unlink()
    outside.rename(damaged / "model.keras")
    verify(damaged)
    (damaged / "charts").rename(outside)
    (damaged / "charts").symlink_to(outside)
    with pytest.raises(VersionError, match=r"charts is a symbolic link"):
        load(damaged)


def test_a_pipe_is_refused_and_not_waited_for(damaged: Path) -> None:
    os.mkfifo(damaged / "charts" / "pipe")
    with pytest.raises(VersionError, match=r"charts/pipe is neither a file nor a directory"):
        verify(damaged)


def test_a_model_that_keras_cannot_load_is_refused_in_a_sentence(damaged: Path) -> None:
    (damaged / "model.keras").write_bytes(b"of another time")
    versions.seal(damaged, RECORD, "1")
    with pytest.raises(VersionError, match=r"must load. Received: .*/1, but Keras .* does not load it") as caught:
        load(damaged)
    assert "It was made with Keras 3.15.1: install that" in str(caught.value)


def test_everything_is_on_disk_before_a_version_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """fsync of each file and directory, then the rename, then its parent: in this order."""
    done: list[str] = []
    rename = Path.rename

    def noting_fsync(descriptor: int) -> None:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        done.append(re.sub(r"/\.(1)-[a-z0-9_]{8}", r"/\1", path))

    def noting_rename(path: Path, target: Path) -> Path:
        done.append(f"rename {target}")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(Path, "rename", noting_rename)
    make_version(tmp_path)
    models = tmp_path / "models" / "tiny"
    at = done.index(f"rename {models / '1'}")
    everything = {models / "1", *(models / "1").rglob("*")}
    assert set(done[:at]) >= set(map(str, everything))
    assert done[at + 1 :] == [str(models)]


def test_verifying_needs_no_tensorflow(version: ModelVersion) -> None:
    script = "import sys, pathlib; from hemline.registry.versions import verify; verify(pathlib.Path(sys.argv[1])); "
    heavy = "[name for name in ('tensorflow', 'keras', 'pandas', 'scipy', 'matplotlib') if name in sys.modules]"
    assert python("-c", f"{script} print({heavy})", os.fspath(version.path)) == "[]"


@pytest.mark.parametrize(
    ("taken", "following"),
    [([], "1"), (["1", "3"], "4"), (["9", ".10-x", "0011", "README.md"], "10"), (["9", "100", "99"], "101")],
)
def test_numbers_go_up_and_gaps_are_not_filled(taken: list[str], following: str, tmp_path: Path) -> None:
    # A number that was pruned must not come back as another model.
    for name in taken:
        (tmp_path / "models" / "tiny" / name).mkdir(parents=True)
    assert next_version(tmp_path, "tiny") == following
    assert next_version(tmp_path, "other") == "1"


def test_two_publishers_get_different_numbers(
    finished: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one publishes while this one is at work: the number is taken when it is done."""
    finish = versions.seal

    def other_publisher_first(directory: Path, record: versions.Record, version: str) -> versions.Manifest:
        monkeypatch.setattr(versions, "seal", finish)
        another = finished.record.flow_run.model_copy(update={"id": "0c1d"})
        theirs = finished.record.model_copy(update={"flow_run": another})
        others.append(publish(tmp_path, theirs, finished.trained.directory))
        return finish(directory, record, version)

    others: list[ModelVersion] = []
    monkeypatch.setattr(versions, "seal", other_publisher_first)
    mine = publish(tmp_path, finished.record, finished.trained.directory)
    assert (others[0].version, mine.version) == ("1", "2")
    for version in (others[0], mine):
        assert verify(version.path).version == version.version
    assert sorted(path.name for path in mine.path.parent.iterdir()) == ["1", "2"]


def test_publishing_that_fails_leaves_no_version(
    finished: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(versions, "seal", fail)
    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path, finished.record, finished.trained.directory)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["models", "models/tiny"]


def test_a_loaded_version_is_the_trained_model(version: ModelVersion, finished: FinishedRun) -> None:
    model, manifest = load(version.path)
    images, _ = load_split(finished.dataset, "test")
    original = keras.saving.load_model(finished.trained.model_path)
    np.testing.assert_array_equal(model(images), original(images))
    assert manifest.evaluation == finished.evaluation
    assert manifest.class_names == CLASSES


def python(*argv: str, cwd: Path | None = None) -> str:
    """What another Python process prints last."""
    environment = os.environ | {"PYTHONPATH": os.fspath(ROOT)}
    done = subprocess.run(
        [sys.executable, *argv], capture_output=True, text=True, check=False, cwd=cwd, env=environment
    )
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
from hemline.registry.versions import load
from hemline.data.dataset import hashes, load_split
from hemline.evaluation.scores import compile_predict, evaluate
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
        served = both.submit(python, "-I", "-c", SERVE, os.fspath(version.path), os.fspath(tmp_path / "images"))
        evaluated = both.submit(python, "-c", EVALUATE, os.fspath(version.path))

    assert Quality.model_validate_json(evaluated.result()) == Quality(**dict(finished.evaluation))

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
