"""What a sweep can be told: which fields of a run to try, between which bounds, how often, and how many at a time.

SweepConfig(
    base={"recipe": "best-mlp", "validation": 5000},
    space={"groups.upper.learning_rate": {"low": 0.01, "high": 0.3, "log": True}, "epochs": [5, 10]},
)
config.retrain({"epochs": 10, ...})         # the RetrainConfig of one trial
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, FiniteFloat, JsonValue, model_validator

from hemline.config.fields import Strict, WithArtifacts
from hemline.config.names import Name
from hemline.config.nested import merge
from hemline.config.retrain import RetrainConfig


class Range(Strict):
    """Numbers from low to high, which are among them: whole ones, if both are."""

    low: int | FiniteFloat = Field(description="the least")
    high: int | FiniteFloat = Field(description="the greatest")
    log: bool = Field(False, description="equally many between 0.001 and 0.01 as between 0.01 and 0.1")

    @model_validator(mode="after")
    def _has_numbers(self) -> Self:
        if not self.low < self.high or (self.log and self.low <= 0):
            rule = "low must be below high, and above 0 if log is true"
            raise ValueError(f"{rule}. Received: low={self.low}, high={self.high}, log={self.log}. Change the bounds.")
        return self


class SweepConfig(WithArtifacts):
    """A search for a better configuration. It looks at the validation split and never at the test split."""

    name: Name = Field("sweep", description="what the sweep is called")
    base: dict[str, JsonValue] = Field({}, description='fields of every run, as JSON: {"recipe": "best-mlp"}')
    space: dict[str, Range | list[JsonValue]] = Field(
        min_length=1,
        description='fields to try, as JSON: {"groups.lower.learning_rate": {"low": 0.001, "high": 0.01, "log": true}, '
        '"epochs": [5, 10]}',
    )
    trials: int = Field(20, ge=1, le=10_000, description="configurations to try")
    at_once: int = Field(2, ge=1, le=1000, description="runs that may be under way at the same time")
    deployment: str = Field("retrain/smoke", description="deployment that runs them, on whatever work pool it has")
    sampler: Literal["tpe", "random"] = Field("tpe", description="'tpe' learns from the trials before, see Optuna")
    pruner: Literal["median", "none"] = Field(
        "median", description="'median' ends a run that is below the median of the others after as many epochs"
    )
    seed: int = Field(42, ge=0, lt=2**31, description="seed of the sampler")

    @property
    def title(self) -> str:
        """What its run and directory are called for."""
        return self.name

    def retrain(self, values: Mapping[str, Any]) -> RetrainConfig:
        """The configuration of a trial. values: by the names in `space`."""
        return RetrainConfig.model_validate(self.recipe(values) | {"only_train": True, "force": True})

    def recipe(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The same as a person would write it into a file: `base` with these values."""
        fields: dict[str, Any] = dict(self.base)
        for name, value in values.items():
            for part in reversed(name.split(".")):
                value = {part: value}
            fields = merge(fields, value)
        return fields

    @model_validator(mode="after")
    def _can_be_tried(self) -> Self:
        """Each field by its first value, so that a misspelt one is refused before anything runs."""
        if empty := [name for name, values in self.space.items() if values == []]:
            raise ValueError(
                f"a list of values must not be empty. Received: {empty[0]}=[]. Name some, or leave it out."
            )
        firsts = {name: each.low if isinstance(each, Range) else each[0] for name, each in self.space.items()}
        if (config := self.retrain(firsts)).validation == "test":
            raise ValueError(
                "a sweep must not choose on the test split, which judges the result. Received: "
                f"validation={config.validation!r}. Give validation a number in base."
            )
        return self
