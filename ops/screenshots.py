"""The pictures of README.md and docs/: of real nights, in a real browser.

    make screenshots                                    # into docs/, light; 3 minutes on 2 quiet cores
    make screenshots ARGS="--look /tmp/pictures"        # to look at: each wide and narrow, light and dark

It starts a server and a worker of its own, in a temporary directory, and has ops/history.py make the nights. Needs a
Chromium on the PATH (Debian: apt-get install chromium). A picture more is a row of PICTURES.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import product
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from hemline.config.data import DataConfig
from hemline.config.paths import CHECKOUT
from hemline.data.dataset import load_split
from hemline.data.decoding import prepare
from ops.browser import Look, browser, drop, open_page
from ops.chaos.lane import Lane
from ops.history import NAME, History, make, serving
from tasks.production import key_of

DOCS = CHECKOUT / "docs"
LOOKS = [Look(dark, width) for dark, width in product((False, True), (1400, 800))]


@dataclass(frozen=True)
class Picture:
    """Where it is taken. text: shows when the page is there; act: what a person does first."""

    address: Callable[[History], str]
    text: str
    height: int = 900
    act: Callable[[Page], object] = lambda page: None


PICTURES = {
    "runs": Picture(lambda nights: f"{nights.ui}/runs", "Unchanged", 1460),
    "flow-run": Picture(lambda nights: nights.page("first"), "Finished in state"),
    "resumed": Picture(lambda nights: nights.page("better"), "Finished in state"),
    "production": Picture(lambda nights: nights.artifact("waiting", key_of(NAME)), "What needs you now", 1500),
    "index": Picture(History.index, "What needs you now", 1800),
    "approval": Picture(
        lambda nights: nights.page("waiting"), "Resume", act=lambda page: page.get_by_text("Resume").click()
    ),
    "run-form": Picture(History.form, "Learning rate"),
    "artifacts": Picture(lambda nights: f"{nights.ui}/artifacts", "layer-norm-parity", 640),
    "report": Picture(lambda nights: nights.artifact("better", "report"), "Curves"),
    "serve": Picture(lambda nights: nights.served, "fashion_mnist", 640, act=lambda page: drop_a_picture(page)),
}


def main() -> None:
    """Makes the nights, and takes every picture of them."""
    parser = argparse.ArgumentParser(prog="python -m ops.screenshots", description=__doc__.partition("\n")[0])
    parser.add_argument("--look", type=Path, metavar="DIRECTORY", help="take them to look at, into this directory")
    parser.add_argument("--only", choices=PICTURES, nargs="+", default=PICTURES, help="these pictures alone")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hemline-pictures-") as scratch, Lane(Path(scratch) / "root") as lane:
        nights = make(lane, prepare(DataConfig()))
        with serving(nights) as nights, browser() as chromium:
            for path in take(chromium, nights, arguments.only, arguments.look):
                print(f"{path}  {path.stat().st_size:,} bytes")


def drop_a_picture(page: Page) -> None:
    """The first of the test split."""
    image = Image.fromarray(load_split(prepare(DataConfig()), "test")[0][0, ..., 0])
    image.save(file := BytesIO(), "PNG")
    drop(page, "#place", "coat.png", file.getvalue())
    page.get_by_alt_text("coat.png").wait_for()


def take(chromium: Browser, nights: History, names: Iterable[str], directory: Path | None) -> Iterator[Path]:
    """The files of the pictures. directory: where they are taken in every look; None takes those of docs/."""
    for name in names:
        if directory is None:
            yield photograph(chromium, nights, PICTURES[name], Look(), DOCS / f"{name}.png")
        else:
            directory.mkdir(parents=True, exist_ok=True)
            for look in LOOKS:
                path = directory / f"{name}-{look.width}-{look.scheme}.png"
                yield photograph(chromium, nights, PICTURES[name], look, path)


def photograph(chromium: Browser, nights: History, picture: Picture, look: Look, path: Path) -> Path:
    """Opens the page, waits for it to show and to settle, and takes the picture."""
    page = open_page(chromium, replace(look, height=picture.height))
    page.goto(picture.address(nights))
    page.get_by_text(picture.text).first.wait_for(timeout=60_000)
    picture.act(page)
    page.wait_for_load_state("networkidle")
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(1000)  # drawers and graphs slide into their place
    page.screenshot(path=path)
    page.context.close()
    # Rare colours, as of a state, are kept by MAXCOVERAGE, and the exact shade of the ground by k-means.
    image = Image.open(path).convert("RGB")
    image.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE).save(path, optimize=True)
    return path


if __name__ == "__main__":
    main()
