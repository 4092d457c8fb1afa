"""What many nights leave, made in seconds, for bench.growth.

    make_nights(artifacts, nights=1000)     # so many versions and runs, and five times as many lines in the ledger

Versions and runs have the files of real ones, of a few kilobytes each, with manifests of a real one's size; they
verify, and the ledger's chain holds. The nights are 100 days ago, so that all but the newest versions may be pruned.
"""

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import numpy as np
import pandas as pd

from bench.growth_questions import NAME
from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef, write_split
from hemline.records.data import DataChecks
from hemline.records.proofs import Parity
from hemline.records.run import ClassScore, Evaluation, FlowRun, Latency, Mistake, Record, Serving
from hemline.registry import versions
from hemline.registry.champion import Registry
from hemline.registry.decisions import Entry
from hemline.runtime.devices import DeviceInfo
from hemline.runtime.provenance import package_versions
from hemline.storage.attempts import Attempt

AGO = datetime.now(UTC) - timedelta(days=100)
LINES = 5  # of the ledger for each version
EPOCHS, EXAMPLES, SHAPE = 5, 200, (8, 8, 1)
CLASSES = [f"class {number}" for number in range(10)]
WEIGHTS = 20_000  # bytes of a model, where a real one has 1.3 million: what is hashed of one is the same for any number


def make_nights(artifacts: Path, nights: int) -> None:
    """As many versions and runs as nights, and LINES times as many decisions; every tenth night has a champion."""
    data, template = dataset(artifacts), run_files(artifacts / "template")
    for number in range(1, nights + 1):
        made, flow_run = record(data, number), UUID(int=number << 96).hex
        run = shutil.copytree(template, artifacts / "runs" / f"{AGO:%Y-%m-%d}-nightly-{flow_run[:8]}")
        (run / "config.json").write_text(made.config.model_dump_json(indent=2))
        (run / "dataset.json").write_text(json.dumps(data.record()))
        (run / "attempts" / "1.json").write_text(attempt(flow_run).model_dump_json())
        model = bytes(8) + number.to_bytes(8) + bytes(WEIGHTS)
        (run / "model.keras").write_bytes(model)
        directory = artifacts / "models" / NAME / str(number)
        for name, origin in versions.FILES.items():
            if origin and (template / origin).is_dir():
                shutil.copytree(template / origin, directory / name, dirs_exist_ok=True)
        (directory / "charts").mkdir()
        for name, origin in versions.FILES.items():
            if not (directory / name).exists():
                shutil.copyfile(template / (origin or "chart.svg"), directory / name)
        (directory / "model.keras").write_bytes(model)
        versions.seal(directory, made, str(number))
        for path in [*directory.rglob("*"), *run.rglob("*")]:
            os.utime(path, (AGO.timestamp() + number,) * 2)
    write_ledger(Registry(artifacts, NAME))
    shutil.rmtree(template)


def write_ledger(registry: Registry) -> None:
    """The chain of hemline.registry.ledger, written at once: a line at a time would be a disk's wait for each."""
    chain, champion, lines = sha256(), None, []
    for number, version in enumerate(registry.versions()):
        digest = sha256((registry.models / version / versions.MANIFEST).read_bytes()).hexdigest()
        for line in range(LINES):
            promoted = number % 10 == line == 0
            after = version if promoted else champion
            entry = Entry(
                at=AGO + timedelta(seconds=LINES * number + line),
                by=f"retrain-{NAME}-5-epochs ({UUID(int=int(version) << 96)})",
                decision="promoted" if promoted else "kept",
                version=version,
                champion_before=champion,
                champion_after=after,
                reason=f"challenger {version} is 0.12 points better, 95 % interval -0.35 to 0.59, p 0.32 is above 1e-4",
                measurements={"decision_number": number, "level": 0.05 / 365, "p_value": 0.32, "test_split": digest},
                manifest=digest,
            )
            chain.update(begun := entry.model_dump_json(exclude={"digest"}).encode()[:-1])
            end = f',"digest":"{chain.hexdigest()}"}}\n'.encode()
            chain.update(end)
            lines.append(begun + end)
            champion = after
    registry.directory.mkdir(parents=True)
    registry.ledger.path.write_bytes(b"".join(lines))
    registry.champion()  # which makes the alias, and what is served


def dataset(artifacts: Path) -> DatasetRef:
    """Noise with labels."""
    path, random = artifacts / "data", np.random.default_rng(0)
    path.mkdir(parents=True)

    def split(name: str) -> tuple[np.ndarray, np.ndarray]:
        return random.integers(256, size=(EXAMPLES, *SHAPE), dtype=np.uint8), np.arange(EXAMPLES, dtype=np.int32) % 10

    splits = {name: write_split(path, name, [split(name)]) for name in ("train", "test")}
    return DatasetRef(full_name="noise/1.0.0", path=path, image_shape=SHAPE, class_names=CLASSES, splits=splits)


def dataset_ref(artifacts: Path) -> DatasetRef:
    """That of the first version."""
    return versions.Manifest.model_validate_json(
        (artifacts / "models" / NAME / "1" / versions.MANIFEST).read_bytes()
    ).dataset


def run_files(run: Path) -> Path:
    """What a finished run has, but for what differs from night to night; and a chart."""
    sizes = {"saved_model/saved_model.pb": 40_000, "saved_model/variables/variables.index": 500}
    sizes |= {"saved_model/variables/variables.data-00000-of-00001": WEIGHTS, "saved_model/fingerprint.pb": 80}
    sizes |= {f"iterations.parquet/epoch-0000{epoch}.parquet": 12_000 for epoch in range(1, EPOCHS + 1)}
    sizes |= {f"checkpoints/epoch-0000{number}-step-000000/{name}": 3_000 for number in (5, 6) for name in "abcd"}
    sizes |= dict.fromkeys(("chart.svg", "mistakes.svg", "report.html", "run.log", "examples.parquet"), 5_000)
    sizes |= dict.fromkeys(("confusion.csv", "run.lock"), 500)
    for name, size in sizes.items():
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_bytes(bytes(size))
    (run / "attempts").mkdir()
    counts = {"train": dict.fromkeys(CLASSES, EXAMPLES)}
    looked_at = DataChecks(
        fingerprint="0" * 64, champion=None, remarks=[], counts=counts, champion_counts={}, change=None, findings=[]
    )
    (run / "data.json").write_text(looked_at.model_dump_json())
    (run / "timing.csv").write_text("attempt,phase,epoch,seconds\n1,start,,3.0\n1,steps,1,0.25\n1,train,,2.5\n")
    (run / "model.keras").write_bytes(bytes(WEIGHTS))
    serving = set(Serving.model_fields)
    (run / "serving.json").write_text(evaluation().model_dump_json(include=serving))
    (run / "evaluation.json").write_text(evaluation().model_dump_json(exclude=serving))
    pd.DataFrame(epochs()).to_csv(run / "epochs.csv", index=False)
    pd.DataFrame(epochs()).to_parquet(run / "epochs.parquet")
    cases = {"case": ["a", "b"], "policy": ["float32", "float64"], "inputs": ["normal", "large"], "ratio": [0.5, 0.01]}
    pd.DataFrame(cases).to_csv(run / "parity.csv", index=False)
    return run


def epochs() -> list[dict[str, int | float]]:
    """The table epochs.csv."""
    columns = ("train_loss", "train_loss_weighted", "train_accuracy", "val_loss", "val_accuracy")
    return [{"epoch": n, "iterations": 430, **dict.fromkeys(columns, n / 7)} for n in range(1, EPOCHS + 1)]


def attempt(flow_run: str) -> Attempt:
    """A run's only one."""
    return Attempt(number=1, owner=flow_run, host="a", pid=1, started=0, began=AGO, ended=True)


def evaluation() -> Evaluation:
    """As large as that of a run on Fashion-MNIST."""
    score = ClassScore(examples=1000, precision=0.875, recall=0.875, f1=0.875)
    return Evaluation(
        split="test",
        examples=10_000,
        loss=0.35,
        accuracy=0.875,
        accuracy_interval=(0.868, 0.881),
        classes=dict.fromkeys(CLASSES, score),
        calibration_error=0.01,
        calibration_bins=15,
        mistakes=[Mistake(index=n, true=CLASSES[0], predicted=CLASSES[1], probability=0.99) for n in range(16)],
        latency=Latency(single_ms=0.3, batch_ms=2, batch_size=100, repeats=50),
        size_bytes=2_400_000,
    )


def record(data: DatasetRef, number: int) -> Record:
    """As large as that of a run on Fashion-MNIST."""
    row = dict.fromkeys(("case", "form", "policy", "inputs", "mode", "reference", "ratio", "ok"), "0.0123456789")
    return Record(
        config=RetrainConfig(name=NAME),
        dataset=data,
        device=DeviceInfo(name="/CPU:0", kind="cpu", description="a processor", settings={"xla": "on"}),
        parity=Parity(cases=820, failed=0, worst_ratio=0.5, rows=[row] * 30),
        epochs=epochs(),
        evaluation=evaluation(),
        flow_run=FlowRun(id=str(UUID(int=number << 96)), name="nightly"),
        fingerprint=data.fingerprint,
        identity=f"{number:064}",
        git_commit=None,
        packages=package_versions(),
        created=AGO,
    )
