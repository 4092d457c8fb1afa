"""A sweep knows after its process's death what it has begun and what has ended, and counts nothing twice."""

from pathlib import Path

import pytest
import yaml
from matplotlib import rcParams

from hemline.config.retrain import RetrainConfig
from hemline.config.sweep import SweepConfig
from hemline.records.run import Rows
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


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path, CONFIG)


def test_values_are_of_the_space(study: Study) -> None:
    for _ in range(5):
        values = study.values(study.ask())
        assert 0.01 <= values["groups.upper.learning_rate"] <= 0.3  # type: ignore[operator]
        assert values["epochs"] in range(1, 10)
        assert values["frozen"] in ([], ["hidden_1"])
        CONFIG.retrain(values)


def test_another_process_finds_what_was_begun(study: Study, tmp_path: Path) -> None:
    trial = study.ask()
    study.note(trial, "flow_run", "7")
    (found,) = (again := Study(tmp_path, CONFIG)).running()
    assert (found.number, again.values(found), again.noted(found, "flow_run")) == (0, study.values(trial), "7")
    assert again.begun() == 1


def test_it_does_not_draw_the_same_again(study: Study, tmp_path: Path) -> None:
    """Each process has a sampler of its own, which would begin where the first one began."""
    first = study.values(study.ask())
    assert Study(tmp_path, CONFIG).values(Study(tmp_path, CONFIG).ask()) != first


def test_a_trial_ends_once(study: Study, tmp_path: Path) -> None:
    trial = study.ask()
    study.tell(trial, "trained", rows(0.5, 0.7))
    (again,) = (other := Study(tmp_path, CONFIG)).leaders()
    other.tell(trial, "trained", rows(0.9))
    assert (again.state, again.val_accuracy, again.epochs) == ("trained", 0.7, 2)
    assert other.leaders()[0].val_accuracy == 0.7
    assert not other.running()


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
