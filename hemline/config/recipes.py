"""Complete configurations by name: the files in recipes/.

    RetrainConfig(recipe="chapter", epochs=20)          # recipes/chapter.yaml, but longer
    parameters: {config: {recipe: chapter, epochs: 20}} # of a deployment, in prefect.yaml

A recipe of one's own, such as the best of a sweep, is named by its path from HEMLINE_ROOT, which ends in .yaml.

A recipe is replaced by its values when a configuration is made, before anything runs.
"""

from pathlib import Path
from typing import Any

import yaml

from hemline.config.paths import CHECKOUT, root


def known() -> dict[str, Path]:
    """The recipe files by name."""
    return {path.stem: path for path in sorted((CHECKOUT / "recipes").glob("*.yaml"), key=lambda path: path.stem)}


def read(name: Any) -> dict[str, Any]:
    """The values in a recipe file."""
    recipes = known()
    path = recipes.get(name) if isinstance(name, str) else None
    own = (root() / str(name)).resolve()  # a deployment's run may read no other files
    if path is None and own.suffix == ".yaml" and own.is_relative_to(root().resolve()):
        path = own
    try:
        values = yaml.safe_load(path.read_text()) if path else None
    except (OSError, yaml.YAMLError):
        values = None
    if not isinstance(values, dict):
        raise ValueError(
            f"recipe must be one of {', '.join(recipes)}, or the path of a YAML file under HEMLINE_ROOT. Received: "
            f"recipe={name!r}."
        )
    return values
