"""The report's text and page."""

import base64
import re
from html.parser import HTMLParser

import pytest

from hemline.config.retrain import RetrainConfig
from hemline.data.checks_found import Change, Example, Finding
from hemline.records.data import DataChecks
from hemline.records.run import ClassScore, Latency, Mistake, Record, Rows
from hemline.report.html import data_uri, html
from hemline.report.markdown import data_markdown, epochs_table, markdown
from tests.hemline.conftest import FinishedRun

EPOCHS: Rows = [
    {"epoch": 1, "train_loss": 0.51234, "train_accuracy": 0.5, "val_loss": 0.6, "val_accuracy": 0.75, "iterations": 8},
    {"epoch": 2, "train_loss": 0.25, "train_accuracy": 0.625, "val_loss": 0.5, "val_accuracy": 0.875, "iterations": 8},
]
PICTURE = data_uri("<svg xmlns='http://www.w3.org/2000/svg'/>")
OTHER = data_uri("<svg xmlns='http://www.w3.org/2000/svg' id='mistakes'/>")
MAP = data_uri("<svg xmlns='http://www.w3.org/2000/svg' id='parity'/>")
PICTURES = {"learning_curves": PICTURE, "mistakes": OTHER, "parity": MAP}
WRONG = [
    Mistake(index=69, true="dark", predicted="bright", probability=0.99),
    Mistake(index=3, true="bright", predicted="middling", probability=0.75),
]


@pytest.fixture
def record(finished: FinishedRun) -> Record:
    evaluation = finished.evaluation.model_copy(
        update={
            "accuracy": 0.9,
            "accuracy_interval": (0.80769, 0.95068),
            "classes": {
                "dark": ClassScore(examples=20, precision=0.95, recall=0.9, f1=0.92432),
                "bright": ClassScore(examples=50, precision=None, recall=0.0, f1=None),
            },
            "calibration_error": 0.01234,
            "mistakes": WRONG,
            "latency": Latency(single_ms=0.402, batch_ms=1.5, batch_size=100, repeats=50),
            "size_bytes": 1_430_000,
        }
    )
    return finished.record.model_copy(update={"epochs": EPOCHS, "evaluation": evaluation})


@pytest.fixture
def text(record: Record) -> str:
    return markdown(record, title="A run", pictures=PICTURES)


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


def test_markdown_has_result_pictures_and_tables(text: str, record: Record) -> None:
    assert text.startswith(
        "# A run\n\n**90.00%** of 70 test examples are classified correctly (95 % interval 80.77% to 95.07%) after "
        "2 epochs on tiny/1.0.0 (validation 87.50%).\n\n"
    )
    assert f"![loss and accuracy by epoch]({PICTURE})" in text
    assert epochs_table(record.epochs) in text
    assert "42 of 42 cases within tolerance, found in 7 s. Nearest to its tolerance, at 25% of it: `variance-" in text
    assert "60 examples held out from the train split" in text


def test_a_stranger_can_judge_it(text: str) -> None:
    for line in (
        "| class | examples | precision | recall | F1 |",
        "| dark | 20 | 95.0% | 90.0% | 92.4% |",
        "| bright | 50 | - | 0.0% | - |",
        "| expected calibration error | 1.23% (15 bins of confidence) |",
        "| one prediction | 0.40 ms (median of 50, through the saved signature) |",
        "| a batch of 100 | 1.50 ms |",
        "| model.keras and the SavedModel | 1.43 MB |",
        f"![mistaken images, with what they are and were called]({OTHER})",
        "In the test split: 69, 3.",
    ):
        assert line in text.splitlines()
    assert "It tells 3 classes apart (dark, middling, bright) in images of 4 x 4 pixels with 1 channel, 0 to" in text
    assert "tiny/1.0.0 from TensorFlow Datasets (train 300, test 70 examples)" in text
    assert "The test split took no part in training." in text


def test_a_model_without_mistakes_has_no_picture_of_them(record: Record) -> None:
    evaluation = record.evaluation.model_copy(update={"mistakes": []})
    text = markdown(record.model_copy(update={"evaluation": evaluation}), title="A run", pictures=PICTURES)
    assert OTHER not in text
    assert "It makes none on the test split." in text


def test_markdown_says_how_the_model_was_made(text: str, record: Record) -> None:
    for row in (
        "| optimizer, lower | adam, learning rate 0.001, on all layers with weights but the last |",
        "| optimizer, upper | sgd, learning rate 0.1, on the last layer with weights |",
        "| batch size, seed | 32, 42 |",
        "| device | cpu, a processor |",
        "| settings | xla on |",
        "| packages | python 3.11.7, keras 3.15.1 |",
        "| git commit | not from a checkout |",
        "| flow run | retrain-tiny-2-epochs (0b1c) |",
        "| made | 2026-01-02 03:04 UTC |",
    ):
        assert row in text
    assert f"the fingerprint `{record.fingerprint}`" in text
    assert "uint8 (N, 4, 4, 1) -> label, name, probabilities" in text


def test_what_is_not_as_by_default_is_said(record: Record) -> None:
    config = RetrainConfig(recipe="best-mlp", ema_momentum=0.99)
    text = markdown(record.model_copy(update={"config": config}), title="A run", pictures=PICTURES)
    assert (
        "| optimizer, matrices | muon, learning rate 0.05, weight decay 0.1, ns steps 4, "
        "schedule cosine, on `hidden_*/kernel` |" in text
    )
    assert "| weights | moving average, momentum 0.99 |" in text


def test_frozen_layers_and_validation_on_test_are_said(record: Record) -> None:
    config = record.config.model_copy(update={"frozen": ["norm_*"], "validation": "test"})
    text = markdown(record.model_copy(update={"config": config}), title="A run", pictures=PICTURES)
    assert "| frozen | `norm_*` |" in text
    assert "validation is on the test split." in text


def test_a_class_name_cannot_break_a_table(record: Record) -> None:
    classes = {"this|that": record.evaluation.classes["dark"]}
    evaluation = record.evaluation.model_copy(update={"classes": classes})
    page = html(markdown(record.model_copy(update={"evaluation": evaluation}), title="A run", pictures=PICTURES))
    assert "<td>this|that</td>\n<td>20</td>" in page


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
    names = ["<script>alert(1)</script>", "<img src=http://example.org/a.png onerror=alert(1)>"]
    classes = dict.fromkeys(names, record.evaluation.classes["dark"])
    evaluation = record.evaluation.model_copy(update={"classes": classes})
    dataset = record.dataset.model_copy(update={"class_names": names})
    record = record.model_copy(update={"evaluation": evaluation, "dataset": dataset})
    page = html(markdown(record, title="A run", pictures=PICTURES))
    for tag, attributes in Tags(page).found:
        assert tag not in ("script", "link", "iframe", "object")
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("src") in (None, *PICTURES.values())


def test_a_page_has_no_address_of_another_host(text: str) -> None:
    assert not re.search("https?://", html(text))


LEAK = Finding(
    check="leaks",
    answer="ask",
    sentence="test has 4 examples of 70 (5.7%) with the pixels of an example of train",
    size=4 / 70,
    examples=[Example(split="test", index=3, name="cat/*_1|2_*.png")],
    more=3,
)
FOUND = DataChecks(
    fingerprint="f" * 64,
    champion="7",
    remarks=["something could not be compared"],
    counts={},
    champion_counts={},
    change=Change(new=1200, gone=3, relabelled=5),
    findings=[LEAK],
)


def test_what_is_new_in_the_data_and_what_its_checks_found_is_told(record: Record) -> None:
    text = data_markdown(FOUND, PICTURE)
    assert text.startswith(
        "Something could not be compared.\n\nSince the data of champion 7, 1,200 examples came, 3 went and "
    )
    assert f"| leaks | ask | {LEAK.sentence} | `cat/*_1\\|2_*.png` and 3 more |" in text.splitlines()
    assert text.endswith(f"({PICTURE})\n")
    report = markdown(record, "A run", PICTURES, checks=FOUND)
    assert LEAK.sentence in report.partition("## Data")[2].partition("## ")[0]
    nothing = FOUND.model_copy(update={"findings": [], "change": None, "remarks": []})
    assert data_markdown(nothing, PICTURE).startswith("No check found anything.\n\n![")


def test_a_doubt_is_what_a_person_is_asked_about() -> None:
    noted = [LEAK.model_copy(update={"answer": answer}) for answer in ("note", "warn", "refuse")]
    found = FOUND.model_copy(update={"findings": [*noted, LEAK]})
    assert found.doubts == [LEAK.sentence]
    assert LEAK.text == f"{LEAK.sentence}: cat/*_1|2_*.png and 3 more"
