"""Which optimizer trains which layers, and with what learning rate over time.

    OptimizerGroup(layers=["hidden_*"], optimizer="adamw", learning_rate=1e-3, weight_decay=0.01)

An optimizer is a row of `OPTIMIZERS`: CONTRIBUTING.md, "Add an optimizer".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from hemline.config.fields import Choice, Strict, for_the_form


@dataclass(frozen=True)
class KerasOptimizer:
    """An optimizer. Schema, help and refusals are made of these."""

    keras_class: str  # 'module:class'; takes a learning rate, a clipping norm and moving averages as every Keras one
    takes: Mapping[str, Any] = field(default_factory=dict)  # fields of OptimizerGroup, with the class's own defaults
    always: Mapping[str, Any] = field(default_factory=dict)  # further arguments of the class
    matrices_only: bool = False  # refuses vectors, embeddings and the last layer; a convolution's kernel is one


OPTIMIZERS = {
    "adam": KerasOptimizer("keras.optimizers:Adam"),  # with weight decay it is adamw
    "adamw": KerasOptimizer("keras.optimizers:AdamW", {"weight_decay": 0.004}),
    "sgd": KerasOptimizer("keras.optimizers:SGD", {"momentum": 0.0, "nesterov": False, "weight_decay": None}),
    "rmsprop": KerasOptimizer("keras.optimizers:RMSprop", {"momentum": 0.0, "weight_decay": None}),
    "nadam": KerasOptimizer("keras.optimizers:Nadam", {"weight_decay": None}),
    "lion": KerasOptimizer("keras.optimizers:Lion", {"weight_decay": None}),
    "muon": KerasOptimizer(
        "hemline.training.muon:Muon",
        {"momentum": 0.95, "nesterov": True, "weight_decay": 0.004, "ns_steps": 5},
        # Keras would train every variable with 'embedding' in its path by Adam; `matrices_only` goes by the layer.
        always={"exclude_embeddings": False},
        matrices_only=True,
    ),
}
_OPTIONAL = {name for row in OPTIMIZERS.values() for name in row.takes}
_MATRICES_ONLY = ", ".join(name for name, row in OPTIMIZERS.items() if row.matrices_only)


def _help(name: str, meaning: str) -> str:
    """An optional field's help: what it means, which optimizers take it, and what null stands for with each."""
    defaults = {optimizer: row.takes[name] for optimizer, row in OPTIMIZERS.items() if name in row.takes}
    words = {optimizer: "none" if value is None else json.dumps(value) for optimizer, value in defaults.items()}
    return f"{meaning}; for " + ", ".join(f"{optimizer} (null: {word})" for optimizer, word in words.items())


if TYPE_CHECKING:
    OptimizerName = str
else:
    OptimizerName = Literal[tuple(OPTIMIZERS)]

_PATTERNS = "patterns of layer names, e.g. 'hidden_*' (shell wildcards)"
_OPTIMIZER = f"Keras optimizer ({_MATRICES_ONLY}: only matrices, and neither embeddings nor the last layer's)"
_SCHEDULE = "how the learning rate changes over the run"
Patterns = Annotated[list[str], Field(min_length=1, description=_PATTERNS)]
DEFAULT_LAYERS = {"lower": "all layers with weights but the last", "upper": "the last layer with weights"}
LowerLayers = Annotated[list[str], Field(description=f"{_PATTERNS}; by default {DEFAULT_LAYERS['lower']}")]
UpperLayers = Annotated[list[str], Field(description=f"{_PATTERNS}; by default {DEFAULT_LAYERS['upper']}")]
Optimizer = Annotated[OptimizerName, Field(description=_OPTIMIZER)]
LearningRate = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False, description="step size of an update")]


Kind = Annotated[Literal["constant", "cosine", "piecewise"], Field(description="what follows the warm-up")]


class Schedule(Strict):
    """How a learning rate changes over the run. Times are in epochs; a fraction of one is a time too."""

    kind: Kind = "constant"
    warmup_epochs: FiniteFloat = Field(
        0, ge=0, title="Warm-up (epochs)", description="epochs over which the rate first rises linearly"
    )
    final_fraction: float = Field(0, ge=0, le=1, description="cosine: share of the learning rate at the end of the run")
    change_at: list[Annotated[FiniteFloat, Field(gt=0)]] = Field(
        [], title="Change at (epochs)", description="piecewise: epochs after which the rate changes, ascending"
    )
    change_to: list[Annotated[FiniteFloat, Field(ge=0, le=1000)]] = Field(
        [], description="piecewise: the share of the learning rate from then on, one for each change_at"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        at, to, kind = self.change_at, self.change_to, f"kind={self.kind!r}"
        given = f"Received: {kind}, change_at={at}, change_to={to}."
        if self.final_fraction and self.kind != "cosine":
            given = f"Received: {kind}, final_fraction={self.final_fraction:g}."
            raise ValueError(f"final_fraction is for kind 'cosine'. {given} Remove it or change kind.")
        if (at or to) and self.kind != "piecewise":
            raise ValueError(f"change_at and change_to are for kind 'piecewise'. {given} Remove them or change kind.")
        if self.kind == "piecewise" and not (len(at) == len(to) > 0 and at == sorted(set(at))):
            raise ValueError(f"kind 'piecewise' needs ascending change_at and as many change_to. {given} Give both.")
        return self


class CosineByDefault(Schedule):
    """A schedule that is a cosine where its kind is not given."""

    kind: Kind = "cosine"


class OptimizerGroup(Strict):
    """The variables of some layers, and the optimizer that trains them.

    A field that is null keeps Keras's default. A field that the optimizer does not take is refused, not ignored.
    """

    layers: Patterns
    optimizer: Optimizer
    learning_rate: LearningRate
    schedule: Annotated[Schedule, Field(description=_SCHEDULE)] = Schedule()
    momentum: float | None = Field(None, ge=0, lt=1, description=_help("momentum", "share of the last update to keep"))
    nesterov: Choice = Field(None, description=_help("nesterov", "take the gradient ahead of the momentum"))
    weight_decay: float | None = Field(
        None, ge=0, le=100, description=_help("weight_decay", "share a weight loses at a step, times the learning rate")
    )
    ns_steps: int | None = Field(
        None,
        ge=1,
        le=5,
        title="Newton-Schulz steps",
        description=_help("ns_steps", "Newton-Schulz steps towards an orthogonal update"),
    )
    clip_norm: FiniteFloat | None = Field(None, gt=0, description="largest norm of all the group's gradients together")

    @model_validator(mode="after")
    def _optimizer_takes_what_is_given(self) -> Self:
        takes = OPTIMIZERS[self.optimizer].takes
        for name in sorted(_OPTIONAL - takes.keys()):
            value = getattr(self, name)
            if value is not None:
                takers = ", ".join(optimizer for optimizer, row in OPTIMIZERS.items() if name in row.takes)
                given = f"optimizer={self.optimizer!r}, {name}={value!r}"
                raise ValueError(f"{name} is for {takers}. Received: {given}. Remove it or change optimizer.")
        momentum = takes.get("momentum") if self.momentum is None else self.momentum
        if self.nesterov and not momentum:
            raise ValueError(
                f"nesterov needs momentum. Received: nesterov=True, momentum={self.momentum}. Set momentum, e.g. 0.9."
            )
        return self


class LowerGroup(OptimizerGroup):
    """The lower layers."""

    layers: LowerLayers = Field([])
    optimizer: Optimizer = "adam"
    learning_rate: LearningRate = 2e-3
    schedule: Annotated[CosineByDefault, Field(description=_SCHEDULE)] = CosineByDefault()


class UpperGroup(OptimizerGroup):
    """The upper layers."""

    layers: UpperLayers = Field([])
    optimizer: Optimizer = "sgd"
    learning_rate: LearningRate = 0.1
    schedule: Annotated[CosineByDefault, Field(description=_SCHEDULE)] = CosineByDefault()


class OptimizerGroups(BaseModel):
    """Lower and upper layers, and further groups by name. A group given in part keeps its defaults; null removes it."""

    model_config = ConfigDict(extra="allow", frozen=True, json_schema_extra=for_the_form)
    __pydantic_extra__: dict[str, OptimizerGroup] = Field(init=False)

    lower: LowerGroup | None = Field(LowerGroup(), description="the lower layers")
    upper: UpperGroup | None = Field(UpperGroup(), description="the upper layers")

    def by_name(self) -> dict[str, OptimizerGroup]:
        """The groups there are, in the order lower, upper, others."""
        named = {"lower": self.lower, "upper": self.upper, **self.__pydantic_extra__}
        return {name: group for name, group in named.items() if group is not None}
