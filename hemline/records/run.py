"""What steps tell each other about a run: small, typed, JSON, and no TensorFlow to import.

    record = Record(config=config, dataset=dataset, ..., **provenance())

The report is made of a record, and a version's manifest is one with the checksums of the files.
"""

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.records.decision import Decision
from hemline.records.evaluation import Evaluation
from hemline.records.proofs import Parity
from hemline.runtime.devices import DeviceInfo

Row = dict[str, int | float]


Rows = list[Row]  # a small table, a dict a row


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


class Outcome(BaseModel):
    """What a run of `retrain` ends with."""

    version: ModelVersion
    decision: Decision


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
