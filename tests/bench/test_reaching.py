"""What an accuracy costs: compiling apart, the least of the lengths, and what was not reached."""

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest

from bench import reaching, results
from bench.reaching import TABLES, Contestant, Table, Training, least, rows
from bench.reaching_worker import Clock
from bench.training import OURS, ROOT
from tests.bench.test_training import names_of

FAST, SLOW = Training((5.0, 2.0, 2.0), (0.80, 0.90, 0.91)), Training((2.0, 2.0, 2.0), (0.70, 0.80, 0.91))


def test_a_cost_is_without_compiling() -> None:
    assert FAST.compiling == 3
    assert [FAST.cost(accuracy) for accuracy in (0.8, 0.9, 0.91)] == [2, 4, 6]
    assert FAST.cost(0.92) == math.inf
    assert Training((1.0, 1.5), (0.1, 0.2)).compiling == 0  # a second epoch that was disturbed


def test_the_cost_is_the_least_of_the_medians_of_seeds() -> None:
    """At 0.9, three epochs cost 4, 6 and 6, one costs 7 or is not enough."""
    other = Training((7.0, 7.0), (0.9, 0.9))
    trainings = {3: {1: FAST, 2: SLOW, 3: SLOW}, 1: {1: other, 2: other, 3: SLOW}}
    assert least(trainings, 0.9) == (6, 3)
    assert least(trainings, 0.8) == (4, 3)
    assert least(trainings, 0.99)[0] == math.inf


def test_a_row_says_what_was_not_reached() -> None:
    contestants = {"hemline": Contestant(OURS, "", {}), "peer": Contestant(OURS, "", {})}
    table = Table((0.91, 0.95), (3,), (1,), 3, contestants)
    reached = Training((4.0, 4.0, 4.0), (0.8, 0.91, 0.91))
    lines = list(rows(table, {"hemline": {3: {1: FAST}}, "peer": {3: {1: reached}}}))
    assert lines[2] == "| hemline | 6.0 in 3 epochs | 1.00 | not reached |  | 3.0 | 2.00 | 0.9100 |"
    assert lines[3] == "| peer | 8.0 in 3 epochs | 1.33 | not reached |  | 0.0 | 4.00 | 0.9100 |"
    assert {line.count("|") for line in lines} == {9}


def test_a_training_is_kept_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "FIGURES", tmp_path / "reaching.json")
    assert reaching.kept("mlp") == {}
    reaching.keep("mlp", "hemline", 3, 1, FAST)
    reaching.keep("mlp", "hemline", 3, 2, SLOW)
    reaching.keep("fast_cnn", "peer", 2, 1, FAST)
    assert reaching.kept("mlp") == {"hemline": {3: {1: FAST, 2: SLOW}}}


@pytest.mark.parametrize("network", json.loads(reaching.FIGURES.read_text()))
def test_the_page_has_the_table_of_the_figures(network: str) -> None:
    assert "\n".join(rows(TABLES[network], reaching.kept(network))) in results.PAGE.read_text()


def test_a_clock_answers_after_each_epoch_and_ends_at_its_cap() -> None:
    answers = io.StringIO()
    clock = Clock(np.eye(4, dtype=np.uint8), np.array([0, 1, 2, 0]), 1e6, answers)
    clock.after_epoch(lambda images: images)
    clock.left = 0.0
    with pytest.raises(SystemExit):
        clock.after_epoch(lambda images: -images.astype(int))
    first, second = [json.loads(line) for line in answers.getvalue().splitlines()]
    assert (first["accuracy"], second["accuracy"]) == (0.75, 0.25)  # others than the diagonal: right in the last alone


@pytest.mark.parametrize("network", TABLES)
def test_contestants_are_there_and_have_settings_that_were_compared(network: str) -> None:
    ours, *peers = TABLES[network].contestants.values()
    for contestant in (ours, *peers):
        module, _, function = contestant.function.partition(":")
        assert function in names_of(ROOT / "bench" / f"{module}.py")  # PyTorch is not installed here
    for peer in peers:
        assert any(choice.items() <= peer.settings.items() for choice in peer.choices)
    assert min(TABLES[network].lengths) > 1  # an epoch that compiles needs one that does not
