"""The table of results: its figures belong to today's recipes, and it says what they are."""

import json
from typing import Any

import numpy as np
import pytest

from bench import results
from hemline.config import recipes
from hemline.config.retrain import RetrainConfig

FIGURES: dict[str, Any] = json.loads(results.FIGURES.read_text())


ROWS = [(dataset, row) for dataset, rows in results.TABLES.items() for row in rows]


@pytest.mark.parametrize(("dataset", "row"), ROWS, ids=lambda part: getattr(part, "name", part))
def test_a_figure_belongs_to_what_the_recipe_trains_today(dataset: str, row: results.Row) -> None:
    """Else a changed default would keep an old number: run `make results`."""
    runs = results.runs_of(FIGURES, dataset, row, results.fingerprint(row))
    assert list(runs) == [str(seed + 1) for seed in range(row.seeds)]


def test_every_recipe_is_in_the_table() -> None:
    assert {row.name for row in results.TABLES["fashion_mnist"]} == set(recipes.known())


def test_the_page_has_the_tables_of_the_figures() -> None:
    page = results.PAGE.read_text()
    assert results.written(page, FIGURES) == page


def test_another_value_or_another_loss_is_not_the_same() -> None:
    kept = {"values": "a", "losses": [2.0, 1.0]}
    assert results.same(kept, {"values": "a", "losses": [2.0, 1.0004]}, "float32")
    assert not results.same(kept, {"values": "b", "losses": [2.0, 1.0]}, "float32")
    assert not results.same(kept, {"values": "a", "losses": [2.0, 1.01]}, "float32")
    assert results.same(kept, {"values": "a", "losses": [2.0, 1.02]}, "mixed_bfloat16")


def test_a_row_is_mean_and_standard_deviation_over_seeds() -> None:
    """Of 0.90 and 0.92: 0.91, and 0.01 times the root of 2."""
    runs = {
        str(seed): {"accuracy": accuracy, "parameters": 109770, "cpu_seconds": cpu, "seconds": 9.0}
        for seed, accuracy, cpu in ((1, 0.90, 7.0), (2, 0.92, 8.0))
    }
    rows = [results.Row("best-mlp", tried=None), results.Row("best-mlp", tried=3, epochs=50)]
    lines = results.table(rows, {"best-mlp": {"runs": runs}, "best-mlp --epochs 50": {"runs": runs}}).splitlines()
    assert lines[2:] == [
        "| `best-mlp` | 109,770 | 5 | 0.9100 ± 0.0141 |  | 2 | not counted | 8 |",
        "| `best-mlp --epochs 50` | 109,770 | 50 | 0.9100 ± 0.0141 |  | 2 | 3 | 8 |",
    ]


def test_a_figure_is_of_the_weights_that_a_run_would_save() -> None:
    """The averages, where a recipe keeps them."""
    random = np.random.default_rng(0)
    images, labels = random.integers(256, size=(32, 4, 4, 1), dtype=np.uint8), np.arange(32, dtype=np.int32) % 10
    plain = RetrainConfig(epochs=1, batch_size=16, seed=1)
    alone = results.trained(plain, images, labels).model.get_weights()
    averages = results.trained(plain.model_copy(update={"ema_momentum": 0.0}), images, labels).model.get_weights()
    for one, other in zip(alone, averages, strict=True):  # an average that keeps nothing is the last weight
        np.testing.assert_array_equal(one, other)
    slow = results.trained(plain.model_copy(update={"ema_momentum": 0.5}), images, labels).model.get_weights()
    assert any(np.abs(one - other).max() > 1e-4 for one, other in zip(alone, slow, strict=True))
