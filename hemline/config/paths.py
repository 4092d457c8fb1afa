"""Where things are: the checkout, and the directory that holds `data/` and `artifacts/`.

root() / "artifacts"                # HEMLINE_ROOT/artifacts, wherever a flow runs
CHECKOUT / "recipes"                # what comes with the code
"""

import os
from pathlib import Path

from hemline.errors import ConfigurationError

CHECKOUT = Path(__file__).resolve().parents[2]  # or what stands in for it, where this is installed


def root() -> Path:
    """The directory that holds `data/` and `artifacts/`.

    1. `HEMLINE_ROOT`, if set; 2. the checkout this package is imported from; 3. `~/hemline`.
    Prefect runs flows from temporary directories, so nothing may depend on the current one.
    """
    if configured := os.environ.get("HEMLINE_ROOT"):
        path = Path(configured).expanduser()
        if not path.is_absolute():
            raise ConfigurationError(
                "HEMLINE_ROOT must be absolute, since runs start in temporary directories. "
                f"Received: HEMLINE_ROOT={configured}. Set it to {path.absolute()} if that is what you mean."
            )
        return path
    return CHECKOUT if (CHECKOUT / "pyproject.toml").exists() else Path.home() / "hemline"
