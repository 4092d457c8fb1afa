"""A sweep is refused before it starts anything that cannot be a run."""

import pytest
from pydantic import ValidationError

from hemline.config.sweep import SweepConfig

RATE = {"groups.upper.learning_rate": {"low": 0.01, "high": 0.3, "log": True}}


def test_a_trial_is_the_base_with_its_values() -> None:
    config = SweepConfig(base={"epochs": 2, "groups": {"upper": {"momentum": 0.5}}}, space=RATE)
    trial = config.retrain({"groups.upper.learning_rate": 0.1})
    upper = trial.groups.by_name()["upper"]
    assert (trial.epochs, trial.only_train, upper.learning_rate, upper.momentum) == (2, True, 0.1, 0.5)


def test_a_recipe_may_be_the_base() -> None:
    config = SweepConfig(base={"recipe": "best-mlp", "validation": 5000}, space=RATE)
    assert config.retrain({"groups.upper.learning_rate": 0.2}).groups.by_name()["matrices"].optimizer == "muon"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"space": {"epoch": [1]}}, "epoch"),
        ({"space": {"epochs": [0]}}, "epochs"),
        ({"space": {"epochs": []}}, "a list of values must not be empty"),
        ({"space": {}}, "at least 1"),
        ({"space": {"epochs": {"low": 5, "high": 5}}}, "low must be below high"),
        ({"space": {"epochs": {"low": 0, "high": 5, "log": True}}}, "above 0 if log"),
        ({"space": RATE, "base": {"recipe": "best-mlp"}}, "must not choose on the test split"),
        ({"space": RATE, "base": {"validation": "test"}}, "must not choose on the test split"),
    ],
)
def test_what_cannot_be_tried_is_refused(given: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        SweepConfig.model_validate(given)
