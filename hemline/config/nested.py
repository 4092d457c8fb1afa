"""Mappings within mappings: laid over another, flattened, or compared.

merge({"gate": {"margin": 0, "minimum_accuracy": 0}}, {"gate": {"margin": 1}})      # margin 1, the rest kept
flat({"gate": {"margin": 0}})                                                       # {'gate.margin': 0}
differences({"epochs": 5, "seed": 1}, {"epochs": 20, "seed": 1})                    # {'epochs': (5, 20)}
"""

from collections.abc import Mapping
from typing import Any

ABSENT = "-"  # the value of a field that only the other one has


def merge(base: Any, over: Any) -> Any:
    """The values of `over`, and those of `base` that it lacks, at every depth."""
    if not (isinstance(base, Mapping) and isinstance(over, Mapping)):
        return over
    return {**base, **{name: merge(base.get(name), value) for name, value in over.items()}}


def flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """One level, names joined by dots. An empty mapping stays a value, so that `differences` sees it."""
    result: dict[str, Any] = {}
    for name, value in nested.items():
        inner = isinstance(value, Mapping) and value
        result |= flat(value, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value}
    return result


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The fields that differ, by their flat names, with both values."""
    before, after = flat(one), flat(other)
    pairs = {name: (before.get(name, ABSENT), after.get(name, ABSENT)) for name in {**before, **after}}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
