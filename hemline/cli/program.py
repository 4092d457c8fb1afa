"""The program `hemline`, without its commands: what holds for all of them, and how it ends.

@app.command()
def runs(context: typer.Context, name: Name = None, as_json: Json = False) -> None: ...
main(["runs", "--json"])                            # a refusal is a sentence on stderr and exit code 1
"""

import errno
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from hemline.cli import completion
from hemline.config.paths import artifacts_at, default_artifacts, is_store
from hemline.errors import HemlineError

app = typer.Typer(
    help="Look at runs and model versions, ask them, and decide about them. Times are in UTC.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: Rich would take longer to import than all the rest
    pretty_exceptions_enable=False,
)


def _only_one(context: typer.Context, parameter: typer.CallbackParam, given: bool) -> bool:
    if given and context.meta.setdefault("hemline.format", parameter.name) != parameter.name:
        raise typer.BadParameter("exclude each other.", param_hint="--json and --csv")
    return given


Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.", callback=_only_one)]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV and nothing else.", callback=_only_one)]
Name = Annotated[
    str | None,
    typer.Option(
        "--name", help="The model's name; needed where a number could be several's.", autocompletion=completion.names
    ),
]


def main(argv: Sequence[str] | None = None) -> None:
    """The program."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head -1` ends it, as it ends every program
    try:
        app(args=argv, prog_name="hemline")
    except HemlineError as error:
        problem = str(error)
    except OSError as error:
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        problem = f"a file must be accessible. Received: {error.filename} ({error.strerror}). Check who owns it."
        if error.filename is None:
            problem = "there must be room for what is printed. Received: a full disk. Make room, or print elsewhere."
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries again when it ends
    print(problem, file=sys.stderr)
    raise SystemExit(1)


@app.callback()
def options(
    context: typer.Context,
    artifacts: Annotated[
        str | None,
        typer.Option(help="Directory or store of runs and models; HEMLINE_ARTIFACTS, or artifacts, if not given."),
    ] = None,
) -> None:
    """What holds for every command."""
    if artifacts and not is_store(artifacts):
        if not (directory := Path(artifacts).absolute()).is_dir():
            problem = f"must be a directory, or the address of a store. Received: {artifacts}."
            raise typer.BadParameter(problem, param_hint="--artifacts")
        artifacts = str(directory)
    context.obj = artifacts
    context.call_on_close(lambda: print(end="", flush=True))  # while it can be said that it fails


def artifacts_of(context: typer.Context) -> Path:
    """The directory that the command is about."""
    return artifacts_at(context.obj or default_artifacts())
