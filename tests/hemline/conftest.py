"""A data set small enough to train on in a second, and one finished run on it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef, write_split
from hemline.records.proofs import Parity
from hemline.records.run import Evaluation, FlowRun, Record, TrainedRun
from hemline.runtime.devices import DeviceInfo
from hemline.storage.locks import locked

SHAPE = (4, 4, 1)
CLASSES = ["dark", "middling", "bright"]
CPU = DeviceInfo(name="/CPU:0", kind="cpu", description="a processor", settings={"xla": "on", "xla_flags": ""})


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the person at this machine has set must not decide a test."""
    for name in ("HEMLINE_ROOT", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


def pictures(examples: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Images (examples, 4, 4, 1) uint8 and labels (examples,) int32; brightness is the class."""
    labels = rng.integers(len(CLASSES), size=examples).astype(np.int32)
    noise = rng.integers(0, 120, size=(examples, *SHAPE))
    return (60 * labels[:, None, None, None] + noise).astype(np.uint8), labels


def write_dataset(directory: Path, sizes: dict[str, int], full_name: str = "tiny/1.0.0") -> DatasetRef:
    """Noisy pictures whose brightness is their class, as `hemline.data.dataset.prepare` leaves them."""
    rng = np.random.default_rng(0)
    splits = {}
    directory.mkdir(parents=True, exist_ok=True)
    for name, examples in sizes.items():
        images, labels = pictures(examples, rng)
        splits[name] = write_split(directory, name, [(images, labels)])
    return DatasetRef(full_name=full_name, path=directory, image_shape=SHAPE, class_names=CLASSES, splits=splits)


@pytest.fixture
def tiny(tmp_path: Path) -> DatasetRef:
    """300 training and 70 test examples, which the test may damage."""
    return write_dataset(tmp_path / "tiny", {"train": 300, "test": 70})


class FinishedRun(BaseModel):
    dataset: DatasetRef
    trained: TrainedRun
    evaluation: Evaluation
    record: Record
    said: list[str]


@pytest.fixture(scope="session")
def finished(of_all_processes: Path) -> FinishedRun:
    """Two epochs on the tiny data set, evaluated; its files must be left as they are."""
    kept = of_all_processes / "finished.json"
    with locked(of_all_processes / "finished.lock"):
        if not kept.exists():
            kept.write_text(finish(of_all_processes / "finished").model_dump_json())
    return FinishedRun.model_validate_json(kept.read_text())


def finish(directory: Path) -> FinishedRun:
    from hemline.evaluation.saved import evaluate_saved
    from hemline.training import run

    config = RetrainConfig(name="tiny", epochs=2, batch_size=32, validation=60)
    dataset = write_dataset(directory / "data", {"train": 300, "test": 70})
    said: list[str] = []
    trained = run.train(config, dataset, CPU, directory, said.append)
    evaluation = evaluate_saved(trained)
    cases = {"case": ["a", "b"], "policy": ["float32", "float64"], "inputs": ["normal", "large"], "ratio": [0.5, 0.01]}
    pd.DataFrame(cases).to_csv(directory / "parity.csv", index=False)
    record = Record(
        config=config,
        dataset=dataset,
        device=CPU,
        parity=Parity(cases=42, failed=0, worst_ratio=0.25, worst_case="variance-rank2", seconds=6.6),
        epochs=trained.epochs,
        evaluation=evaluation,
        flow_run=FlowRun(id="0b1c", name="retrain-tiny-2-epochs"),
        fingerprint=dataset.fingerprint,
        git_commit=None,
        packages={"python": "3.11.7", "keras": "3.15.1"},
        created=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    )
    return FinishedRun(dataset=dataset, trained=trained, evaluation=evaluation, record=record, said=said)


@pytest.fixture
def flip_byte() -> Callable[[Path, int], None]:
    """Changes one bit of one byte of a file."""

    def flip(path: Path, position: int) -> None:
        content = bytearray(path.read_bytes())
        content[position] ^= 1
        path.write_bytes(content)

    return flip
