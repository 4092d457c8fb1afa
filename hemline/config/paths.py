"""Where things are: `root()` holds `data/` and `artifacts/`, CHECKOUT what comes with the code, e.g. `recipes/`."""

import os
from pathlib import Path

from hemline.errors import ConfigurationError

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
