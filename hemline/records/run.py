"""What is known of a run of `retrain`, what became of its model, and what a run of `verify` found.

    record = Record(config=config, dataset=dataset, ..., **provenance())
    decision.sentence       # 'promoted 0008 over 0007: challenger 0008 is 2.29 points better, 95 % interval ...'

The report is made of a record; a version's manifest is a record with the checksums of the files.
"""

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.records.evaluation import Evaluation
from hemline.records.proofs import ClaimResult, Parity
from hemline.runtime.devices import DeviceInfo

Row = dict[str, int | float]
Rows = list[Row]  # a small table
Measurements = dict[str, bool | int | float | str]  # by name, in the words of artifacts/README.md
Verdict = Literal["promoted", "kept", "needs approval"]


class TrainedRun(BaseModel):
    """What a finished training leaves in its directory for the steps after it."""

    directory: Path
    epochs: Rows  # the table epochs.csv

    @property
    def model_path(self) -> Path:
        """The trained model, in Keras's format."""
        return self.directory / "model.keras"


class ModelVersion(BaseModel):
    """A published version."""

    version: str
    path: Path
    run: Path  # the run's directory
    val_accuracy: float
    test_accuracy: float


class Decision(BaseModel):
    """Whether a version becomes the champion, and why."""

    verdict: Verdict
    champion: str | None  # before the decision
    challenger: str
    sentence: str
    measurements: Measurements = {}


class Outcome(BaseModel):
    """What a run of `retrain` ends with."""

    version: ModelVersion
    decision: Decision


class FlowRun(BaseModel):
    """Who made this."""

    id: str
    name: str


class Record(BaseModel):
    """Everything known about a run."""

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


class Verification(BaseModel):
    """What the flow `verify` found on a machine."""

    device: DeviceInfo
    parity: Parity
    claims: list[ClaimResult]
    versions: dict[str, str]

    @property
    def failures(self) -> list[str]:
        """A sentence for parity, if it fails, and one for each claim that does."""
        failed = [f"claim {one.number} fails: {one.question.claim}" for one in self.claims if one.finding == "fails"]
        if self.parity.failed:
            failed.insert(0, f"{self.parity.failed} of {self.parity.cases} cases of layer parity are out of tolerance")
        return failed
