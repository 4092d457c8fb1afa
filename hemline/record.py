"""What steps tell each other about a run: small, typed, JSON, and no TensorFlow to import.

    record = Record(config=config, dataset=dataset, ..., **provenance())

The report is made of a record, and a version's manifest is one with the checksums of the files.
"""

import importlib.metadata
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from hemline.config import RetrainConfig
from hemline.dataset import DatasetRef
from hemline.devices import DeviceInfo

CHECKOUT = Path(__file__).resolve().parents[1]  # or what stands in for it, where this is installed
Row = dict[str, int | float]
Rows = list[Row]  # a small table, a dict a row

PACKAGES = ("hemline", "tensorflow", "keras", "tensorflow-datasets", "numpy", "pandas", "prefect")


class Evaluation(BaseModel):
    """The final judgement of a model, on the test split."""

    split: str
    examples: int
    loss: float
    accuracy: float
    class_accuracy: dict[str, float]


class Parity(BaseModel):
    """The LayerNorm proof that preceded the training, in short."""

    cases: int
    failed: int
    worst_ratio: float | None = None  # the largest difference in units of its tolerance
    worst_case: str | None = None
    seconds: float | None = None


class TrainedRun(BaseModel):
    """What a finished training leaves in its directory for the steps after it."""

    directory: Path
    epochs: Rows  # the table epochs.csv

    @property
    def model_path(self) -> Path:
        """The trained model, in Keras's format."""
        return self.directory / "model.keras"


class ModelVersion(BaseModel):
    """A published version: the outcome of a run."""

    version: str
    path: Path
    run: Path  # the run's directory
    val_accuracy: float
    test_accuracy: float


class FlowRun(BaseModel):
    """Who made this."""

    id: str
    name: str


class Record(BaseModel):
    """Everything known about a run: the manifest without its files, and what the report is made of."""

    config: RetrainConfig
    dataset: DatasetRef
    device: DeviceInfo
    parity: Parity
    epochs: Rows
    evaluation: Evaluation
    flow_run: FlowRun
    fingerprint: str
    git_commit: str | None
    versions: dict[str, str]
    created: datetime


def provenance(checkout: Path = CHECKOUT) -> dict[str, Any]:
    """The fields of a record that are the same for all of a process: commit of its code, versions, time."""
    return {"git_commit": _git_commit(checkout), "versions": package_versions(), "created": datetime.now(UTC)}


def package_versions() -> dict[str, str]:
    """Python and the packages that decide what a run computes."""
    installed = {distribution.name: distribution.version for distribution in importlib.metadata.distributions()}
    return {"python": platform.python_version()} | {name: installed[name] for name in PACKAGES if name in installed}


def _git_commit(checkout: Path) -> str | None:
    """The commit a run was made from, with '-dirty' if files differ from it; None outside a checkout."""
    if not (checkout / ".git").exists():  # git would find a repository that merely holds the environment
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
