"""The page of a training that is under way."""

import re

from hemline.records.run import Row, Rows
from hemline.report.training import NEWEST, Pace, training_markdown


def row(epoch: int, accuracy: float = 0.5) -> Row:
    return {"epoch": epoch, "train_loss": 1, "train_accuracy": 0.25, "val_loss": 2, "val_accuracy": accuracy}


def without_picture(text: str) -> str:
    return re.sub(r"data:image/svg\+xml;base64,\S+\)", "picture)", text)


def test_it_says_where_it_is_and_how_well_it_does() -> None:
    sentence, text = training_markdown([row(1, 0.5), row(2, 0.75)], epochs=5, seeds=1)
    assert sentence == "Epoch 2 of 5: accuracy 0.7500 on validation."
    assert without_picture(text) == (
        "`██████████░░░░░░░░░░░░░░░` 40%\n\n"
        "![loss and accuracy by epoch](picture)\n\n"
        "| epoch | train_loss | train_accuracy | val_loss | val_accuracy |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| 2 | 1.0000 | 0.2500 | 2.0000 | 0.7500 |\n"
        "| 1 | 1.0000 | 0.2500 | 2.0000 | 0.5000 |"
    )


def test_the_time_left_is_what_the_epochs_took_that_were_seen() -> None:
    """Resumed after 3 of 10 epochs: the two since then took 8 s."""
    pace = Pace()
    assert pace.left(3, 10, now=100) is None
    left = pace.left(5, 10, now=108)
    assert left == 20
    assert "░` 10%, 20 s left\n" in training_markdown([row(1)], epochs=10, seeds=1, left=left)[1]
    assert pace.left(10, 10, now=130) == 0
    assert "left" not in training_markdown([row(1)], epochs=1, seeds=1, left=0)[1]


def test_one_epoch_is_no_curve() -> None:
    _, text = training_markdown([row(1)], epochs=1, seeds=1)
    assert "![" not in text
    assert "100%" in text


def test_of_several_seeds_it_has_the_mean_of_those_that_have_come_so_far() -> None:
    """Three epochs of four: the first of both seeds, the second of one."""
    rows: Rows = [row(1, 0.2), row(2, 0.6), row(1, 0.4)]
    sentence, text = training_markdown(rows, epochs=2, seeds=2)
    assert sentence == "Epoch 2 of 2: accuracy 0.6000 on validation."
    assert "75%" in text
    assert "| 1 | 1.0000 | 0.2500 | 2.0000 | 0.3000 |" in text
    assert text.endswith("Means over 2 models with a seed each, as far as they have come.")


def test_a_long_training_stays_small_and_keeps_its_newest_epochs() -> None:
    """A list of artifacts in the UI is sent with every page whole."""
    sentence, text = training_markdown([row(epoch) for epoch in range(1, 5001)], epochs=10_000, seeds=1)
    assert sentence.startswith("Epoch 5000 of 10000: ")
    assert len(text) < 150_000
    table = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ") and line[2].isdigit()]
    assert table == [f"| {epoch}" for epoch in range(5000, 5000 - NEWEST, -1)]
    assert f"The newest {NEWEST} epochs; " in text
