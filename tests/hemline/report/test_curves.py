"""Curves: few points and many, one run and several."""

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hemline.report import curves
from hemline.report.curves import (
    compare_curves,
    group_curves,
    groups_of,
    learning_curves,
    running_loss,
    some_iterations,
)
from tests.hemline.report.examples import EPOCHS, texts


def test_a_single_epoch_has_a_tick_of_its_own_and_accuracies_between_0_and_100() -> None:
    shown = texts(learning_curves(EPOCHS[:1].assign(train_accuracy=1.0, val_accuracy=1.0)))
    assert "1" in shown
    assert not {"0.5", "1.5"} & shown
    shares = [float(text[:-1]) for text in shown if text.endswith("%")]
    assert (min(shares), max(shares)) == (99, 100)


def test_the_champions_curves_are_beside_the_runs() -> None:
    alone, both = texts(learning_curves(EPOCHS)), texts(learning_curves(EPOCHS, EPOCHS[:1]))
    assert both - alone == {"champion's training", "champion's validation"}


def test_lines_differ_in_more_than_their_colour() -> None:
    svg = learning_curves(EPOCHS, EPOCHS)
    lines = set(re.findall(r"\{(fill: none; stroke-dasharray: [^;]+; stroke-dashoffset: 0; stroke: #[0-9a-f]+)", svg))
    assert {line.rpartition("#")[2] for line in lines} == {"0072b2", "8c8c8c"}  # training; validation is solid
    assert len(set(re.findall(r'<path id="(m[0-9a-f]+)"', svg))) >= 4  # markers


@pytest.mark.parametrize("name", ["curves.svg", "curves.png"])
def test_several_runs_are_drawn_over_each_other(tmp_path: Path, name: str) -> None:
    def drawn(*runs: pd.DataFrame) -> bytes:
        compare_curves([(f"run {number}", run) for number, run in enumerate(runs)], tmp_path / name)
        return (tmp_path / name).read_bytes()

    assert drawn(EPOCHS, EPOCHS + 1) == drawn(EPOCHS, EPOCHS + 1) != drawn(EPOCHS)
    assert drawn(EPOCHS, EPOCHS[:1])  # one ended earlier
    assert drawn(*[EPOCHS] * 9)  # more than there are colours


def write_iterations(directory: Path, epochs: int, steps: int = 3) -> None:
    (directory / "iterations.parquet").mkdir()
    for epoch in range(1, epochs + 1):
        step = np.arange(1, steps + 1) + (epoch - 1) * steps
        table = pd.DataFrame({"epoch": epoch, "step": step, "loss": 9.0, "running_loss": 1 / step})
        table.to_parquet(directory / "iterations.parquet" / f"epoch-{epoch:05d}.parquet")


@pytest.mark.parametrize("epochs", [1, 2, curves.EPOCHS, curves.EPOCHS + 1, 100])
def test_of_many_epochs_some_are_drawn_and_always_the_last(tmp_path: Path, epochs: int) -> None:
    write_iterations(tmp_path, epochs)
    chosen = list(some_iterations(tmp_path)["epoch"].unique())
    assert len(chosen) == min(epochs, curves.EPOCHS)
    assert (chosen[0], chosen[-1]) == (1, epochs)
    assert chosen == sorted(chosen)


def test_the_running_loss_of_many_iterations_is_small(tmp_path: Path) -> None:
    write_iterations(tmp_path, epochs=2, steps=3)
    assert {"epoch 1", "epoch 2"} <= texts(running_loss(some_iterations(tmp_path)))
    (tmp_path / "long").mkdir()
    write_iterations(tmp_path / "long", epochs=100, steps=5000)
    assert len(running_loss(some_iterations(tmp_path / "long"))) < 20_000


def test_groups_have_their_rates_and_norms() -> None:
    rates = {"lower_learning_rate": [0.001, 0.0], "a_b_learning_rate": [0.1, 0.1]}
    norms = {"lower_gradient_norm": [1.0, 2.0], "lower_weight_norm": [3.0, 4.0], "a_b_weight_norm": [1e3, 1e3]}
    table = EPOCHS.assign(**rates, **norms)  # one gradient was not finite
    assert groups_of(table) == ["lower", "a_b"]
    assert groups_of(EPOCHS) == []
    assert {"lower", "a_b", "learning rate", "1000"} <= texts(group_curves(table))


def test_epochs_of_an_early_hemline_have_no_measures() -> None:
    """A run that it began, and that went on: its first rows lack the columns."""
    table = EPOCHS.assign(
        lower_learning_rate=[math.nan, 0.1], lower_gradient_norm=[math.nan, 1.0], lower_weight_norm=[math.nan, 2.0]
    )
    assert "lower" in texts(group_curves(table))
