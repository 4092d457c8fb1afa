"""What the UI is given of the parity table."""

import json

import pandas as pd
import pytest

from hemline.proofs import parity
from tasks.verify_layers import _shown


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return parity.compare(modes=["eager"])


def test_it_is_the_worst_case_of_every_value_of_every_axis(table: pd.DataFrame) -> None:
    worst = parity.worst_by_axis(table)
    shown = _shown(table, worst)
    assert len(shown) == len(worst)
    assert {"what": "worst by policy", "value": "float16"}.items() <= shown[
        list(worst["value"]).index("float16")
    ].items()


def test_failures_come_first_and_infinity_is_text(table: pd.DataFrame) -> None:
    table = table.copy()
    table.loc[5, ["ratio", "ok"]] = [float("inf"), False]
    first, second, *_ = _shown(table, parity.worst_by_axis(table))
    assert first == {"what": "failed", "value": "", "case": table["case"][5], "ratio": "inf"}
    assert second["what"] == "worst by form"


def test_it_stays_small_if_everything_fails(table: pd.DataFrame) -> None:
    many = pd.concat([table] * 100, ignore_index=True).assign(ok=False)
    assert len(json.dumps(_shown(many, parity.worst_by_axis(many)))) < 200_000  # listings in the UI carry whole tables
