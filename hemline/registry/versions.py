"""A model version: a directory that holds a model and everything needed to judge and trust it.

    version = publish(artifacts, record, run_directory)     # artifacts/models/fashion_mnist/8
    manifest = verify(version.path)         # VersionError names the file that is not as written
    model, manifest = load(version.path)    # the same, then loads: manifest.class_names[model(x).argmax()]

A version appears whole or not at all, under the next free number of its model's name: 1, 2, ... 10, with the SavedModel
directly in it, where model servers look for it (docs/serve.md). Its manifest has the SHA-256 of every other file,
and manifest.sha256 has the manifest's; manifest.sig is its signature, if there is a key. Verifying needs no TensorFlow.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hemline.data.dataset import hashes, load_split
from hemline.errors import VersionError
from hemline.records.run import ModelVersion, Record
from hemline.registry.exchange import DIGEST, MANIFEST, Published, claim, claimed, fetch, pull, push
from hemline.registry.ledger import Ledger
from hemline.registry.signatures import SIGNATURE, problem_of, signature_of
from hemline.runtime.native_log import noise_in
from hemline.runtime.quick_import import import_tensorflow
from hemline.storage.files import Taken, sha256_of, whole_directory, whole_file, write_json
from hemline.storage.runs import MODELS, REGISTRY, SEEDS

if TYPE_CHECKING:
    import keras
    import numpy as np

SEEN = "seen.u8"  # which examples it was trained on or chosen by


class Manifest(Record):
    """The record, and the SHA-256 of every file beside the manifest."""

    version: str
    files: dict[str, str]

    @property
    def title(self) -> str:
        """Name and number: 'fashion_mnist 8'."""
        return f"{self.config.name} {self.version}"

    @property
    def class_names(self) -> list[str]:
        """What the model's outputs mean, in their order."""
        return self.dataset.class_names


def numbered(directory: Path) -> list[str]:
    """What a model server takes for versions, in their order: directories named by a number without zeros in front."""
    try:
        with os.scandir(directory) as entries:
            return sorted((entry.name for entry in entries if is_number(entry.name) and entry.is_dir()), key=int)
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_number(name: str) -> bool:
    """Whether a version may be called so."""
    return re.fullmatch("[1-9][0-9]{0,17}", name) is not None


def next_version(artifacts: Path, name: str) -> str:
    """The number after the highest one there is, or that the ledger names: a pruned number does not come back."""
    if (taken := claimed(artifacts, name)) is None:
        taken = numbered(artifacts / MODELS / name)
        taken += [entry.version for entry in Ledger(artifacts / REGISTRY / name).read().entries]
    return str(max(map(int, taken), default=0) + 1)


# Every file and directory of a version but its manifest, and what of the run it is a copy of; None: made for it.
FILES: dict[str, str | None] = {
    ".": "saved_model",  # the content of a directory: saved_model.pb, variables/ and so on
    "model.keras": "model.keras",
    "iterations.parquet": "iterations.parquet",  # a directory
    "epochs.csv": "epochs.csv",
    "epochs.parquet": "epochs.parquet",
    "parity.csv": "parity.csv",
    "evaluation.json": "evaluation.json",
    "serving.json": "serving.json",
    "confusion.csv": "confusion.csv",
    SEEN: None,
    "charts/learning_curves.svg": None,
    "charts/mistakes.svg": "mistakes.svg",
    "charts/parity.svg": None,
    "MODEL_CARD.md": None,
}
PICTURES = {Path(name).stem: name for name in FILES if name.startswith("charts/")}  # as the report calls them


def publish(artifacts: Path, record: Record, run: Path) -> ModelVersion:
    """Makes the next version of the name in the record's configuration, from a finished run's directory.

    Safe beside other publishers. Of a flow run that was cut off and goes on elsewhere the first to be done counts.
    """
    import numpy as np
    import pandas as pd

    from hemline.report.card import model_card
    from hemline.report.curves import learning_curves
    from hemline.report.parity import parity_map

    name, (images, _) = record.config.name, load_split(record.dataset, "train")
    while True:
        version = next_version(artifacts, name)
        with suppress(Taken), _new(artifacts, name, version) as directory:
            (directory / "charts").mkdir()
            for file, origin in FILES.items():
                if origin is None:
                    continue
                if (run / origin).is_dir():
                    shutil.copytree(run / origin, directory / file, dirs_exist_ok=True)
                else:
                    shutil.copyfile(run / origin, directory / file)
            for model in sorted((run / SEEDS).glob("*/model.keras")):
                (directory / SEEDS).mkdir(exist_ok=True)
                shutil.copyfile(model, directory / SEEDS / f"{model.parent.name}.keras")
            np.sort(hashes(images)).tofile(directory / SEEN)
            (directory / PICTURES["learning_curves"]).write_text(learning_curves(pd.DataFrame(record.epochs)))
            (directory / PICTURES["parity"]).write_text(parity_map(pd.read_csv(directory / "parity.csv")))
            (directory / "MODEL_CARD.md").write_text(model_card(record, f"Model {name} {version}", PICTURES))
            manifest = seal(directory, record, version)
            push(directory, artifacts, name, version, record.flow_run.id)
            return _version(manifest, artifacts, run)
        if earlier := published_by(artifacts, name, run, record.flow_run.id):
            return earlier


@contextmanager
def _new(artifacts: Path, name: str, version: str) -> Iterator[Path]:
    claim(artifacts, name, version)
    with suppress(Published), whole_directory(artifacts / MODELS / name / version) as directory:
        yield directory


def published_by(artifacts: Path, name: str, run: Path, flow_run_id: str) -> ModelVersion | None:
    """The version that the same flow run made before it was killed, if it is whole."""
    for path in _mentioning(artifacts, name, flow_run_id):
        with suppress(VersionError):
            if _manifest(path).flow_run.id == flow_run_id:
                return _version(verify(path), artifacts, run)
    return None


def made_from(artifacts: Path, name: str, identity: str) -> Iterator[Manifest]:
    """The whole versions that the same data, configuration, code and surroundings made, newest first.

    Each is verified when it is asked for: many nights of `force` make many.
    """
    for path in _mentioning(artifacts, name, identity):
        with suppress(VersionError):
            if _manifest(path).identity == identity:
                yield verify(path)


def _mentioning(artifacts: Path, name: str, digits: str) -> Iterator[Path]:
    """Versions with these digits in their manifest, newest first: the others need not be verified, nor parsed."""
    pull(artifacts, name)
    models = artifacts / MODELS / name
    for version in reversed(numbered(models)):
        with suppress(OSError):
            if digits.encode() in (models / version / MANIFEST).read_bytes():
                yield models / version


def _version(manifest: Manifest, artifacts: Path, run: Path) -> ModelVersion:
    name = manifest.config.name
    return ModelVersion(
        name=name,
        version=manifest.version,
        path=artifacts / MODELS / name / manifest.version,
        run=run,
        dataset=manifest.dataset,
        device=manifest.device,
        val_accuracy=manifest.epochs[-1]["val_accuracy"],
        test_accuracy=manifest.evaluation.accuracy,
    )


def seal(directory: Path, record: Record, version: str) -> Manifest:
    """Writes the manifest of a directory whose other files are all there."""
    others = sorted(_files(directory) - {MANIFEST, DIGEST, SIGNATURE})
    files = {name: sha256_of(directory / name) for name in others}
    manifest = Manifest(**dict(record), version=version, files=files)
    write_json(directory / MANIFEST, manifest.model_dump(mode="json"))
    with whole_file(directory / DIGEST) as path:
        path.write_text(f"{sha256_of(directory / MANIFEST)}  {MANIFEST}\n")
    if signature := signature_of((directory / MANIFEST).read_bytes()):
        with whole_file(directory / SIGNATURE) as path:
            path.write_bytes(signature)
    return manifest


def verify(path: Path) -> Manifest:
    """The manifest, if it and every file are as they were written and there is no other file."""
    if not path.is_dir():
        rule = f"a model version must be a directory. Received: {path}, which is none. Name another."
        raise VersionError(rule, problem="it is missing")
    if not (path / MANIFEST).exists():  # any directory: its files are not worth listing
        _manifest(path)
    found = _files(path)  # before anything is read: a link may lead anywhere
    manifest = _manifest(path)
    expected = set(manifest.files) | {MANIFEST, DIGEST}
    if expected - found and fetch(path, expected - found):
        found = _files(path)
    problems = [f"{name} is missing" for name in sorted(expected - found)]
    problems += [f"{name} is not in the manifest" for name in sorted(found - expected - {SIGNATURE})]
    # A path that leads outside, or is spelled otherwise, is not among those found: it is missing, and never read.
    here = {name: digest for name, digest in manifest.files.items() if name in found}
    problems += [f"{name} was changed" for name, digest in here.items() if sha256_of(path / name) != digest]
    _refuse(path, problems)
    return manifest


def load(path: Path) -> "tuple[keras.Model, Manifest]":
    """The verified model, loaded in safe mode, and its manifest."""
    manifest = verify(path)
    import_tensorflow()
    import keras

    from hemline.models import load as load_model

    try:
        return load_model(path / "model.keras"), manifest
    except Exception as error:  # whatever a Keras that is not the one it was written with may raise
        problem = f"Keras {keras.__version__} does not load it, {type(error).__name__}"
        raise VersionError(
            f"a model version must load. Received: {path}, but {problem}: {error}. It was made with "
            f"Keras {manifest.packages.get('keras')}: install that, or take another version.",
            problem,
        ) from error


def seen(path: Path) -> "np.ndarray":
    """(N,) uint64, sorted: `hemline.data.dataset.hashes` of a verified version's training and validation examples."""
    import numpy as np

    return np.fromfile(path / SEEN, "<u8")


def classify(path: Path, images: "Sequence[np.ndarray]") -> list[tuple[str, float]]:
    """The verified model's class and its probability for each image of each array (N, H, W, C) uint8."""
    import numpy as np

    with noise_in(Path(os.devnull), loggers=("absl", "tensorflow")):  # TensorFlow's start is no answer
        from hemline.evaluation.scores import compile_predict, probabilities_of

        model, manifest = load(path)
        probabilities = probabilities_of(compile_predict(model)(np.concatenate(images)))  # (N, classes)
    return [(manifest.class_names[row.argmax()], round(float(row.max()), 6)) for row in probabilities]


def _manifest(path: Path) -> Manifest:
    """The manifest, held against its own digest."""
    try:
        content = (path / MANIFEST).read_bytes()
        digest = (path / DIGEST).read_text(errors="replace")
        if digest != f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n":
            raise ValueError(f"it does not have the SHA-256 in {DIGEST}")
        if problem := problem_of(content, path / SIGNATURE):
            rule = f"a model version must be signed. Received: {path}: {problem}. Do not use it; take another version."
            raise VersionError(rule, problem)
        return Manifest.model_validate_json(content)
    except (OSError, ValueError) as error:
        raise VersionError(
            f"a model version must have a readable {MANIFEST}. Received: {path} ({error}). Take another version.",
            f"its {MANIFEST} is missing or was changed",
        ) from error


def _files(directory: Path) -> set[str]:
    """Names of the files in a directory that holds nothing else but directories of files."""
    names, problems = set(), []
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_symlink():
            problems.append(f"{name} is a symbolic link")
        elif path.is_file():
            names.add(name)
        elif not path.is_dir():
            problems.append(f"{name} is neither a file nor a directory")
    _refuse(directory, problems)
    return names


def _refuse(path: Path, problems: list[str]) -> None:
    if problems:
        raise VersionError(
            f"every file of a model version must match its manifest. Received: {path}: {'; '.join(problems)}. "
            "Do not use it; take another version.",
            problem="; ".join(problems),
        )
