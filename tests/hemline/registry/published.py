"""Model versions made of small files in milliseconds: they verify, and need no TensorFlow."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import numpy as np

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef, Split
from hemline.records.proofs import Parity
from hemline.records.run import ClassScore, Evaluation, FlowRun, Latency, Record
from hemline.registry.exchange import claim, push
from hemline.registry.versions import SEEN, next_version, seal
from hemline.runtime.devices import DeviceInfo
from hemline.storage.files import whole_directory

RECORD = Record(
    config=RetrainConfig(name="tiny", epochs=1),
    dataset=DatasetRef(
        full_name="tiny/1.0.0",
        path=Path("/data/tiny"),
        image_shape=(4, 4, 1),
        class_names=["dark", "bright"],
        splits={"test": Split(examples=70, images="0" * 64, labels="1" * 64)},
    ),
    device=DeviceInfo(name="/CPU:0", kind="cpu", description="a processor", settings={}),
    parity=Parity(cases=42, failed=0, worst_ratio=0.5),
    epochs=[{"epoch": 1, "val_accuracy": 0.5}],
    evaluation=Evaluation(
        split="test",
        examples=70,
        loss=0.5,
        accuracy=0.75,
        accuracy_interval=(0.637, 0.837),
        classes={
            "dark": ClassScore(examples=70, precision=1, recall=0.75, f1=6 / 7),
            "bright": ClassScore(examples=0, precision=0, recall=None, f1=None),
        },
        calibration_error=0.1,
        calibration_bins=15,
        mistakes=[],
        latency=Latency(single_ms=0.5, batch_ms=1, batch_size=100, repeats=50),
        size_bytes=1_500_000,
    ),
    flow_run=FlowRun(id="0b1c", name="retrain-tiny"),
    fingerprint="f" * 64,
    git_commit=None,
    packages={"keras": "3.15.1"},
    created=datetime(2026, 1, 2, tzinfo=UTC),
)


def make_version(
    artifacts: Path,
    version: str | None = None,
    record: Record = RECORD,
    seen: np.ndarray | None = None,
    flow_run: str = "",
) -> str:
    """Publishes the next version of the record's name, or one of a given number. seen: (N,) hashes; None, as of old.

    flow_run: what publishes it, by default each time another one.
    """
    name = record.config.name
    version = version or next_version(artifacts, name)
    claim(artifacts, name, version)
    with whole_directory(artifacts / "models" / name / version) as directory:
        (directory / "model.keras").write_bytes(f"weights of {name} {version}".encode())
        (directory / "variables").mkdir()
        (directory / "variables" / "variables.index").write_bytes(b"index")
        (directory / "saved_model.pb").write_bytes(b"graph")
        if seen is not None:
            np.sort(seen).tofile(directory / SEEN)
        seal(directory, record, version)
        push(directory, artifacts, name, version, flow_run or uuid4().hex)
    return version
