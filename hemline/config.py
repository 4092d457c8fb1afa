"""Everything a run can be told, as one pydantic model.

    config = RetrainConfig(epochs=20, groups={"lower": {"learning_rate": 3e-3}})
    config.groups.by_name()["upper"].optimizer      # 'sgd': what is not given keeps its default
    RetrainConfig(recipe="chapter", epochs=20)      # recipes/chapter.yaml, but longer

The same model is the form in the Prefect UI, the options of `python -m flows.retrain` and
the schema of the deployments' parameters, so bounds, units and help text stand here alone.
"""

import difflib
import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hemline import recipes
from hemline.errors import ConfigurationError

Device = Literal["auto", "cpu", "gpu"]
Grid = Literal["default", "full"]
Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
Patterns = Annotated[
    list[str],
    Field(min_length=1, description="patterns of layer names, e.g. 'hidden_*' (shell wildcards)"),
]
Optimizer = Annotated[
    Literal["adam", "adamw", "sgd", "rmsprop", "nadam", "lion", "muon"],
    Field(description="Keras optimizer; muon takes matrices only, and neither embeddings nor the last layer's"),
]
LearningRate = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False, description="step size of an update")]


def root() -> Path:
    """The directory that holds `data/` and `artifacts/`.

    1. `HEMLINE_ROOT`, if set; 2. the checkout this package is imported from; 3. `~/hemline`.
    Prefect runs flows from temporary directories, so nothing may depend on the current one.
    """
    if configured := os.environ.get("HEMLINE_ROOT"):
        path = Path(configured).expanduser()
        if not path.is_absolute():
            raise ConfigurationError(
                "HEMLINE_ROOT must be absolute, since runs start in temporary directories. "
                f"Received: HEMLINE_ROOT={configured}. Set it to {path.absolute()} if that is what you mean."
            )
        return path
    checkout = Path(__file__).resolve().parents[1]
    return checkout if (checkout / "pyproject.toml").exists() else Path.home() / "hemline"


class Strict(BaseModel):
    """A typo in a field's name is an error, and a configuration never changes after it is made."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Schedule(Strict):
    """How a learning rate changes over the run. Times are in epochs; a fraction of one is a time too."""

    kind: Literal["constant", "cosine", "piecewise"] = Field("constant", description="what follows the warm-up")
    warmup_epochs: float = Field(
        0, ge=0, allow_inf_nan=False, description="epochs over which the rate first rises linearly"
    )
    final_fraction: float = Field(
        0, ge=0, le=1, description="cosine: the share of the learning rate that is left at the end of the run"
    )
    change_at: list[Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(
        [], description="piecewise: epochs after which the rate changes, ascending"
    )
    change_to: list[Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]] = Field(
        [], description="piecewise: the share of the learning rate from then on, one for each change_at"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.final_fraction and self.kind != "cosine":
            raise ValueError(
                f"final_fraction is for kind 'cosine'. Received: kind={self.kind!r}, "
                f"final_fraction={self.final_fraction:g}. Remove it or change kind."
            )
        given = f"kind={self.kind!r}, change_at={self.change_at}, change_to={self.change_to}"
        if (self.change_at or self.change_to) and self.kind != "piecewise":
            raise ValueError(
                f"change_at and change_to are for kind 'piecewise'. Received: {given}. Remove them or change kind."
            )
        if self.kind == "piecewise" and not (
            len(self.change_at) == len(self.change_to) > 0 and self.change_at == sorted(set(self.change_at))
        ):
            raise ValueError(
                f"kind 'piecewise' needs ascending change_at and as many change_to. Received: {given}. Give both."
            )
        return self


class OptimizerGroup(Strict):
    """The variables of some layers, and the optimizer that trains them.

    What is null is as Keras has it. What an optimizer does not have is refused, not ignored.
    """

    layers: Patterns
    optimizer: Optimizer
    learning_rate: LearningRate
    schedule: Schedule = Field(Schedule(), description="how the learning rate changes over the run")
    momentum: float | None = Field(
        None, ge=0, lt=1, description="sgd, rmsprop, muon: share of the last update that is kept; null is 0, muon 0.95"
    )
    nesterov: bool | None = Field(
        None, description="sgd, muon: take the gradient ahead of the momentum; null is no, muon yes"
    )
    weight_decay: float | None = Field(
        None,
        ge=0,
        le=100,
        description="all but adam: share of a weight, times the learning rate, that is taken off at each step; "
        "null is none, adamw and muon 0.004",
    )
    clip_norm: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="largest norm of all the group's gradients together"
    )

    @model_validator(mode="after")
    def _optimizer_has_what_is_given(self) -> Self:
        for name, optimizers in _SOME_HAVE.items():
            value = getattr(self, name)
            if value is not None and self.optimizer not in optimizers:
                remedy = "Take adamw, which is adam with it" if name == "weight_decay" else "Remove it"
                raise ValueError(
                    f"{name} is for {', '.join(optimizers)}. Received: optimizer={self.optimizer!r}, "
                    f"{name}={value!r}. {remedy}."
                )
        if self.nesterov and not self.momentum and self.optimizer == "sgd":
            raise ValueError(
                f"nesterov needs momentum. Received: nesterov=True, momentum={self.momentum}. Set momentum, e.g. 0.9."
            )
        return self


_SOME_HAVE = {
    "momentum": ("sgd", "rmsprop", "muon"),
    "nesterov": ("sgd", "muon"),
    "weight_decay": ("adamw", "sgd", "rmsprop", "nadam", "lion", "muon"),
}


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


class Gate(Strict):
    """What a new model must show to take the champion's place. Points are percent of the test examples."""

    minimum_accuracy: float = Field(0, ge=0, le=1, description="share of the test examples that must be right")
    margin: float = Field(
        0,
        ge=-100,
        le=100,
        description="points that the lower end of the difference's 95 % interval must exceed; 0: proven better; "
        "negative: at most that much worse",
    )
    max_class_drop: float = Field(10, ge=0, le=100, description="points that the recall of any class may fall")
    max_latency_ms: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="milliseconds that predicting a single image may take; null: any"
    )
    max_size_mb: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="megabytes (10^6) that the version's models may have; null: any"
    )
    promotion: Literal["auto", "manual"] = Field(
        "auto", description="'manual' asks a person before a model that passes is promoted"
    )
    approval_hours: float = Field(
        12, gt=0, le=24 * 14, description="manual: hours that a run waits for the answer; then the champion stays"
    )


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

    recipe: str | None = Field(
        None,
        exclude=True,
        description="name of a file in recipes/, whose values take the place of the defaults; "
        "what is given beside it goes before it (in the UI's form: what is not as by default)",
    )
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
    ema_momentum: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="weights are validated and saved as their moving average, which keeps this share of "
        "itself at each step, e.g. 0.99; null takes them as they are",
    )
    gate: Gate = Field(Gate(), description="what the new model must show to be promoted")
    device: Device = Field(
        "auto", description="'gpu' fails at once if no GPU is visible; 'auto' takes one if there is one"
    )
    replicas: int = Field(
        1,
        ge=1,
        le=1024,
        description="devices that share every batch; without GPUs, logical CPUs, which show that it is right, "
        "not that it is fast. Workers of TF_CONFIG share it by themselves",
    )
    precision: Precision = Field(
        "float32", description="what layers compute in; a mixed one keeps float32 weights, and is for GPUs that have it"
    )
    streaming: bool | None = Field(
        None,
        description="read images from disk as they are needed, with the same result; null does so if they would "
        "take more than a quarter of the free memory",
    )
    artifacts_dir: Path = Field(
        Path("artifacts"), description="directory for runs and models, relative to HEMLINE_ROOT"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_recipe(cls, given: Any) -> Any:
        """A recipe becomes its values, so a configuration on disk means the same when the recipe has changed."""
        if not isinstance(given, dict) or given.get("recipe") is None:
            return given
        if len(given) > len(cls.model_fields) / 2:  # the UI's form sends its fields, changed or not
            given = recipes.difference(given, cls().model_dump(mode="json"))
        return recipes.merge(recipes.read(given["recipe"]), given | {"recipe": None})

    @property
    def artifacts_path(self) -> Path:
        """Absolute directory for runs and models."""
        return root() / self.artifacts_dir.expanduser()

    @property
    def proofs_path(self) -> Path:
        """Absolute directory of what the gates have proved."""
        return self.artifacts_path / "proofs"

    def what_is_computed(self) -> dict[str, Any]:
        """The fields that decide a result: not where things are, how often they are saved, or what becomes of it."""
        places = {"data_dir", "manual_dir", "artifacts_dir", "resume", "device", "streaming"}
        return self.model_dump(mode="json", exclude=places | {"checkpoint_steps", "keep_checkpoints", "gate"})

    @property
    def data(self) -> DataConfig:
        """The fields that decide which data is prepared, and nothing else; paths absolute."""
        return DataConfig(dataset=self.dataset, data_dir=self.data_path, manual_dir=self.manual_path)


class VerifyConfig(Strict):
    """One proof of the layer and of the claims on the machine that will train."""

    device: Device = Field("auto", description="where to prove; 'gpu' fails at once if no GPU is visible")
    grid: Grid = Field(
        "default", description="cases of layer parity: 'default' has every value of each axis, 'full' all together"
    )
    artifacts_dir: Path = Field(
        Path("artifacts"), description="directory whose runs take what was proved, relative to HEMLINE_ROOT"
    )

    @property
    def proofs_path(self) -> Path:
        """Absolute directory of what the gates have proved."""
        return root() / self.artifacts_dir.expanduser() / "proofs"


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
        elif item["type"] == "value_error":  # of a check between fields, which says all but where
            lines[field or item["msg"]] = f"{field}: {item['ctx']['error']} {where}".removeprefix(": ")
        elif item["type"] == "missing":
            lines[field] = f"{field} must be given. Received: {item['input']!r} without it. {where}"
        else:
            rules.setdefault(field, []).append(_rule(item["msg"]))
            rule = " or ".join(rules[field])
            lines[field] = f"{field} must be {rule}. Received: {name}={item['input']!r}. {where}"
    return "\n".join(lines.values())


_BRANCHES = {"literal['test']", "constrained-int"}
_FIELDS = {*RetrainConfig.model_fields, *OptimizerGroup.model_fields, *Schedule.model_fields, *Gate.model_fields}


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
