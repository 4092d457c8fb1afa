"""Refusals of a configuration: a line for each field, with rule, value received and remedy."""

import difflib
import re

from pydantic import ValidationError

from hemline.config.checks import Checks
from hemline.config.gate import Gate
from hemline.config.optimizers import OptimizerGroup, Schedule
from hemline.config.retrain import RetrainConfig


def explain(error: ValidationError, where: str) -> str:
    """A line for each refused field. where: the last sentence of each remedy."""
    lines: dict[str, str] = {}
    rules: dict[str, list[str]] = {}
    for item in error.errors():
        if item["type"] == "default_factory_not_called":  # for want of the field that it is made of, which has a line
            continue
        # pydantic reports every branch of a union that it tried, with the branch's name in the field's.
        field = ".".join(str(part) for part in item["loc"] if part not in _BRANCHES)
        name = field.rpartition(".")[2]
        if item["type"] == "extra_forbidden":
            close = difflib.get_close_matches(name, _FIELDS, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Fields: {', '.join(sorted(_FIELDS))}."
            lines[field] = f"{field} is not a field. Received: {name}={item['input']!r}. {hint}"
        elif item["type"] == "value_error":  # from our own validators: a whole sentence but for the place
            lines[field or item["msg"]] = f"{field}: {item['ctx']['error']} {where}".removeprefix(": ")
        elif item["type"] == "missing":
            lines[field] = f"{field} must be given. Received: {item['input']!r} without it. {where}"
        else:
            rules.setdefault(field, []).append(_rule(item["msg"]))
            rule = " or ".join(rules[field])
            lines[field] = f"{field} must be {rule}. Received: {name}={item['input']!r}. {where}"
    return "\n".join(lines.values())


_BRANCHES = {"literal['test']", "constrained-int"}
_MODELS = (RetrainConfig, OptimizerGroup, Schedule, Checks, Gate)
_FIELDS = {name for model in _MODELS for name in model.model_fields}


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
        "a valid dictionary": "a mapping",
    }.items():
        message = message.replace(words, sign)
    return re.sub(r", unable to .*|valid | or instance of \w+", "", message)
