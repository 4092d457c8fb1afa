"""Where things are: `root()` holds `data/` and `artifacts/`, CHECKOUT what comes with the code, e.g. `recipes/`.

artifacts_at("artifacts")                   # HEMLINE_ROOT/artifacts
artifacts_at("s3://models/hemline")         # HEMLINE_ROOT/shared/s3-models-hemline-1f0c0a9b: this machine's copy
"""

import hashlib
import os
import re
from pathlib import Path

from hemline.errors import ConfigurationError

SHARED = ".shared"  # in a copy: the address of its store
CHECKOUT = Path(__file__).resolve().parents[2]  # of an installed package: the directory it is installed in


def root() -> Path:
    """1. `HEMLINE_ROOT`, if set; 2. the checkout this package is imported from; 3. `~/hemline`."""
    # Never the current directory: Prefect runs flows in temporary ones.
    if configured := os.environ.get("HEMLINE_ROOT"):
        path = Path(configured).expanduser()
        if not path.is_absolute():
            raise ConfigurationError(
                "HEMLINE_ROOT must be absolute, since runs start in temporary directories. "
                f"Received: HEMLINE_ROOT={configured}. Set it to {path.absolute()} if that is what you mean."
            )
        return path
    return CHECKOUT if (CHECKOUT / "pyproject.toml").exists() else Path.home() / "hemline"


def default_artifacts() -> str:
    """HEMLINE_ARTIFACTS, which machines that share a store set once, or artifacts."""
    return os.environ.get("HEMLINE_ARTIFACTS") or "artifacts"


def is_store(place: object) -> bool:
    """Whether it is the address of an object store."""
    return "://" in str(place)


def artifacts_at(place: str | Path) -> Path:
    """Absolute directory of artifacts: relative to the root; of a store, the copy that this machine has of it."""
    if not is_store(place):
        return root() / Path(place).expanduser()
    url = str(place).rstrip("/")
    slug, digest = re.sub(r"[^A-Za-z0-9]+", "-", url)[:60], hashlib.sha256(url.encode()).hexdigest()[:8]
    directory = root() / "shared" / f"{slug}-{digest}"
    if not (directory / SHARED).exists():
        directory.mkdir(parents=True, exist_ok=True)
        (directory / SHARED).write_text(url)  # so that whoever is given the directory needs no address
    return directory


def option_of(artifacts: Path) -> list[str]:
    """What a command line must say to mean these artifacts: nothing, if they are where `hemline` looks."""
    if artifacts == artifacts_at(default_artifacts()):
        return []
    store = artifacts / SHARED
    return ["--artifacts", store.read_text() if store.is_file() else str(artifacts)]
