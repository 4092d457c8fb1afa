"""What is said of a table of parity: the error, the worst cases, the summary, and what the UI is given."""

import json

import numpy as np
import pandas as pd
import pytest

from hemline.errors import ProofError
from hemline.proofs.parity import AXES
from hemline.proofs.parity_table import require, summary


@pytest.fixture
def table(parity_table: pd.DataFrame) -> pd.DataFrame:
    return parity_table


@pytest.fixture
def broken(table: pd.DataFrame) -> pd.DataFrame:
    """Cases 3 and 7 out of tolerance, the latter worse."""
    broken = table.copy()
    broken.loc[3, ["output", "ratio", "ok"]] = [2.0, 2.0, False]
    broken.loc[7, ["output", "ratio", "ok"]] = [np.inf, np.inf, False]
    return broken


def test_require_names_the_failing_rows_worst_first(table: pd.DataFrame, broken: pd.DataFrame) -> None:
    require(table)
    with pytest.raises(ProofError, match=f"Received: 2 of {len(table)} cases out of tolerance") as caught:
        require(broken)
    message = str(caught.value)
    named = [case for case in table["case"] if f"'{case}'" in message]
    assert named == [table["case"][3], table["case"][7]]
    assert message.index(f"'{table['case'][7]}'") < message.index(f"'{table['case'][3]}'")


def test_require_does_not_name_hundreds(table: pd.DataFrame) -> None:
    with pytest.raises(ProofError, match=f"Received: {len(table)} of {len(table)} cases") as caught:
        require(table.assign(ok=False))
    assert len(str(caught.value)) < 5000


def test_summary(table: pd.DataFrame, broken: pd.DataFrame) -> None:
    found = summary(broken, seconds=7.5)
    assert (found.cases, found.failed, found.seconds) == (len(table), 2, 7.5)
    assert (found.worst_ratio, found.worst_case) == (np.inf, table["case"][7])
    assert summary(table).worst_ratio == table["ratio"].max() <= 1


def test_rows_are_the_worst_case_of_every_value_of_every_axis(table: pd.DataFrame, broken: pd.DataFrame) -> None:
    rows = summary(table).rows
    assert [(row["what"], row["value"]) for row in rows] == [
        (f"worst by {axis}", str(value)) for axis in AXES for value in table[axis].unique()
    ]
    for row in rows:
        axis, case = row["what"].removeprefix("worst by "), table[table["case"] == row["case"]].iloc[0]
        assert str(case[axis]) == row["value"]
        assert case["ratio"] == table[table[axis] == case[axis]]["ratio"].max()
    worst = {"what": "worst by mode", "value": broken["mode"][7], "case": broken["case"][7], "ratio": "inf"}
    assert worst in summary(broken).rows


def test_failures_come_first_and_infinity_is_text(table: pd.DataFrame, broken: pd.DataFrame) -> None:
    first, second, third, *_ = summary(broken).rows
    assert first == {"what": "failed", "value": "", "case": table["case"][7], "ratio": "inf"}
    assert second == {"what": "failed", "value": "", "case": table["case"][3], "ratio": "2"}
    assert third["what"] == "worst by form"


def test_rows_stay_few_if_everything_fails(table: pd.DataFrame) -> None:
    many = pd.concat([table] * 25, ignore_index=True).assign(ok=False)  # about the full grid
    assert len(json.dumps(summary(many).rows)) < 200_000  # listings in the UI carry whole tables
