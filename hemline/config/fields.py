"""What several configurations share: how strict they are, their artifacts, and the names that a field may take."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from hemline.config.paths import artifacts_at, default_artifacts
from hemline.models import MODELS

Device = Literal["auto", "cpu", "gpu"]
Grid = Literal["default", "full"]
Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]


def _known_or_importable(name: str) -> str:
    if name not in MODELS and not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", name):
        raise ValueError(
            f"a network must be one of {', '.join(MODELS)}, or package.module:function. Received: model={name!r}."
        )
    return name


ModelName = Annotated[str, AfterValidator(_known_or_importable)]


BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}


def for_the_form(schema: dict[str, Any]) -> None:
    """Changes a model's JSON schema so that its form in the Prefect UI sends only what a person filled in.

    The form sends every default it finds, which would override a recipe's values: defaults move to the description, and
    bounds beside them. For a truth value it shows a switch, and sends false for an untouched one: it becomes a choice.
    It cannot set a constant, which becomes a list of one.
    """
    for name, field in schema["properties"].items():
        branches = (field, *field.get("anyOf", ()))
        for branch in branches:
            if "const" in branch:
                branch["enum"] = [branch.pop("const")]
        if field.get("type") == "boolean":
            field["enum"] = [True, False]
            del field["type"]
        default = field.pop("default", None)
        notes = [] if default in (None, []) or isinstance(default, dict) else [f"default: {json.dumps(default)}"]
        notes += [
            f"{words} {branch[bound]}" for branch in branches for bound, words in BOUNDS.items() if bound in branch
        ]
        if notes:
            field["description"] = f"{field.get('description', '')}  [{'; '.join(notes)}]".lstrip()
        words = name.replace("_", " ")
        if field.get("title") in (None, words.title()):  # which is Pydantic's
            field["title"] = words.capitalize()


def _as_choice(schema: dict[str, Any]) -> None:
    del schema["anyOf"]
    schema["enum"] = [True, False, None]


def _as_text_or_object(schema: dict[str, Any]) -> None:
    del schema["type"], schema["additionalProperties"]
    schema["anyOf"] = [{"type": "string"}, {"type": "object"}]


def _parsed(given: Any) -> Any:
    try:
        return json.loads(given) if isinstance(given, str) else given
    except ValueError:
        return given  # which is refused as no mapping


# For a plain `dict` the form shows an editor, and sends its empty content.
Arguments = Annotated[dict[str, JsonValue], BeforeValidator(_parsed), Field(json_schema_extra=_as_text_or_object)]

# For a plain `bool | None` the form shows a switch, and sends false for an untouched one.
Choice = Annotated[bool | None, Field(json_schema_extra=_as_choice)]


def _as_text(given: Any) -> Any:
    return str(given) if isinstance(given, Path) else given


Place = Annotated[str, BeforeValidator(_as_text)]  # a directory, or an address: a path would make one slash of its two


class Strict(BaseModel):
    """Refuses unknown fields, and never changes once it is made."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=for_the_form)


class WithArtifacts(Strict):
    """A configuration of what writes artifacts."""

    artifacts_dir: Place = Field(
        default_factory=default_artifacts,
        description="directory of runs, models and proofs, relative to HEMLINE_ROOT, or the address of a store that "
        "machines share, s3://bucket/prefix; by default HEMLINE_ARTIFACTS, or artifacts",
    )

    @property
    def artifacts_path(self) -> Path:
        """Absolute directory of runs, models and proofs."""
        return artifacts_at(self.artifacts_dir)

    @property
    def proofs_path(self) -> Path:
        """Absolute directory of this machine's proofs."""
        return self.artifacts_path / "proofs"
