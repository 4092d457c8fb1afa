"""The model card: a stranger can judge the model by it."""

import pytest

from hemline.config.retrain import RetrainConfig
from hemline.records.run import Record
from hemline.report.card import epochs_table, model_card
from tests.hemline.report.conftest import EPOCHS, PICTURES


@pytest.fixture
def text(record: Record) -> str:
    return model_card(record, title="A model", pictures=PICTURES)


def test_the_epochs_table_has_a_row_an_epoch_and_what_the_chapter_displays() -> None:
    assert epochs_table(EPOCHS).splitlines() == [
        "| epoch | train_loss | train_accuracy | val_loss | val_accuracy |",
        "| --- | --- | --- | --- | --- |",
        "| 1 | 0.5123 | 0.5000 | 0.6000 | 0.7500 |",
        "| 2 | 0.2500 | 0.6250 | 0.5000 | 0.8750 |",
    ]


def test_it_has_result_pictures_and_tables(text: str, record: Record) -> None:
    assert text.startswith(
        "# A model\n\n**90.00%** of 70 test examples are classified correctly (95 % interval 80.77% to 95.07%) after "
        "2 epochs on tiny/1.0.0 (validation 87.50%).\n\n"
    )
    assert f"({PICTURES['learning_curves']})" in text
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
        "In the test split: 69, 3.",
    ):
        assert line in text.splitlines()
    assert "It tells 3 classes apart (dark, middling, bright) in images of 4 x 4 pixels with 1 channel, 0 to" in text
    assert "tiny/1.0.0 from TensorFlow Datasets (train 300, test 70 examples)" in text
    assert "The test split took no part in training." in text


def test_a_model_without_mistakes_has_no_picture_of_them(record: Record) -> None:
    evaluation = record.evaluation.model_copy(update={"mistakes": []})
    text = model_card(record.model_copy(update={"evaluation": evaluation}), title="A model", pictures=PICTURES)
    assert PICTURES["mistakes"] not in text
    assert "It makes none on the test split." in text


def test_markdown_says_how_the_model_was_made(text: str, record: Record) -> None:
    for row in (
        "| optimizer, lower | adam, learning rate 0.002, schedule cosine, on all layers with weights but the last |",
        "| optimizer, upper | sgd, learning rate 0.1, schedule cosine, on the last layer with weights |",
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
    config = RetrainConfig(recipe="best-mlp", ema_momentum=0.99, label_smoothing=0.05)
    text = model_card(record.model_copy(update={"config": config}), title="A model", pictures=PICTURES)
    assert (
        "| optimizer, matrices | muon, learning rate 0.05, weight decay 0.1, ns steps 4, "
        "schedule cosine, on `hidden_*/kernel` |" in text
    )
    assert "| weights | moving average, momentum 0.99 |" in text
    assert "| label smoothing | 0.05 |" in text


def test_frozen_layers_and_validation_on_test_are_said(record: Record) -> None:
    config = record.config.model_copy(update={"frozen": ["norm_*"], "validation": "test"})
    text = model_card(record.model_copy(update={"config": config}), title="A model", pictures=PICTURES)
    assert "| frozen | `norm_*` |" in text
    assert "validation is on the test split." in text


def test_of_many_epochs_the_last_are_in_the_table(record: Record) -> None:
    epochs = [EPOCHS[0] | {"epoch": epoch} for epoch in range(1, 41)]
    text = model_card(record.model_copy(update={"epochs": epochs}), title="A model", pictures=PICTURES)
    assert epochs_table(epochs[30:]) in text
    assert "The last 10 of 40 epochs; all are in epochs.csv." in text
    assert epochs_table(epochs[29:]) not in text


def test_what_differs_from_the_defaults_is_told(text: str, record: Record) -> None:
    for row in ("| epochs | `5` | `2` |", "| batch_size | `128` | `32` |", "| name | `fashion_mnist` | `tiny` |"):
        assert row in text.splitlines()
    assert "| seed |" not in text
    same = record.model_copy(update={"config": RetrainConfig()})
    assert "Every field has its default." in model_card(same, title="A model", pictures=PICTURES)
    groups = {"upper": None, "lower": {"layers": ["hidden_*|x"]}}
    other = record.model_copy(update={"config": RetrainConfig(groups=groups)})
    assert "| groups.lower.layers | `[]` | `['hidden_*\\|x']` |" in model_card(other, "A model", PICTURES).splitlines()
