"""Folders of small pictures whose classes a model can learn. For tests, not a test."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[3]
COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue sky é": (40, 40, 200)}


def write_picture(path: Path, colour: tuple[int, int, int], seed: int, size: tuple[int, int] = (6, 5)) -> None:
    """A noisy picture of one colour; no two seeds have the same. size: width, height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 40, (size[1], size[0], 3))
    Image.fromarray((np.array(colour) + noise).astype(np.uint8)).save(path)


def write_album(folder: Path, counts: Mapping[str, int], size: tuple[int, int] = (6, 5)) -> Path:
    """PATH/red/0.png and so on for each directory ('' for flat, 'train', 'test') and its pictures of each class."""
    seed = 0
    for directory, count in counts.items():
        for name, colour in COLOURS.items():
            for number in range(count):
                write_picture(folder / directory / name / f"{number}.png", colour, seed, size)
                seed += 1
    return folder


def commands(heading: str) -> list[str]:
    """The commands of a section of docs/data.md."""
    section = (ROOT / "docs" / "data.md").read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [line for line in section.partition("```\n")[2].partition("```")[0].splitlines() if line]
