"""Which optimizer trains which layers, and with what learning rate over time.

    OptimizerGroup(layers=["hidden_*"], optimizer="adamw", learning_rate=1e-3, weight_decay=0.01)

An optimizer is a row of `OPTIMIZERS`: CONTRIBUTING.md, "Add an optimizer".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hemline.config.fields import Choice, Strict, for_the_form


@dataclass(frozen=True)
class KerasOptimizer:
    """An optimizer by name. Schema, help, refusals and the optimizers of a run are made of these.

    The class takes a learning rate, and all that every Keras optimizer takes: a clipping norm, moving averages.
    """

    keras_class: str  # 'module:class', imported when it is made
    takes: Mapping[str, Any] = field(default_factory=dict)  # fields of OptimizerGroup, and the class's own defaults
    always: Mapping[str, Any] = field(default_factory=dict)  # further arguments of the class
    matrices_only: bool = False  # refuses vectors, embeddings and the last layer


OPTIMIZERS = {
    "adam": KerasOptimizer("keras.optimizers:Adam"),  # with weight decay it is adamw
    "adamw": KerasOptimizer("keras.optimizers:AdamW", {"weight_decay": 0.004}),
    "sgd": KerasOptimizer("keras.optimizers:SGD", {"momentum": 0.0, "nesterov": False, "weight_decay": None}),
    "rmsprop": KerasOptimizer("keras.optimizers:RMSprop", {"momentum": 0.0, "weight_decay": None}),
    "nadam": KerasOptimizer("keras.optimizers:Nadam", {"weight_decay": None}),
    "lion": KerasOptimizer("keras.optimizers:Lion", {"weight_decay": None}),
    "muon": KerasOptimizer(
        "keras.optimizers:Muon",
        {"momentum": 0.95, "nesterov": True, "weight_decay": 0.004},
        # Keras would train every variable with 'embedding' in its path by Adam; `matrices_only` goes by the layer.
        always={"exclude_embeddings": False},
        matrices_only=True,
    ),
}
_OPTIONAL = tuple(dict.fromkeys(name for row in OPTIMIZERS.values() for name in row.takes))
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

Patterns = Annotated[
    list[str],
    Field(min_length=1, description="patterns of layer names, e.g. 'hidden_*' (shell wildcards)"),
]
Optimizer = Annotated[
    OptimizerName,
    Field(
        description=f"Keras optimizer ({_MATRICES_ONLY}: only matrices, and neither embeddings nor the last layer's)"
    ),
]
OF_THE_MODEL = "patterns of layer names, e.g. 'hidden_*' (shell wildcards); by default the model's own"
LearningRate = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False, description="step size of an update")]


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

    A field that is null keeps Keras's default. A field that the optimizer does not take is refused, not ignored.
    """

    layers: Patterns
    optimizer: Optimizer
    learning_rate: LearningRate
    schedule: Schedule = Field(Schedule(), description="how the learning rate changes over the run")
    momentum: float | None = Field(
        None, ge=0, lt=1, description=_help("momentum", "share of the last update that is kept")
    )
    nesterov: Choice = Field(None, description=_help("nesterov", "take the gradient ahead of the momentum"))
    weight_decay: float | None = Field(
        None,
        ge=0,
        le=100,
        description=_help("weight_decay", "share of a weight, times the learning rate, that is taken off at each step"),
    )
    clip_norm: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="largest norm of all the group's gradients together"
    )

    @model_validator(mode="after")
    def _optimizer_takes_what_is_given(self) -> Self:
        takes = OPTIMIZERS[self.optimizer].takes
        for name in _OPTIONAL:
            value = getattr(self, name)
            if value is not None and name not in takes:
                takers = ", ".join(optimizer for optimizer, row in OPTIMIZERS.items() if name in row.takes)
                raise ValueError(
                    f"{name} is for {takers}. Received: optimizer={self.optimizer!r}, {name}={value!r}. "
                    "Remove it or change optimizer."
                )
        momentum = takes.get("momentum") if self.momentum is None else self.momentum
        if self.nesterov and not momentum:
            raise ValueError(
                f"nesterov needs momentum. Received: nesterov=True, momentum={self.momentum}. Set momentum, e.g. 0.9."
            )
        return self


class LowerGroup(OptimizerGroup):
    """Every layer below the last one."""

    layers: Patterns = Field([], description=OF_THE_MODEL)
    optimizer: Optimizer = "adam"
    learning_rate: LearningRate = 1e-3


class UpperGroup(OptimizerGroup):
    """The last Dense layer."""

    layers: Patterns = Field([], description=OF_THE_MODEL)
    optimizer: Optimizer = "sgd"
    learning_rate: LearningRate = 0.1


class OptimizerGroups(BaseModel):
    """Lower and upper layers with an optimizer each, and any further groups by name.

    A group that is given in part keeps the rest of its default; `null` removes it.
    """

    model_config = ConfigDict(extra="allow", frozen=True, json_schema_extra=for_the_form)
    __pydantic_extra__: dict[str, OptimizerGroup] = Field(init=False)

    lower: LowerGroup | None = Field(LowerGroup(), description="the layers below the last one")
    upper: UpperGroup | None = Field(UpperGroup(), description="the last Dense layer")

    def by_name(self) -> dict[str, OptimizerGroup]:
        """The groups there are, in the order lower, upper, others."""
        named: dict[str, OptimizerGroup | None] = {"lower": self.lower, "upper": self.upper}
        named |= self.__pydantic_extra__
        return {name: group for name, group in named.items() if group is not None}
