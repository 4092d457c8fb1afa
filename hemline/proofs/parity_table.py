"""What a table of `hemline.proofs.parity` says: whether it holds, where it fails, and in short.

    require(table)                          # raises ParityError with the failing rows
    worst_by_axis(table)                    # where the layer comes closest to its tolerance
    summary(table, seconds=7.5)             # a `Parity`, for records and reports

Apart from what makes the table, so that a word that changes here does not cost a proof.
"""

from typing import Any

import pandas as pd

from hemline.errors import ParityError
from hemline.proofs.parity import AXES
from hemline.proofs.reference import QUANTITIES
from hemline.records.proofs import Parity

NAMED, SHOWN = 10, 100  # failing rows in an error, and in the UI, whose listings carry whole tables


def require(table: pd.DataFrame) -> None:
    """Raises ParityError, with the worst of the failing rows in it, unless every row is within its tolerance."""
    failed = _failures(table)
    if not failed.empty:
        columns = ["case", *QUANTITIES, "output_error"]
        rows = "\n".join(str(row) for row in failed[columns].head(NAMED).to_dict("records"))
        raise ParityError(
            "LayerNorm must agree with its references within tolerance before anything is trained. "
            f"Received: {len(failed)} of {len(table)} cases out of tolerance. Look for a change in "
            "hemline/models/layer_norm.py, Keras, TensorFlow or the device; parity.csv has all cases. The worst, with "
            f"differences in units of their tolerance:\n{rows}"
        )


def worst_by_axis(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each value of each axis: axis, value, cases, failed, the worst ratio and its case."""
    rows = []
    for axis in AXES:
        for value, cases in table.groupby(axis, sort=False):
            worst = _worst(cases)
            failed = int((~cases["ok"]).sum())
            rows.append((axis, str(value), len(cases), failed, worst["ratio"], worst["case"]))
    return pd.DataFrame(rows, columns=["axis", "value", "cases", "failed", "ratio", "case"])


def summary(table: pd.DataFrame, seconds: float | None = None) -> Parity:
    """The table in short. seconds: that making it took; None if an earlier proof was taken."""
    worst = _worst(table)
    return Parity(
        cases=len(table),
        failed=int((~table["ok"]).sum()),
        worst_ratio=float(worst["ratio"]),
        worst_case=str(worst["case"]),
        seconds=seconds,
        rows=_rows(table),
    )


def _rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """Failures, then the worst of each value of each axis. As text: the UI cannot show infinity."""
    shown = [("failed", "", row["case"], row["ratio"]) for row in _failures(table).head(SHOWN).to_dict("records")]
    for row in worst_by_axis(table).to_dict("records"):
        shown.append(("worst by " + row["axis"], row["value"], row["case"], row["ratio"]))
    return [{"what": what, "value": value, "case": case, "ratio": f"{ratio:.2g}"} for what, value, case, ratio in shown]


def _failures(table: pd.DataFrame) -> pd.DataFrame:
    """The worst first."""
    return table[~table["ok"]].sort_values("ratio", ascending=False, kind="stable")


def _worst(table: pd.DataFrame) -> "pd.Series[Any]":
    return table.iloc[int(table["ratio"].to_numpy().argmax())]
