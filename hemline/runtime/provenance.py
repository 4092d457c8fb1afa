"""Where a result comes from: Record(config=config, ..., **provenance())."""

import importlib.metadata
import os
import platform
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hemline.config.paths import CHECKOUT

PACKAGES = ("hemline", "tensorflow", "keras", "tensorflow-datasets", "numpy", "pillow", "pandas", "prefect")
COMMIT = "HEMLINE_COMMIT"  # of an image, which has no checkout: the Dockerfile's argument COMMIT


def provenance(checkout: Path = CHECKOUT) -> dict[str, Any]:
    """The fields of a record that the process alone decides: commit of its code, packages, time."""
    return {"git_commit": git_commit(checkout), "packages": package_versions(), "created": datetime.now(UTC)}


def package_versions() -> dict[str, str]:
    """Python and the packages that decide what a run computes."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def git_commit(checkout: Path = CHECKOUT) -> str | None:
    """The checkout's commit, with '-dirty' if files differ from it; without one, an image's; else None."""
    if not (checkout / ".git").exists():  # git would find a repository that merely holds the environment
        return os.environ.get(COMMIT) or None
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    return None
