"""What steps tell each other about a run: small, typed, JSON, and no TensorFlow to import.

    record = Record(config=config, dataset=dataset, ..., **provenance())

The report is made of a record, and a version's manifest is one with the checksums of the files.
"""

import importlib.metadata
import platform
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, computed_field

from hemline.config import RetrainConfig
from hemline.dataset import DatasetRef
from hemline.devices import DeviceInfo

CHECKOUT = Path(__file__).resolve().parents[1]  # or what stands in for it, where this is installed
Row = dict[str, int | float]
Rows = list[Row]  # a small table, a dict a row
Numbers = dict[str, bool | int | float | str | None]  # by name, in the words of artifacts/README.md

PACKAGES = ("hemline", "tensorflow", "keras", "tensorflow-datasets", "numpy", "pandas", "prefect")


class ClassScore(BaseModel):
    """How one class fares; null where there is nothing to divide by."""

    examples: int
    precision: float | None  # share of what was called this class that is
    recall: float | None  # share of this class that was called so
    f1: float | None  # harmonic mean of both


class Mistake(BaseModel):
    """An example that the model is wrong about."""

    index: int  # in the split, from 0
    true: str
    predicted: str
    probability: float  # of the predicted class


class Latency(BaseModel):
    """Medians of the time that the saved signature takes, once loaded and warm."""

    single_ms: float
    batch_ms: float
    batch_size: int
    repeats: int


class Evaluation(BaseModel):
    """The final judgement of a model, on the test split. Versions of before have not all of it."""

    split: str
    examples: int
    loss: float
    accuracy: float
    accuracy_interval: tuple[float, float] | None = None  # Wilson's, 95 %
    class_accuracy: dict[str, float]
    classes: dict[str, ClassScore] = {}
    calibration_error: float | None = None
    calibration_bins: int | None = None
    mistakes: list[Mistake] = []  # the most confident ones, worst first
    latency: Latency | None = None
    size_bytes: int | None = None  # of model.keras and saved_model/


class Parity(BaseModel):
    """The LayerNorm proof that preceded the training, in short."""

    cases: int
    failed: int
    worst_ratio: float | None = None  # the largest difference in units of its tolerance
    worst_case: str | None = None
    seconds: float | None = None  # None: an earlier proof was taken
    rows: list[dict[str, str]] = []  # what failed, then the worst case of every value of every axis


class Evidence(BaseModel):
    """A fact that was looked at on this machine."""

    what: str
    expected: str
    observed: str
    holds: bool
    corrects: bool = False  # if it holds, the chapter's answer as it stands does not


class ClaimResult(BaseModel):
    """One of the chapter's nine questions, what is claimed to be its answer, and the proof."""

    number: int
    question: str
    original_question: str
    original_answer: str
    claim: str
    correction: str | None
    relied_on: str | None  # what `retrain` needs it for
    evidence: list[Evidence]
    seconds: float

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Literal["holds", "holds with a correction", "fails"]:
        """Of the claim; the correction is to the chapter's answer."""
        if not self.evidence or not all(fact.holds for fact in self.evidence):
            return "fails"
        return "holds with a correction" if any(fact.corrects for fact in self.evidence) else "holds"


class Verification(BaseModel):
    """What the flow `verify` found."""

    device: DeviceInfo
    parity: Parity
    claims: list[ClaimResult]
    versions: dict[str, str]

    @property
    def failures(self) -> list[str]:
        """A sentence for each gate that was not passed."""
        failed = [f"claim {result.number} fails: {result.claim}" for result in self.claims if result.verdict == "fails"]
        if self.parity.failed:
            failed.insert(0, f"{self.parity.failed} of {self.parity.cases} cases of layer parity are out of tolerance")
        return failed


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


Verdict = Literal["promoted", "kept", "needs approval"]


class Decision(BaseModel):
    """Whether a version becomes the champion, and why."""

    verdict: Verdict
    champion: str | None  # before the decision
    challenger: str
    sentence: str
    numbers: Numbers


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


def provenance(checkout: Path = CHECKOUT) -> dict[str, Any]:
    """The fields of a record that are the same for all of a process: commit of its code, versions, time."""
    return {"git_commit": _git_commit(checkout), "versions": package_versions(), "created": datetime.now(UTC)}


def package_versions() -> dict[str, str]:
    """Python and the packages that decide what a run computes."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


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
