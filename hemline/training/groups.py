"""Different optimizers and learning rates for different layers: exercise 2b.

    groups = partition(model, config.groups.by_name(), config.frozen, steps_per_epoch=469, epochs=5)
    for group in groups:
        group.optimizer.apply(gradients_of(group.variables), group.variables)

Every trainable variable belongs to exactly one group or is frozen, no group is empty and every pattern matches:
`partition` refuses anything else. The chapter's listing shows why: it trains 4 of its 10 variables because
`model.layers[0]` is Flatten, and nothing says so.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import escape
from pkgutil import resolve_name

import keras

from hemline.config.optimizers import OPTIMIZERS, OptimizerGroup
from hemline.errors import ConfigurationError
from hemline.training.schedules import learning_rate


@dataclass(frozen=True)
class Group:
    """Variables and the one optimizer, already built, that trains them."""

    name: str
    variables: list[keras.Variable]
    optimizer: keras.optimizers.Optimizer


def labelled_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Trainable variables by 'layer/variable', e.g. 'norm_1/alpha': `variable.path` is another in a loaded model.

    A model used as a layer, built before or in place: 'backbone/conv/kernel'. Raises ConfigurationError unless each
    variable of the model has one label and each label one variable.
    """
    labelled = [
        (f"{layer.name}/{f'/{variable.path}'.partition(f'/{layer.name}/')[2] or variable.path}", variable)
        for layer in model.layers
        for variable in layer.trainable_variables
    ]
    owners: dict[int, list[str]] = {id(variable): [] for variable in model.trainable_variables}
    for label, variable in labelled:
        owners[id(variable)].append(label)
    problems = [
        f"{variable.path} is in {' and in '.join(owners[id(variable)]) or 'no layer'}"
        for variable in model.trainable_variables
        if len(owners[id(variable)]) != 1
    ]
    labels = Counter(label for label, _ in labelled)
    problems += [f"{count} variables are called {label}" for label, count in labels.items() if count > 1]
    if problems:
        raise ConfigurationError(
            "every trainable variable must be of one layer, under a name of its own, so that one optimizer can train "
            f"it. Received: a model of which {'; '.join(problems)}. Put weights into layers, use a layer on one level "
            "of the model alone, and give the layers of each model that is used as a layer different names."
        )
    return dict(labelled)


def assign(
    labels: Sequence[str], groups: Mapping[str, Sequence[str]], frozen: Sequence[str] = ()
) -> dict[str, str | None]:
    """The group of each label, or None where it is frozen.

    groups: patterns by group name. A pattern (shell wildcards, case counts) is matched against the layer's name and
    against the whole label.
    """
    problems = [f"{_named(group)} has no layer; null removes it" for group, own in groups.items() if not own]
    everyone: list[tuple[str | None, Sequence[str]]] = [*groups.items(), (None, frozen)]
    for group, patterns in everyone:
        unmatched = [pattern for pattern in patterns if not any(_matches(label, pattern) for label in labels)]
        problems += [f"pattern {pattern!r} of {_named(group)} matches no layer" for pattern in unmatched]
    claims = {
        label: [group for group, patterns in everyone if any(_matches(label, pattern) for pattern in patterns)]
        for label in labels
    }
    for label, owners in claims.items():
        if len(owners) != 1:
            problems.append(f"{label} is in {' and in '.join(map(_named, owners)) or 'no group and not frozen'}")
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


def layers_of(model: keras.Model, groups: Mapping[str, OptimizerGroup]) -> dict[str, Sequence[str]]:
    """Each group's patterns; where lower and upper have none: all layers with weights but the last, and the last."""
    *lower, last = [escape(layer.name) for layer in model.layers if layer.trainable_variables]
    by_default = {"lower": lower, "upper": [last]}
    return {name: group.layers or by_default[name] for name, group in groups.items()}


def _matches(label: str, pattern: str) -> bool:
    return fnmatchcase(label, pattern) or fnmatchcase(label.partition("/")[0], pattern)


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
    """
    variables = labelled_variables(model)
    owner = assign(list(variables), layers_of(model, groups), frozen)
    parts = []
    for name, group in groups.items():
        members = {label: variable for label, variable in variables.items() if owner[label] == name}
        row = OPTIMIZERS[group.optimizer]
        if row.matrices_only:
            _require_matrices(model, name, group.optimizer, members)
        rate = learning_rate(name, group, steps_per_epoch, epochs)
        given = {field: getattr(group, field) for field in row.takes}
        given |= {"global_clipnorm": group.clip_norm, "ema_momentum": ema_momentum}
        arguments = {field: value for field, value in given.items() if value is not None}
        make = resolve_name(row.keras_class)
        optimizer = make(rate, use_ema=ema_momentum is not None, **arguments, **row.always)
        optimizer.build(list(members.values()))  # slots must exist before the loop is traced
        parts.append(Group(name, list(members.values()), optimizer))
    return parts


def _require_matrices(model: keras.Model, name: str, optimizer: str, members: Mapping[str, keras.Variable]) -> None:
    """Muon makes the update of a matrix, or of a convolution's kernel as one, orthogonal. Any other variable Keras's
    Muon would quietly train by Adam."""
    layers = [layer for layer in model.layers if layer.trainable_variables]
    others = {layer.name for layer in layers if isinstance(layer, keras.layers.Embedding)} | {layers[-1].name}
    if refused := [
        label
        for label, variable in members.items()
        if len(variable.shape) not in (2, 4) or label.partition("/")[0] in others
    ]:
        raise ConfigurationError(
            f"{optimizer} takes matrices and kernels of convolutions only, and neither an embedding nor the last "
            f"layer's. Received: group {name!r} with {', '.join(refused)}. Give {optimizer} e.g. layers "
            "['hidden_*/kernel'], and these to a group with another optimizer."
        )


@contextmanager
def averaged(groups: Sequence[Group]) -> Iterator[None]:
    """Inside, variables hold the moving averages of their values after each step, if the run keeps them.

    Keras keeps the averages in each group's optimizer: after the first step a copy of the weights, then
    `ema_momentum` of the average and the rest of the weights. A checkpoint must be made outside.
    """
    groups = [group for group in groups if group.optimizer.use_ema]
    trained = [(variable, variable.numpy()) for group in groups for variable in group.variables]
    for group in groups:
        group.optimizer.finalize_variable_values(group.variables)
    try:
        yield
    finally:
        for variable, value in trained:
            variable.assign(value)
