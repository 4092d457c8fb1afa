"""The pictures in docs/ are those that `make screenshots` takes; each is small, and shown with words for it."""

import re

from PIL import Image

from ops.screenshots import DOCS, PICTURES

SHOWN = re.compile(r"!\[([^]]+)\]\((?:docs/)?([\w-]+)\.png\)")


def test_every_picture_is_taken_shown_and_described() -> None:
    pages = [DOCS.with_name("README.md"), *DOCS.glob("*.md")]
    shown = {name: words for page in pages for words, name in SHOWN.findall(page.read_text())}
    assert shown.keys() == PICTURES.keys() == {path.stem for path in DOCS.glob("*.png")}
    assert [name for name, words in shown.items() if len(words.split()) < 10] == []


def test_pictures_are_compact() -> None:
    assert sum(path.stat().st_size for path in DOCS.glob("*.png")) < 1_000_000
    for name in PICTURES:
        with Image.open(DOCS / f"{name}.png") as picture:
            assert (picture.mode, picture.size[0]) == ("P", 1280)
