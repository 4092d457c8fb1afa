"""What is known of a run of `retrain`, how good its model is, what became of it, and what a run of `verify` found.

    record = Record(config=config, dataset=dataset, ..., **provenance())
    decision.sentence       # 'promoted fashion_mnist 8 over 7: challenger 8 is 2.29 points better, ...'

The report is made of a record; a version's manifest is a record with the checksums of the files.
"""

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.records.proofs import ClaimResult, Parity
from hemline.runtime.devices import DeviceInfo
from hemline.storage.runs import SEEDS

Row = dict[str, int | float]
Rows = list[Row]  # a small table
Measurements = dict[str, bool | int | float | str]  # by name, in the words of artifacts/README.md
Verdict = Literal["promoted", "kept", "needs approval"]


def published_epoch(config: RetrainConfig, epochs: Rows) -> Row:
    """The row of the epoch whose weights a run keeps."""
    return min(epochs, key=lambda row: row["val_loss"]) if config.early_stopping else epochs[-1]


class TrainedRun(BaseModel):
    """What a finished training leaves in its directory for the steps after it."""

    directory: Path
    dataset: DatasetRef  # that it was trained on
    device: DeviceInfo
    epochs: Rows  # the table epochs.csv
    seeds: dict[int, float] = {}  # accuracy on validation by seed, if there are several; the best one's is published

    @property
    def model_path(self) -> Path:
        """The trained model, in Keras's format."""
        return self.directory / "model.keras"

    @property
    def model_paths(self) -> dict[int, Path]:
        """Of all seeds, if there are several."""
        return {seed: self.directory / SEEDS / str(seed) / "model.keras" for seed in self.seeds}


class ClassScore(BaseModel):
    """Of one class; null where there is nothing to divide by."""

    examples: int
    precision: float | None  # true examples of this class / examples predicted as it
    recall: float | None  # examples of this class predicted as it / examples of this class
    f1: float | None  # harmonic mean of both


class Mistake(BaseModel):
    """An example that the model is wrong about."""

    index: int  # in the split, from 0
    true: str
    predicted: str
    probability: float  # of the predicted class


class CalibrationBin(BaseModel):
    """The examples whose predicted class has about the same probability."""

    confidence: float  # mean probability of the predicted class
    accuracy: float
    examples: int


class Latency(BaseModel):
    """Medians of the time that the saved signature takes, once loaded and warm."""

    single_ms: float
    batch_ms: float
    batch_size: int
    repeats: int


class Seeds(BaseModel):
    """Models that differ in their seed alone: what the recipe gives, and not what luck adds."""

    val_accuracy: dict[int, float]  # by seed
    test_accuracy: dict[int, float]
    mean: float  # of the accuracies on test
    standard_deviation: float  # of one model's, estimated from these


class Quality(BaseModel):
    """How good a model is on a split (evaluation.json): the same for the same configuration."""

    split: str
    examples: int
    loss: float
    accuracy: float
    accuracy_interval: tuple[float, float]  # Wilson's, 95 %
    classes: dict[str, ClassScore]
    calibration_error: float
    calibration_bins: int
    calibration: list[CalibrationBin] = []  # those with examples, least confident first; early versions have none
    mistakes: list[Mistake]  # the most confident ones, worst first
    seeds: Seeds | None = None  # if the run trained several models


class Serving(BaseModel):
    """What it costs to serve a model (serving.json); its times vary."""

    latency: Latency
    size_bytes: int  # of model.keras and the SavedModel


class Evaluation(Serving, Quality):
    """Both, for the manifest. (The bases are in reverse, so that Quality's keys come first.)"""


class ModelVersion(BaseModel):
    """A published version."""

    name: str  # the model's
    version: str
    path: Path
    run: Path  # the run's directory
    dataset: DatasetRef  # that it was trained on
    device: DeviceInfo
    val_accuracy: float
    test_accuracy: float

    @property
    def title(self) -> str:
        """Name and number: 'fashion_mnist 8'."""
        return f"{self.name} {self.version}"


class ClassChange(BaseModel):
    """What became of a class, from the version compared with to the challenger. Of several models a side, means."""

    name: str
    examples: int
    difference_points: float  # of the recall, in percent of the class's examples
    negative_flips: float  # examples that the version compared with alone gets right


class Decision(BaseModel):
    """Whether a version becomes the champion, and why."""

    verdict: Verdict
    champion: str | None  # before the decision
    challenger: str
    sentence: str
    measurements: Measurements = {}
    classes: list[ClassChange] = []  # those that changed most, in the data's order


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
    identity: str = ""  # digest of all that decides the weights; early versions were made without
    git_commit: str | None
    packages: dict[str, str]
    created: datetime


class Verification(BaseModel):
    """What the flow `verify` found on a machine."""

    device: DeviceInfo
    parity: Parity
    claims: list[ClaimResult]
    packages: dict[str, str]

    @property
    def failures(self) -> list[str]:
        """A sentence for parity, if it fails, and one for each claim that does."""
        failed = [f"claim {one.number} fails: {one.question.claim}" for one in self.claims if one.finding == "fails"]
        if self.parity.failed:
            failed.insert(0, f"{self.parity.failed} of {self.parity.cases} cases of layer parity are out of tolerance")
        return failed
