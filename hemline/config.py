"""Everything a run can be told, as one pydantic model.

    config = RetrainConfig(epochs=20, groups={"lower": {"learning_rate": 3e-3}})
    config.groups.by_name()["upper"].optimizer      # 'sgd': what is not given keeps its default

The same model is the form in the Prefect UI, the options of `python -m flows.retrain` and
the schema of the deployments' parameters, so bounds, units and help text stand here alone.
"""

import difflib
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Device = Literal["auto", "cpu", "gpu"]
Patterns = Annotated[
    list[str],
    Field(min_length=1, description="patterns of layer names, e.g. 'hidden_*' (shell wildcards)"),
]
Optimizer = Annotated[Literal["adam", "adamw", "sgd", "rmsprop", "nadam", "lion"], Field(description="Keras optimizer")]
LearningRate = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False, description="step size of an update")]


def root() -> Path:
    """The directory that holds `data/` and `artifacts/`.

    1. `HEMLINE_ROOT`, if set; 2. the checkout this package is imported from; 3. `~/hemline`.
    Prefect runs flows from temporary directories, so nothing may depend on the current one.
    """
    if configured := os.environ.get("HEMLINE_ROOT"):
        return Path(configured).expanduser().absolute()
    checkout = Path(__file__).resolve().parents[1]
    return checkout if (checkout / "pyproject.toml").exists() else Path.home() / "hemline"


class Strict(BaseModel):
    """A typo in a field's name is an error, and a configuration never changes after it is made."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OptimizerGroup(Strict):
    """The variables of some layers, and the optimizer that trains them."""

    layers: Patterns
    optimizer: Optimizer
    learning_rate: LearningRate


class LowerGroup(OptimizerGroup):
    """Every layer below the last one."""

    layers: Patterns = ["hidden_*", "norm_*"]
    optimizer: Optimizer = "adam"
    learning_rate: LearningRate = 1e-3


class UpperGroup(OptimizerGroup):
    """The last Dense layer."""

    layers: Patterns = ["logits"]
    optimizer: Optimizer = "sgd"
    learning_rate: LearningRate = 0.1


class OptimizerGroups(BaseModel):
    """Lower and upper layers with an optimizer each, and any further groups by name.

    A group that is given in part keeps the rest of its default; `null` removes it.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, OptimizerGroup] = Field(init=False)

    lower: LowerGroup | None = Field(LowerGroup(), description="the layers below the last one")
    upper: UpperGroup | None = Field(UpperGroup(), description="the last Dense layer")

    def by_name(self) -> dict[str, OptimizerGroup]:
        """The groups there are, in the order lower, upper, others."""
        named: dict[str, OptimizerGroup | None] = {"lower": self.lower, "upper": self.upper}
        named |= self.__pydantic_extra__
        return {name: group for name, group in named.items() if group is not None}


class DataConfig(Strict):
    """Which examples a run sees. The key of the cache of prepared data."""

    dataset: str = Field(
        "fashion_mnist",
        min_length=1,
        description="TFDS image-classification data set, with 'image' and 'label' ('name' or 'name:version')",
    )
    data_dir: Path | None = Field(
        None,
        description="directory of prepared data, relative to HEMLINE_ROOT; null takes TFDS_DATA_DIR, or data/",
    )
    manual_dir: Path | None = Field(
        None,
        description="directory with the data set's files, downloaded by hand; null takes downloads/manual "
        "under data_dir",
    )

    @property
    def data_path(self) -> Path:
        """Absolute directory of prepared data."""
        return root() / Path(self.data_dir or os.environ.get("TFDS_DATA_DIR") or "data").expanduser()

    @property
    def manual_path(self) -> Path:
        """Absolute directory of files downloaded by hand."""
        return root() / (self.manual_dir or self.data_path / "downloads" / "manual").expanduser()


class RetrainConfig(DataConfig):
    """One training run. Defaults train the chapter's network on Fashion-MNIST."""

    validation: Literal["test"] | Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        5000,
        description="examples held out from the end of the train split for validation; "
        "'test' validates on the test split as the chapter does",
    )
    epochs: int = Field(5, ge=1, le=10_000, description="passes over the training examples")
    batch_size: int = Field(128, ge=1, le=1_000_000, description="examples per step")
    seed: int = Field(42, ge=0, lt=2**31, description="seed of the initial weights and of every permutation")
    groups: OptimizerGroups = Field(OptimizerGroups(), description="which optimizer trains which layers")
    frozen: list[str] = Field([], description="patterns of layer names that stay as initialised")
    early_stopping: int | None = Field(
        None, ge=1, description="epochs without a lower validation loss after which to stop, with the best weights"
    )
    checkpoint_steps: int | None = Field(
        None, ge=1, description="steps between checkpoints within an epoch, besides the one after every epoch"
    )
    keep_checkpoints: int = Field(3, ge=1, le=1000, description="checkpoints kept, the newest ones")
    resume: Path | None = Field(
        None, description="directory of an earlier run to go on with, relative to artifacts_dir; same configuration"
    )
    device: Device = Field(
        "auto", description="'gpu' fails at once if no GPU is visible; 'auto' takes one if there is one"
    )
    artifacts_dir: Path = Field(
        Path("artifacts"), description="directory for runs and models, relative to HEMLINE_ROOT"
    )

    @property
    def artifacts_path(self) -> Path:
        """Absolute directory for runs and models."""
        return root() / self.artifacts_dir.expanduser()

    def what_is_computed(self) -> dict[str, Any]:
        """The fields that decide a result, and none that say where things are or how often they are saved."""
        places = {"data_dir", "manual_dir", "artifacts_dir", "resume", "device"}
        return self.model_dump(mode="json", exclude=places | {"checkpoint_steps", "keep_checkpoints"})

    @property
    def data(self) -> DataConfig:
        """The fields that decide which data is prepared, and nothing else; paths absolute."""
        return DataConfig(dataset=self.dataset, data_dir=self.data_path, manual_dir=self.manual_path)


def explain(error: ValidationError, where: str) -> str:
    """A line for each refused field: the rule, the value received, the remedy.

    where: the remedy's place, e.g. 'Set it under parameters in prefect.yaml.'
    """
    lines: dict[str, str] = {}
    rules: dict[str, list[str]] = {}
    for item in error.errors():
        # A union reports every branch it tried, and the branch as if it were part of the field.
        field = ".".join(str(part) for part in item["loc"] if part not in _BRANCHES)
        name = field.rpartition(".")[2]
        if item["type"] == "extra_forbidden":
            close = difflib.get_close_matches(name, _FIELDS, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Fields: {', '.join(sorted(_FIELDS))}."
            lines[field] = f"{field} is not a field. Received: {name}={item['input']!r}. {hint}"
        elif item["type"] == "missing":
            lines[field] = f"{field} must be given. Received: {item['input']!r} without it. {where}"
        else:
            rules.setdefault(field, []).append(_rule(item["msg"]))
            rule = " or ".join(rules[field])
            lines[field] = f"{field} must be {rule}. Received: {name}={item['input']!r}. {where}"
    return "\n".join(lines.values())


_BRANCHES = {"literal['test']", "constrained-int"}
_FIELDS = {*RetrainConfig.model_fields, *OptimizerGroup.model_fields}


def _rule(message: str) -> str:
    """pydantic's 'Input should be greater than or equal to 1' as '>= 1'."""
    for words, sign in {
        "Input should be ": "",
        "List should have": "a list with",
        "String should have": "a text with",
        "greater than or equal to": ">=",
        "less than or equal to": "<=",
        "greater than": ">",
        "less than": "<",
    }.items():
        message = message.replace(words, sign)
    return message
