"""The map of LayerNorm's differences."""

import pandas as pd

from hemline.report.parity import parity_map
from tests.hemline.report.examples import texts

CASES = pd.DataFrame(
    {
        "policy": ["float32", "float32", "float64", "float64"],
        "inputs": ["normal", "normal", "normal", "huge"],
        "ratio": [0.25, 0.5, 3e-5, float("inf")],
    }
)


def test_a_parity_map_has_the_worst_of_each_policy_and_input() -> None:
    svg = parity_map(CASES)
    assert svg == parity_map(CASES.copy())
    assert {"0.5", "3e-05", "inf", "float32", "float64", "normal", "huge"} <= texts(svg)
    assert "0.25" not in texts(svg)
    assert len(svg) < 10_000  # it is part of a report that the UI lists
