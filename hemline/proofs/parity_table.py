"""What a table of `hemline.proofs.parity` says: where it fails, and in short.

    require(table)                          # raises ProofError with the failing rows
    summary(table, seconds=7.5).rows        # failures, then where the layer comes closest to its tolerance

Apart from what makes the table, so that a word that changes here does not cost a proof.
"""

from typing import Any

import pandas as pd

from hemline.errors import ProofError
from hemline.proofs.parity import AXES
from hemline.proofs.reference import QUANTITIES
from hemline.records.proofs import Parity

NAMED, SHOWN = 10, 100  # failing rows in an error, and in the UI, whose listings carry whole tables


def require(table: pd.DataFrame) -> None:
    """Raises ProofError, with the worst of the failing rows in it, unless every row is within its tolerance."""
    failed = _failures(table)
    if not failed.empty:
        columns = ["case", *QUANTITIES, "output_error"]
        rows = "\n".join(str(row) for row in failed[columns].head(NAMED).to_dict("records"))
        raise ProofError(
            "LayerNorm must agree with its references within tolerance before anything is trained. "
            f"Received: {len(failed)} of {len(table)} cases out of tolerance. Look for a change in "
            "hemline/models/layer_norm.py, Keras, TensorFlow or the device; parity.csv has all cases. The worst, with "
            f"differences in units of their tolerance:\n{rows}"
        )


def summary(table: pd.DataFrame, seconds: float | None = None) -> Parity:
    """The table in short. seconds: that making it took; None if an earlier proof was taken."""
    named = [("failed", "", row) for _, row in _failures(table).head(SHOWN).iterrows()]
    for axis in AXES:
        named += [(f"worst by {axis}", str(value), _worst(cases)) for value, cases in table.groupby(axis, sort=False)]
    worst = _worst(table)
    return Parity(
        cases=len(table),
        failed=int((~table["ok"]).sum()),
        worst_ratio=float(worst["ratio"]),
        worst_case=str(worst["case"]),
        seconds=seconds,
        rows=[  # as text: the UI cannot show infinity
            {"what": what, "value": value, "case": row["case"], "ratio": f"{row['ratio']:.2g}"}
            for what, value, row in named
        ],
    )


def _failures(table: pd.DataFrame) -> pd.DataFrame:
    """The worst first."""
    return table[~table["ok"]].sort_values("ratio", ascending=False, kind="stable")


def _worst(table: pd.DataFrame) -> "pd.Series[Any]":
    return table.iloc[int(table["ratio"].to_numpy().argmax())]
