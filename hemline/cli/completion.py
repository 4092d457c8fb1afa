"""What a shell completes after TAB: names, versions and runs that are there.

name: Annotated[str, typer.Option("--name", autocompletion=names)]

`hemline --install-completion` teaches it to bash, zsh or fish. Directories are listed and no file is read: a shell asks
at every TAB.
"""

from collections.abc import Iterator

import typer

from hemline.cli.columns import short_name


def names(context: typer.Context) -> list[str]:
    """Of models."""
    return sorted(_directories(context, "models/*"))


def numbers(context: typer.Context) -> list[str]:
    """Of the named model's versions, or of all; the newest first."""
    found = {each for each in _directories(context, f"models/{context.params.get('name') or '*'}/*") if each.isdigit()}
    return sorted(found, key=int, reverse=True)


def versions(context: typer.Context) -> list[str]:
    """What stands for a version."""
    return ["champion", *numbers(context)]


def runs_and_versions(context: typer.Context) -> list[str]:
    """What stands for a run or a version; the newest runs first."""
    runs = sorted(_directories(context, "runs/*"), reverse=True)  # as hemline.storage.runs has it, which takes 0.3 s
    return [*versions(context), *map(short_name, runs)]


def _directories(context: typer.Context, pattern: str) -> Iterator[str]:
    """Names of those that are not hidden, in the directory of artifacts."""
    from hemline.config.paths import artifacts_at, default_artifacts

    artifacts = artifacts_at(context.find_root().params.get("artifacts") or default_artifacts())  # no command has begun
    return (path.name for path in artifacts.glob(pattern) if path.is_dir() and not path.name.startswith("."))
