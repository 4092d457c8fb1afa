"""Command-line options made of a pydantic model.

    program(RetrainConfig, run)(["--epochs", "3"], prog_name="hemline retrain")     # run(RetrainConfig(epochs=3))

Every field is an option, described as in the form of the Prefect UI. Dots reach nested fields, as in
`--groups.lower.learning-rate 0.003`. A list is given by repetition or as JSON, a mapping as JSON, and `null` is none.
A refused value is a sentence and exit code 2. Variables of the environment, such as EPOCHS, change nothing.
"""

import json
from collections.abc import Callable, Iterator
from inspect import Parameter, Signature
from typing import Any, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from hemline.config.explain import explain
from hemline.config.nested import merge

Model = TypeVar("Model", bound=BaseModel)
# As typer names kinds in the help of other commands.
KINDS = {"string": "str", "integer": "int", "number": "float", "object": "JSON"}


def program(model: type[Model], run: Callable[[Model], None], description: str | None = None) -> typer.Typer:
    """A program that calls `run` with the model that its options describe."""

    def command(context: typer.Context, **options: Any) -> None:
        given: dict[str, Any] = {}
        for name, text in options.items():  # a mapping comes before its fields, which are laid over it
            value = _value(text)
            for part in reversed(name.split("__")):
                value = {part: value}
            given = given if text in (None, []) else merge(given, value)
        try:
            config = model(**given)
        except ValidationError as error:
            typer.echo(explain(error, f"See {context.command_path} --help."), err=True)
            raise typer.Exit(2) from None
        run(config)

    schema = model.model_json_schema()
    context = Parameter("context", Parameter.KEYWORD_ONLY, annotation=typer.Context)
    command.__signature__ = Signature([context, *_parameters(schema, schema.get("$defs", {}))])  # type: ignore[attr-defined]
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(help=description)(command)
    return app


def _parameters(schema: dict[str, Any], defined: dict[str, Any], outer: str = "") -> Iterator[Parameter]:
    """The options as typer reads them; a parameter's name cannot have dots and has `__` instead."""
    for field, about in schema["properties"].items():
        name = outer + field
        branches = [defined.get(part.get("$ref", "").rpartition("/")[2], part) for part in about.get("anyOf", [about])]
        flag, kinds = "--" + name.replace("__", ".").replace("_", "-"), "|".join(map(_kind, branches))
        option = typer.Option(None, flag, help=about["description"], metavar=f"<{kinds}>")
        kind = list[str] if "items" in about else str
        yield Parameter(name, Parameter.KEYWORD_ONLY, default=option, annotation=kind | None)
        for part in branches:
            if "properties" in part:
                yield from _parameters(part, defined, name + "__")


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "|".join(json.dumps(choice).strip('"') for choice in schema["enum"])
    if "items" in schema:
        return _kind(schema["items"]) + "..."
    return str(schema.get("format") or KINDS.get(schema["type"], schema["type"]))


def _value(text: str | list[str] | None) -> Any:
    if isinstance(text, list):
        values = [_value(each) for each in text]
        return values[0] if len(values) == 1 and isinstance(values[0], list) else values
    try:
        return json.loads(text) if text and (text == "null" or text[0] in "[{") else text
    except ValueError:
        return text  # such as the pattern [ab]*; the model judges it
