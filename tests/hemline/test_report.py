"""The report's text and page."""

import base64
import re
from html.parser import HTMLParser

import pytest

from hemline.config import RetrainConfig
from hemline.record import Record, Rows
from hemline.report import data_uri, epochs_table, html, markdown

from .conftest import FinishedRun

EPOCHS: Rows = [
    {"epoch": 1, "train_loss": 0.51234, "train_accuracy": 0.5, "val_loss": 0.6, "val_accuracy": 0.75, "iterations": 8},
    {"epoch": 2, "train_loss": 0.25, "train_accuracy": 0.625, "val_loss": 0.5, "val_accuracy": 0.875, "iterations": 8},
]
PICTURE = data_uri("<svg xmlns='http://www.w3.org/2000/svg'/>")


@pytest.fixture
def record(finished: FinishedRun) -> Record:
    return finished.record.model_copy(update={"epochs": EPOCHS})


@pytest.fixture
def text(record: Record) -> str:
    return markdown(record, title="A run", picture=PICTURE)


def test_a_picture_is_in_its_address() -> None:
    head, _, payload = PICTURE.partition(",")
    assert head == "data:image/svg+xml;base64"
    assert base64.b64decode(payload) == b"<svg xmlns='http://www.w3.org/2000/svg'/>"


def test_the_epochs_table_has_a_row_an_epoch_and_what_the_chapter_displays() -> None:
    assert epochs_table(EPOCHS).splitlines() == [
        "| epoch | train_loss | train_accuracy | val_loss | val_accuracy |",
        "| --- | --- | --- | --- | --- |",
        "| 1 | 0.5123 | 0.5000 | 0.6000 | 0.7500 |",
        "| 2 | 0.2500 | 0.6250 | 0.5000 | 0.8750 |",
    ]


def test_markdown_has_result_picture_and_tables(text: str, record: Record) -> None:
    assert text.startswith(f"# A run\n\n**{record.evaluation.accuracy:.2%}** of 70 test examples")
    assert "2 epochs on tiny/1.0.0 (validation 87.50%)" in text
    assert f"![loss and accuracy by epoch]({PICTURE})" in text
    assert epochs_table(record.epochs) in text
    for name, accuracy in record.evaluation.class_accuracy.items():
        assert f"| {name} | {accuracy:.1%} |" in text
    assert "42 of 42 cases within tolerance, found in 7 s. Nearest to its tolerance, at 25% of it: `variance-" in text
    assert "60 examples held out from the train split" in text


def test_markdown_says_how_the_model_was_made(text: str, record: Record) -> None:
    for row in (
        "| optimizer, lower | adam, learning rate 0.001, on `hidden_*`, `norm_*` |",
        "| optimizer, upper | sgd, learning rate 0.1, on `logits` |",
        "| batch size, seed | 32, 42 |",
        f"| data fingerprint | `{record.fingerprint}` |",
        "| device | cpu, a processor |",
        "| settings | xla on |",
        "| versions | python 3.11.7, keras 3.15.1 |",
        "| git commit | not from a checkout |",
        "| flow run | retrain-tiny-2-epochs (0b1c) |",
        "| made | 2026-01-02 03:04 UTC |",
    ):
        assert row in text
    assert "uint8 (N, 4, 4, 1) -> label, name, probabilities" in text


def test_what_is_not_as_by_default_is_said(record: Record) -> None:
    config = RetrainConfig(recipe="best-mlp", ema_momentum=0.99)
    text = markdown(record.model_copy(update={"config": config}), title="A run", picture=PICTURE)
    assert (
        "| optimizer, matrices | muon, learning rate 0.05, weight decay 0.1, schedule cosine, on `hidden_*/kernel` |"
        in text
    )
    assert "| weights | moving average, momentum 0.99 |" in text


def test_frozen_layers_and_validation_on_test_are_said(record: Record) -> None:
    config = record.config.model_copy(update={"frozen": ["norm_*"], "validation": "test"})
    text = markdown(record.model_copy(update={"config": config}), title="A run", picture=PICTURE)
    assert "| frozen | `norm_*` |" in text
    assert "validation is on the test split." in text


def test_a_class_name_cannot_break_a_table(record: Record) -> None:
    evaluation = record.evaluation.model_copy(update={"class_accuracy": {"this|that": 0.5}})
    page = html(markdown(record.model_copy(update={"evaluation": evaluation}), title="A run", picture=PICTURE))
    assert "<td>this|that</td>\n<td>50.0%</td>" in page


def test_the_page_has_the_tables_and_the_picture(text: str) -> None:
    page = html(text)
    assert ("img", {"src": PICTURE, "alt": "loss and accuracy by epoch"}) in Tags(page).found
    assert "<h1>A run</h1>" in page
    assert "<td>0.5123</td>" in page
    assert page.count("<table>") == text.count("| --- |\n")


class Tags(HTMLParser):
    """What a browser would make of a page: its elements and their attributes."""

    def __init__(self, page: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_loads_and_runs_nothing_whatever_the_classes_are_called(record: Record) -> None:
    names = {"<script>alert(1)</script>": 0.5, "<img src=http://example.org/a.png onerror=alert(1)>": 0.5}
    evaluation = record.evaluation.model_copy(update={"class_accuracy": names})
    page = html(markdown(record.model_copy(update={"evaluation": evaluation}), title="A run", picture=PICTURE))
    for tag, attributes in Tags(page).found:
        assert tag not in ("script", "link", "iframe", "object")
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("src") in (None, PICTURE)


def test_a_page_has_no_address_of_another_host(text: str) -> None:
    assert not re.search("https?://", html(text))
