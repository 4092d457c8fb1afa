"""Where a run may write and delete: in a terminal, where its person says; of a deployment, under HEMLINE_ROOT.

    confine(artifacts_dir=artifacts_dir)        # first in a flow that takes a directory

Whoever reaches the server can start a deployment with any parameters, and need not be a user of the worker's machine.
HEMLINE_ALLOWED, in the worker's environment, lists other directories, with colons between them.
"""

import os
from pathlib import Path

from prefect import runtime

from hemline.config.paths import default_artifacts, is_store, root
from hemline.errors import ConfigurationError


def confine(**places: Path | str | None) -> None:
    """Raises ConfigurationError if a deployment's run was given a place outside."""
    if not runtime.deployment.id:
        return
    allowed = [root(), *map(Path, filter(None, os.environ.get("HEMLINE_ALLOWED", "").split(os.pathsep)))]
    for name, place in places.items():
        if is_store(place):
            if place != default_artifacts():
                raise ConfigurationError(
                    f"{name} of a deployment's run must be the store of its worker. Received: {name}={place}, where "
                    f"HEMLINE_ARTIFACTS={default_artifacts()}. Set that where the worker is started."
                )
            continue
        found = (root() / Path(place or "").expanduser()).resolve()  # follows .. and links
        if not any(found.is_relative_to(directory.resolve()) for directory in allowed):
            raise ConfigurationError(
                f"{name} of a deployment's run must be under HEMLINE_ROOT. Received: {name}={place}, which is {found}. "
                "Name a directory there, or list it in HEMLINE_ALLOWED where the worker is started."
            )
