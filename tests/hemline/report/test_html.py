"""The page: what a browser makes of it, whatever the names in it are."""

import base64
import re
from html.parser import HTMLParser

import pytest

from hemline.records.run import Record
from hemline.report.card import model_card
from hemline.report.html import data_uri, html, page
from tests.hemline.report.conftest import PICTURES

PICTURE = data_uri("<svg xmlns='http://www.w3.org/2000/svg'/>")


@pytest.fixture
def text(record: Record) -> str:
    return model_card(record, title="A run", pictures=PICTURES)


def test_a_picture_is_in_its_address() -> None:
    head, _, payload = PICTURE.partition(",")
    assert head == "data:image/svg+xml;base64"
    assert base64.b64decode(payload) == b"<svg xmlns='http://www.w3.org/2000/svg'/>"


def test_a_class_name_cannot_break_a_table(record: Record) -> None:
    classes = {"this|that": record.evaluation.classes["dark"]}
    evaluation = record.evaluation.model_copy(update={"classes": classes})
    made = html(model_card(record.model_copy(update={"evaluation": evaluation}), title="A run", pictures=PICTURES))
    assert "<td>this|that</td>\n<td>20</td>" in made


def test_the_page_has_the_tables_and_the_picture(text: str) -> None:
    made = html(text)
    assert {attributes["src"] for tag, attributes in Tags(made).found if tag == "img"} == set(PICTURES.values())
    assert "<h1>A run</h1>" in made
    assert "<td>0.5123</td>" in made
    assert made.count("<table>") == text.count("| --- |\n")


class Tags(HTMLParser):
    """What a browser would make of a page: its elements and their attributes."""

    def __init__(self, page: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_loads_and_runs_nothing_whatever_the_classes_are_called(record: Record) -> None:
    names = ["<script>alert(1)</script>", "<img src=http://example.org/a.png onerror=alert(1)>"]
    classes = dict.fromkeys(names, record.evaluation.classes["dark"])
    evaluation = record.evaluation.model_copy(update={"classes": classes})
    dataset = record.dataset.model_copy(update={"class_names": names})
    record = record.model_copy(update={"evaluation": evaluation, "dataset": dataset})
    made = html(model_card(record, title="A run", pictures=PICTURES))
    for tag, attributes in Tags(made).found:
        assert tag not in ("script", "link", "iframe", "object")
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("src") in (None, *PICTURES.values())


def test_a_page_has_no_address_of_another_host(text: str) -> None:
    assert not re.search("https?://", html(text))


def test_it_is_light_or_dark_as_the_system_is() -> None:
    made = html("# A run")
    assert "color-scheme: light dark" in made
    colours = set(re.findall(r"var\((--\w+)\)", made))
    both = [set(re.findall(r"(--\w+): #", rule)) for rule in re.findall(r":root \{[^}]*\}", made)]
    assert both == [colours, colours]  # each has a value in either


def test_its_title_is_text() -> None:
    assert "<title>Hemline report</title>" in html("")
    assert "<title>a &lt;b&gt;</title>" in html("", title="a <b>")
    assert page("<main></main>", "runs").count("<main></main>") == 1
