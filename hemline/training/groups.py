"""Different optimizers and learning rates for different layers: exercise 2b.

    groups = partition(model, config.groups.by_name(), frozen=config.frozen)
    for group in groups:
        group.optimizer.apply(gradients_of(group.variables), group.variables)

Every trainable variable belongs to exactly one group or is frozen, no group is empty and no
pattern is without a match: `partition` refuses anything else. The chapter's listing shows why:
it trains 4 of its 10 variables because `model.layers[0]` is Flatten, and nothing says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pkgutil import resolve_name

import keras

from hemline.config.optimizers import OPTIMIZERS, OptimizerGroup
from hemline.errors import ConfigurationError
from hemline.training.schedules import ScheduledRate, learning_rate


@dataclass(frozen=True)
class Group:
    """Variables and the one optimizer, already built, that trains them."""

    name: str
    variables: list[keras.Variable]
    optimizer: keras.optimizers.Optimizer


def labelled_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Trainable variables by 'layer/variable', e.g. 'norm_1/alpha'.

    Not the whole `variable.path`, which loses the model's name when the model is loaded again.
    """
    return {
        layer.name + "/" + f"/{variable.path}".partition(f"/{layer.name}/")[2]: variable
        for layer in model.layers
        for variable in layer.trainable_variables
    }


def assign(
    labels: Sequence[str], groups: Mapping[str, Sequence[str]], frozen: Sequence[str] = ()
) -> dict[str, str | None]:
    """The group of each label, or None where it is frozen.

    labels: 'layer/variable'. groups: patterns by group name. A pattern (shell wildcards, case
    counts) is matched against the layer's name and against the whole label.
    """
    claims: dict[str, list[str | None]] = {label: [] for label in labels}
    problems: list[str] = []
    for group, patterns in [*groups.items(), (None, frozen)]:
        for pattern in patterns:
            matched = [
                label
                for label in labels
                if fnmatchcase(label, pattern) or fnmatchcase(label.partition("/")[0], pattern)
            ]
            if not matched:
                problems.append(f"pattern {pattern!r} of {_named(group)} matches no layer")
            for label in matched:
                if group not in claims[label]:
                    claims[label].append(group)
    for group in groups:
        if not groups[group]:
            problems.append(f"{_named(group)} has no pattern")
    for label, owners in claims.items():
        if not owners:
            problems.append(f"{label} is in no group and not frozen")
        elif len(owners) > 1:
            problems.append(f"{label} is in {' and in '.join(map(_named, owners))}")
    if labels and all(owners == [None] for owners in claims.values()):
        problems.append("nothing is left to train")
    if problems:
        described = "; ".join(f"{_named(group)}={list(patterns)}" for group, patterns in groups.items())
        raise ConfigurationError(
            "every trainable variable must be in exactly one optimizer group or frozen, and every pattern "
            f"must match. Received: {described}; frozen={list(frozen)}. Problems: {'; '.join(problems)}. "
            f"Variables: {', '.join(labels)}. Change the patterns under groups or frozen."
        )
    return {label: owners[0] for label, owners in claims.items()}


def _named(group: str | None) -> str:
    return "frozen" if group is None else f"group {group!r}"


def partition(
    model: keras.Model,
    groups: Mapping[str, OptimizerGroup],
    frozen: Sequence[str] = (),
    *,
    steps_per_epoch: int | None = None,
    epochs: int | None = None,
    ema_momentum: float | None = None,
) -> list[Group]:
    """The model's variables in their groups, each with a fresh optimizer of its own.

    steps_per_epoch, epochs: what schedules are counted in. ema_momentum: see `averaged`.
    All that the next step depends on is in the variables of the model and of these optimizers.
    """
    variables = labelled_variables(model)
    owner = assign(list(variables), {name: group.layers for name, group in groups.items()}, frozen)
    parts = []
    for name, group in groups.items():
        members = {label: variable for label, variable in variables.items() if owner[label] == name}
        if OPTIMIZERS[group.optimizer].matrices_only:
            _require_matrices(model, name, group.optimizer, members)
        optimizer = _optimizer(group, learning_rate(name, group, steps_per_epoch, epochs), ema_momentum)
        optimizer.build(list(members.values()))  # slots must exist before the loop is traced
        parts.append(Group(name, list(members.values()), optimizer))
    return parts


def _optimizer(
    group: OptimizerGroup, rate: float | ScheduledRate, ema_momentum: float | None
) -> keras.optimizers.Optimizer:
    row = OPTIMIZERS[group.optimizer]
    given = {name: getattr(group, name) for name in row.takes} | {
        "global_clipnorm": group.clip_norm,
        "ema_momentum": ema_momentum,
        "use_ema": None if ema_momentum is None else True,
    }
    arguments = {name: value for name, value in given.items() if value is not None}
    optimizer: keras.optimizers.Optimizer = resolve_name(row.keras_class)(rate, **arguments, **row.always)
    return optimizer


def _require_matrices(model: keras.Model, name: str, optimizer: str, members: Mapping[str, keras.Variable]) -> None:
    """Muon makes the update of a matrix orthogonal; for all else Keras's would quietly be an Adam."""
    layers = [layer for layer in model.layers if layer.trainable_variables]
    others = {layer.name for layer in layers if isinstance(layer, keras.layers.Embedding)} | {layers[-1].name}
    refused = [
        label for label, variable in members.items() if len(variable.shape) != 2 or label.partition("/")[0] in others
    ]
    if refused:
        raise ConfigurationError(
            f"{optimizer} takes matrices only, and neither an embedding nor the last layer's. Received: "
            f"group {name!r} with {', '.join(refused)}. Give {optimizer} e.g. layers ['hidden_*/kernel'], and these to "
            "a group with another optimizer."
        )


@contextmanager
def averaged(groups: Sequence[Group]) -> Iterator[None]:
    """Inside, variables hold the moving averages of their values after each step, if the run keeps them.

    The averages are variables of each group's optimizer, made by Keras: after the first step a copy of the
    weights, then `ema_momentum` of themselves and the rest of the weights. So a checkpoint of model and
    optimizers is complete, if it is made outside.
    """
    groups = [group for group in groups if group.optimizer.use_ema]
    trained = [[variable.numpy() for variable in group.variables] for group in groups]
    for group in groups:
        group.optimizer.finalize_variable_values(group.variables)
    try:
        yield
    finally:
        for group, values in zip(groups, trained, strict=True):
            for variable, value in zip(group.variables, values, strict=True):
                variable.assign(value)
