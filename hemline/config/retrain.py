"""Everything a run can be told, as one pydantic model.

    config = RetrainConfig(epochs=20, groups={"lower": {"learning_rate": 3e-3}})    # the rest keeps its default

The form in the Prefect UI, the options of `hemline retrain` and the schema of the deployments' parameters are made of
it, so bounds, units and help text stand here alone.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from hemline.config import recipes
from hemline.config.checks import Checks
from hemline.config.data import DataConfig
from hemline.config.fields import Arguments, Choice, Device, ModelName, Precision, WithArtifacts
from hemline.config.gate import Gate
from hemline.config.names import Name, model_name
from hemline.config.nested import merge
from hemline.config.optimizers import OptimizerGroups
from hemline.config.paths import root
from hemline.config.sections import in_sections
from hemline.models import MODELS


class RetrainConfig(WithArtifacts, DataConfig):
    """One training run. What you leave out is as the recipe has it, or as by default: the chapter's network, trained on
    Fashion-MNIST."""

    model_config = ConfigDict(json_schema_extra=in_sections)

    recipe: str | None = Field(
        None, exclude=True, description="file in recipes/ whose values replace the defaults; other fields override it"
    )
    name: Name = Field(
        default_factory=lambda given: model_name(given["dataset"]),
        description="what the model is called: it has versions and a champion of its own; by default as the data set",
    )
    model: ModelName = Field(
        "mlp", description=f"network that is trained: {', '.join(MODELS)}, or a function as 'package.module:function'"
    )
    model_arguments: Arguments = Field(
        {}, description='further arguments of the model\'s function, as JSON: {"units": [128, 64]}'
    )
    validation: Annotated[int, Field(ge=1, le=10_000_000)] | Literal["test"] = Field(
        5000,
        title="Validation (examples)",
        description="examples held out from the end of the train split for validation; "
        "'test' validates on the test split as the chapter does, without early_stopping",
    )
    epochs: int = Field(5, ge=1, le=10_000, description="passes over the training examples")
    batch_size: int = Field(128, ge=1, le=1_000_000, title="Batch size (examples)", description="examples per step")
    label_smoothing: float = Field(
        0,
        ge=0,
        lt=1,
        description="share of a label that is divided among all classes in training, e.g. 0.05; the training loss has "
        "it, validation and test have not",
    )
    seed: int | None = Field(
        42,
        ge=0,
        lt=2**31,
        description="seed of the initial weights and of every permutation; null takes the scheduled date, 2026110100",
    )
    seeds: int = Field(
        1,
        ge=1,
        le=100,
        description="models that are trained, each with the next seed: the best on validation is published, and the "
        "gate compares all of them",
    )
    groups: OptimizerGroups = Field(OptimizerGroups(), description="which optimizer trains which layers")
    frozen: list[str] = Field([], description="patterns of layer names that stay as initialised")
    early_stopping: int | None = Field(
        None,
        ge=1,
        title="Early stopping (epochs)",
        description="epochs without a lower validation loss after which to stop, with the best weights",
    )
    checkpoint_steps: int | None = Field(
        None, ge=1, description="steps between checkpoints within an epoch, besides the one after every epoch"
    )
    tensorboard: bool = Field(False, description="write event files for TensorBoard after every epoch")
    keep_checkpoints: int = Field(3, ge=1, le=1000, description="checkpoints kept, the newest ones")
    attempts: int = Field(
        5, ge=1, le=1000, description="crashes in a row after which the run fails and does not come back by itself"
    )
    resume: Path | None = Field(
        None, description="earlier run to go on with: its name, or its directory; same configuration"
    )
    ema_momentum: float | None = Field(
        None,
        ge=0,
        lt=1,
        title="EMA momentum",
        description="use the weights' moving average, keeping this share a step, e.g. 0.99; null: off",
    )
    log_lines: int = Field(0, ge=0, le=1000, description="lines of the log within an epoch, besides the one at its end")
    force: bool = Field(False, description="train although nothing has changed since a version was made")
    only_train: bool = Field(
        False,
        description="end after training, with the accuracy on validation: nothing is tested, published or judged",
    )
    checks: Checks = Field(Checks(), description="what is done about what the checks of the data find")
    gate: Gate = Field(Gate(), description="what the new model must show to be promoted")
    device: Device = Field(
        "auto", description="'gpu' fails at once if no GPU is visible; 'auto' takes one if there is one"
    )
    replicas: int = Field(
        1,
        ge=1,
        le=1024,
        description="devices that share every batch; without GPUs, logical CPUs, which are no faster than one. "
        "The workers of TF_CONFIG share batches without it",
    )
    precision: Precision = Field(
        "float32", description="what layers compute in; a mixed one keeps float32 weights, and is for GPUs that have it"
    )
    streaming: Choice = Field(
        None, description="read images from disk as needed; null does so if they exceed a quarter of the free memory"
    )

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        """Fills in the recipe's values wherever nothing is given."""
        # A configuration on disk has all of them, so it means the same after the recipe has changed.
        if not isinstance(given, dict):
            return given
        if isinstance(given.get("groups"), OptimizerGroups):
            given = given | {"groups": given["groups"].model_dump(exclude_unset=True)}
        if given.get("recipe") is not None:
            given = merge(recipes.read(given["recipe"]), given | {"recipe": None})
        return given

    @model_validator(mode="after")
    def _test_split_chooses_nothing(self) -> Self:
        if self.early_stopping and self.validation == "test":
            raise ValueError(
                "early_stopping must not choose on the test split, which judges the result. Received: early_stopping="
                f"{self.early_stopping}, validation='test'. Give validation a number, or leave early_stopping out."
            )
        if self.seeds > 1 and self.validation == "test":
            raise ValueError(
                "seeds must not be chosen on the test split, which judges the result. Received: "
                f"seeds={self.seeds}, validation='test'. Give validation a number, or leave seeds out."
            )
        return self

    @property
    def title(self) -> str:
        """What its runs are called, and their day: 'fashion_mnist mlp'."""
        return f"{self.name} {self.model.rpartition(':')[2]}"

    @property
    def resume_path(self) -> Path | None:
        """Absolute directory of the run to go on with: 1. runs/X in artifacts_dir; 2. X; 3. from the root on."""
        if self.resume is None:
            return None
        given, artifacts = self.resume.expanduser(), self.artifacts_path
        places = artifacts / given, artifacts / "runs" / given, root() / given
        return next((place for place in places if (place / "config.json").exists()), places[0])

    @property
    def fixed_seed(self) -> int:
        """The seed, once `of_night` has made one of null."""
        if self.seed is None:
            raise ValueError("seed must be a number here. Received: seed=None. Take config.of_night(date).")
        return self.seed

    def of_night(self, scheduled: datetime) -> Self:
        """The same with the date as seed, if it has none; two digits are for the seeds after it."""
        return self if self.seed is not None else self.model_copy(update={"seed": int(f"{scheduled:%Y%m%d}00")})

    def what_is_computed(self) -> dict[str, Any]:
        """The fields that decide the weights: not places, how often something is saved or said, checks or the gate."""
        places = {"data_dir", "manual_dir", "artifacts_dir", "resume", "device", "streaming", "name"}
        around = {"checkpoint_steps", "keep_checkpoints", "attempts", "log_lines", "tensorboard", "force", "only_train"}
        return self.model_dump(mode="json", exclude=places | around | {"checks", "gate"})
