"""Complete configurations by name: the files in recipes/.

    RetrainConfig(recipe="chapter", epochs=20)          # recipes/chapter.yaml, but longer
    parameters: {config: {recipe: chapter, epochs: 20}} # of a deployment, in prefect.yaml

A recipe is replaced by its values when a configuration is made, before anything runs.
"""

from pathlib import Path
from typing import Any

import yaml

from hemline.config.paths import CHECKOUT


def known() -> dict[str, Path]:
    """The recipe files by name."""
    return {path.stem: path for path in sorted((CHECKOUT / "recipes").glob("*.yaml"), key=lambda path: path.stem)}


def read(name: Any) -> dict[str, Any]:
    """The values in a recipe file."""
    recipes = known()
    if not isinstance(name, str) or name not in recipes:
        raise ValueError(f"recipe must be one of {', '.join(recipes)}. Received: recipe={name!r}.")
    values: dict[str, Any] = yaml.safe_load(recipes[name].read_text())
    return values
