"""What single steps show."""

import pytest

from hemline.report.blocks import counted
from hemline.report.markdown import data_markdown
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


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 epochs"), (1, "1 epoch"), (2, "2 epochs"), (2000, "2,000 epochs")]
)
def test_one_is_no_plural(number: int, words: str) -> None:
    assert counted(number, "epoch") == words
