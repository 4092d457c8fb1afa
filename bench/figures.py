"""Figures of a bench in a JSON file, each kept as it comes, so that measuring can be ended and begun again.

keep(FIGURES, ("mlp", "adam 0.0069", "11"), 0.9059)
read(FIGURES)["mlp"]["adam 0.0069"]["11"]           # 0.9059
"""

import json
from pathlib import Path
from typing import Any

from hemline.storage.files import whole_file


def read(path: Path) -> dict[str, Any]:
    """All of them; none if there is no file."""
    figures: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return figures


def put(path: Path, names: tuple[str, ...], value: object) -> dict[str, Any]:
    """Puts a value under these names, and returns all. The file is read anew: two processes may divide the work."""
    figures = place = read(path)
    for name in names[:-1]:
        place = place.setdefault(name, {})
    place[names[-1]] = value
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(figures, indent=1) + "\n")
    return figures
