"""Command-line options made of a pydantic model.

    config = parse(RetrainConfig, prog="python -m flows.retrain", description=..., argv=["--epochs", "3"])

Every field is an option with its description as help; nested fields are reached by dots, as in
`--groups.lower.learning-rate 0.003`. A refused value is a line that states rule, value and remedy, and
exit code 2.
"""

import sys
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, CliSettingsSource, PydanticBaseSettingsSource, SettingsError

from hemline.config.explain import explain

Model = TypeVar("Model", bound=BaseModel)


def parse(model: type[Model], prog: str, description: str, argv: Sequence[str]) -> Model:
    """The model that the options describe. Exits as argparse does for --help and for bad options."""

    class Options(model, BaseSettings):  # type: ignore[misc, valid-type]
        __doc__ = description

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *args: Any, **sources: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            # Only the command line: a variable EPOCHS in the environment is none of ours.
            return (
                CliSettingsSource(
                    settings_cls,
                    cli_prog_name=prog,
                    cli_parse_args=list(argv),
                    cli_kebab_case=True,
                    cli_hide_none_type=True,
                    cli_avoid_json=False,
                ),
            )

    try:
        return model(**Options().model_dump(exclude_unset=True))
    except ValidationError as error:
        problem = explain(error, f"See {prog} --help.")
    except SettingsError as error:
        problem = f"an option that takes JSON must be given JSON. Received: {error}. See {prog} --help."
    print(problem, file=sys.stderr)
    raise SystemExit(2)
