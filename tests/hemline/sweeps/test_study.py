"""A sweep knows after its process's death what it has begun and what has ended, and counts nothing twice.

On one machine, and on two that share a store: there the second is the one that knows.
"""

from itertools import count, cycle
from pathlib import Path
from typing import Any

import pytest
import yaml
from matplotlib import rcParams
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from pydantic import JsonValue

from hemline.config.retrain import RetrainConfig
from hemline.config.sweep import SweepConfig
from hemline.records.run import Rows
from hemline.sweeps.journal import SharedJournal
from hemline.sweeps.leaderboard import markdown, pictures, table, write_recipe
from hemline.sweeps.study import STARTS, Study

CONFIG = SweepConfig.model_validate(
    {
        "space": {
            "groups.upper.learning_rate": {"low": 0.01, "high": 0.3, "log": True},
            "epochs": {"low": 1, "high": 9},
            "frozen": [[], ["hidden_1"]],
        },
        "trials": 12,
    }
)


def rows(*accuracies: float) -> Rows:
    return [{"epoch": number, "val_accuracy": each, "val_loss": 1} for number, each in enumerate(accuracies, start=1)]


@pytest.fixture(params=["one machine", "two machines"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """The sweep's directory where it is begun, and where it goes on."""
    if request.param == "one machine":
        return tmp_path, tmp_path
    here, there = request.getfixturevalue("copies")
    return here / "sweeps" / "of-shoes", there / "sweeps" / "of-shoes"


@pytest.fixture
def study(places: tuple[Path, Path]) -> Study:
    return Study(places[0], CONFIG)


@pytest.fixture
def elsewhere(places: tuple[Path, Path]) -> Path:
    return places[1]


def test_values_are_of_the_space(study: Study) -> None:
    for _ in range(5):
        values = study.values(study.ask())
        assert 0.01 <= values["groups.upper.learning_rate"] <= 0.3  # type: ignore[operator]
        assert values["epochs"] in range(1, 10)
        assert values["frozen"] in ([], ["hidden_1"])
        CONFIG.retrain(values)


def test_another_process_finds_what_was_begun(study: Study, elsewhere: Path) -> None:
    trial = study.ask()
    study.note(trial, "flow_run", "7")
    (found,) = (again := Study(elsewhere, CONFIG)).running()
    assert (found.number, again.values(found), again.noted(found, "flow_run")) == (0, study.values(trial), "7")
    assert again.begun() == 1


def test_it_does_not_draw_the_same_again(study: Study, elsewhere: Path) -> None:
    """Each process has a sampler of its own, which would begin where the first one began."""
    first = study.values(study.ask())
    again = Study(elsewhere, CONFIG)
    assert again.values(again.ask()) != first


def test_a_trial_ends_once(study: Study, elsewhere: Path) -> None:
    trial = study.ask()
    study.tell(trial, "trained", rows(0.5, 0.7))
    (again,) = (other := Study(elsewhere, CONFIG)).leaders()
    other.tell(trial, "trained", rows(0.9))
    assert (again.state, again.val_accuracy, again.epochs) == ("trained", 0.7, 2)
    assert other.leaders()[0].val_accuracy == 0.7
    assert not other.running()


def test_killed_at_any_line_of_its_record_it_goes_on_with_the_same_trials(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One was begun with the values that its process had come to: the other fields were those of `base`."""
    backend = JournalFileBackend if places[0] == places[1] else SharedJournal
    append, lines_left, started = backend.append_logs, 0, dict[int, dict[str, JsonValue]]()

    class Killed(BaseException):
        pass

    def dies(journal: BaseJournalBackend, logs: list[dict[str, Any]]) -> None:
        nonlocal lines_left
        if lines_left == 0:
            raise Killed
        lines_left -= 1
        append(journal, logs)  # type: ignore[arg-type]

    def live(place: Path) -> Study:
        study = Study(place, CONFIG)
        for trial in study.running():
            values = study.values(trial)
            assert started.setdefault(trial.number, values) == values  # a server has one run for a number
        while study.begun() < 3:
            study.ask()
        for trial in study.running():
            study.tell(trial, "trained", rows(0.5, 0.6))
        return study

    monkeypatch.setattr(backend, "append_logs", dies)
    for lines, place in zip(count(), cycle(places)):
        lines_left = lines
        try:
            leaders = live(place).leaders()
            break
        except Killed:
            continue
    assert [(each.trial, each.state, each.epochs) for each in leaders] == [(n, "trained", 2) for n in range(3)]
    assert [each.values.keys() for each in leaders] == [CONFIG.space.keys()] * 3
    assert {each.trial: each.values for each in leaders}.items() >= started.items()


def test_a_run_that_shows_no_epoch_has_failed(study: Study) -> None:
    study.tell(study.ask(), "trained", [])
    assert study.leaders()[0].state == "failed"


def test_below_the_median_is_hopeless(study: Study) -> None:
    for _ in range(STARTS):
        trial = study.ask()
        assert not study.hopeless(trial, rows(0.6, 0.8))
        study.tell(trial, "trained", rows(0.6, 0.8))
    bad, good = study.ask(), study.ask()
    assert not study.hopeless(bad, rows(0.6))
    assert study.hopeless(bad, rows(0.6, 0.7))
    assert not study.hopeless(good, rows(0.6, 0.9))
    study.tell(bad, "pruned", rows(0.6, 0.7))
    assert [each.state for each in study.leaders()] == ["trained"] * STARTS + ["pruned", "running"]


def test_the_leaderboard_has_the_best_on_top_and_as_a_recipe(study: Study, tmp_path: Path) -> None:
    for accuracy in (0.7, 0.9, 0.8):
        study.tell(study.ask(), "trained", rows(accuracy))
    study.tell(study.ask(), "failed", [])
    leaders, style = study.leaders(), dict(rcParams)
    assert [row["val_accuracy"] for row in table(leaders)] == [0.9, 0.8, 0.7, "-"]
    text = markdown(CONFIG, leaders, found := pictures(study))
    assert "**Trial 1 is the best of 4: 90.00% on validation.**" in text
    assert list(found) == ["validation accuracy by configuration", "how much each field matters"]
    assert text.count("data:image/svg+xml") == 2
    assert dict(rcParams) == style  # Optuna's own would be that of every later picture
    path = write_recipe(tmp_path / "best.yaml", CONFIG, leaders)
    assert path
    best = RetrainConfig.model_validate(yaml.safe_load(path.read_text()))
    assert (best.epochs, best.only_train) == (leaders[0].values["epochs"], False)


def test_there_is_no_recipe_if_nothing_was_trained(study: Study, tmp_path: Path) -> None:
    study.tell(study.ask(), "failed", [])
    assert write_recipe(tmp_path / "best.yaml", CONFIG, study.leaders()) is None
    assert "No trial was trained" in markdown(CONFIG, study.leaders(), pictures(study))
