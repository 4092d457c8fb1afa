"""artifacts/index.html: nothing loaded, every link leads somewhere, and it is made of any directory."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from hemline.registry.index import write_index
from tests.hemline.registry.nights import FIRST, Nights, month
from tests.hemline.report.test_markdown import Tags


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A month, and another name with one night."""
    directory = tmp_path_factory.mktemp("artifacts")
    nights = month(directory)
    other = Nights(directory, "shoes")
    other.number = 40
    other.judged("promoted", sentence="<script>alert(1)</script> | *better* [x](http://example.org)")
    write_index(directory, nights.now)
    return directory


def test_it_loads_and_runs_nothing_and_its_links_lead_somewhere(artifacts: Path) -> None:
    page = (artifacts / "index.html").read_text()
    links = []
    for tag, attributes in Tags(page).found:
        assert tag not in ("script", "link", "iframe", "object")
        assert str(attributes.get("src", "data:")).startswith("data:image/svg+xml;base64,") or tag != "img"
        links += [str(attributes["href"])] if "href" in attributes else []
    assert len(links) > 60  # nights, versions, ledgers
    assert all((artifacts / unquote(link)).exists() for link in links)
    assert "color-scheme: light dark" in page
    assert len(page) < 200_000


def test_every_name_is_there_and_what_needs_a_person_comes_first(artifacts: Path) -> None:
    page = (artifacts / "index.html").read_text()
    assert re.findall("<h1>(.*?)</h1>", page) == ["shoes", "tiny"]
    assert "<strong>tiny</strong>: 1 thing needs you. Kept 2026-12-01: " in page
    assert page.index("version 24 waits for your word") < page.index("<h2>Versions of tiny")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; | *better* [x](http://example.org)" in page
    assert "The newest 26 of 26, of " in page


def test_of_nothing_it_says_so(tmp_path: Path) -> None:
    assert write_index(tmp_path, FIRST) == []
    assert "<strong>No run yet.</strong>" in (tmp_path / "index.html").read_text()


def test_a_damaged_ledger_is_on_the_page(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    nights.judged("promoted")
    nights.registry.ledger.path.write_text("nothing\n")
    ((status, picture),) = write_index(tmp_path, nights.now)
    assert "<svg" in picture
    assert status.champion is None
    page = (tmp_path / "index.html").read_text()
    assert "every line of the ledger must be as it was written" in page
    assert "Decisions about" not in page
