"""Different optimizers and learning rates for different layers: exercise 2b.

    groups = partition(model, config.groups.by_name(), frozen=config.frozen)
    for group in groups:
        group.optimizer.apply(gradients_of(group.variables), group.variables)

Every trainable variable belongs to exactly one group or is frozen, no group is empty and no
pattern is without a match: `partition` refuses anything else. The chapter's listing shows why:
it trains 4 of its 10 variables because `model.layers[0]` is Flatten, and nothing says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import keras

from hemline.config import OptimizerGroup
from hemline.errors import ConfigurationError


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


def partition(model: keras.Model, groups: Mapping[str, OptimizerGroup], frozen: Sequence[str] = ()) -> list[Group]:
    """The model's variables in their groups, each with a fresh optimizer of its own."""
    variables = labelled_variables(model)
    owner = assign(list(variables), {name: group.layers for name, group in groups.items()}, frozen)
    parts = []
    for name, group in groups.items():
        members = [variable for label, variable in variables.items() if owner[label] == name]
        optimizer = keras.optimizers.get(
            {"class_name": group.optimizer, "config": {"learning_rate": group.learning_rate}}
        )
        optimizer.build(members)  # slots must exist before the loop is traced
        parts.append(Group(name, members, optimizer))
    return parts
