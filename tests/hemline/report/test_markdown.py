"""What single steps show."""

import pytest

from hemline.records.run import Decision, Measurements
from hemline.report.blocks import counted
from hemline.report.markdown import data_markdown, decision_markdown
from tests.hemline.report.conftest import FOUND, LEAK, PICTURES


def test_what_is_new_in_the_data_and_what_its_checks_found_is_told() -> None:
    text = data_markdown(FOUND, PICTURES["parity"])
    assert text.startswith(
        "Something could not be compared.\n\nSince the data of champion 7, 1,200 examples came, 3 went and "
    )
    assert f"| leaks | ask | {LEAK.sentence} | `cat/*_1\\|2_*.png` and 3 more |" in text.splitlines()
    assert text.endswith(f"({PICTURES['parity']})\n")
    nothing = FOUND.model_copy(update={"findings": [], "change": None, "remarks": []})
    assert data_markdown(nothing, PICTURES["parity"]).startswith("No check found anything.\n\n![")


def test_a_doubt_is_what_a_person_is_asked_about() -> None:
    noted = [LEAK.model_copy(update={"answer": answer}) for answer in ("note", "warn", "refuse")]
    found = FOUND.model_copy(update={"findings": [*noted, LEAK]})
    assert found.doubts == [LEAK.sentence]
    assert LEAK.text == f"{LEAK.sentence}: cat/*_1|2_*.png and 3 more"


def test_a_decision_shows_what_a_person_weighs_in_its_units() -> None:
    alone: Measurements = {"examples": 10_000, "accuracy": 0.8928, "latency_ms": 0.371, "size_mb": 1.444523}
    compared: Measurements = {
        "compared_with": "1",
        "compared_accuracy": 0.8502,
        "difference_points": 4.26,
        "interval_low": 3.6946,
        "interval_high": 4.8254,
        "challenger_only_right": 638,
        "negative_flips": 212,
        "negative_flip_rate": 0.0212,
        "p_value": 1.39978e-50,
        "level": 0.000136986,
        "test_split": "91323ae4",
        "decision_number": 3,
        "worst_class": "Sneaker",
        "worst_class_drop": 2.3,
        "same_predictions": False,
    }
    text = decision_markdown(
        Decision(
            verdict="needs approval", champion="1", challenger="4", sentence="needs it", measurements=alone | compared
        )
    )
    assert text == (
        "**Needs it.**\n\n"
        "| what | found |\n| --- | --- |\n"
        "| accuracy | 89.28% of 10,000 test examples |\n"
        "| difference to champion 1 | +4.26 points |\n"
        "| 95 % interval | +3.69 to +4.83 |\n"
        "| right now, wrong before | 638 examples |\n"
        "| wrong now, right before | 212 examples |\n"
        "| worst class | Sneaker: recall 2.30 points lower |\n"
        "| by chance | p 1.4e-50, at most 0.00014 |\n"
        "| comparisons on this test split | 3 |\n"
        "| one prediction | 0.37 ms |\n"
        "| size | 1.44 MB |\n"
    )
    alike = Decision(verdict="kept", champion="1", challenger="1", sentence="it is the champion")
    assert decision_markdown(alike) == "**It is the champion.**\n"  # nothing was measured
    first = Decision(verdict="promoted", champion=None, challenger="1", sentence="the first", measurements=alone)
    assert [line.split(" | ")[0] for line in decision_markdown(first).splitlines()[4:]] == [
        "| accuracy",
        "| difference to the champion",
        "| one prediction",
        "| size",
    ]


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 epochs"), (1, "1 epoch"), (2, "2 epochs"), (2000, "2,000 epochs")]
)
def test_one_is_no_plural(number: int, words: str) -> None:
    assert counted(number, "epoch") == words
