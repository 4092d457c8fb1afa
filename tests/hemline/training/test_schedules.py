"""Learning rates step by step, against numbers worked out by hand."""

from typing import Any

import keras
import numpy as np
import pytest

from hemline.config.optimizers import OptimizerGroup
from hemline.errors import ConfigurationError
from hemline.training.schedules import ScheduledRate, learning_rate


def rates(schedule: dict[str, Any], steps_per_epoch: int = 4, epochs: int = 2, peak: float = 0.8) -> list[float]:
    """The rate of every step of the run, and of the one after it."""
    group = OptimizerGroup.model_validate(
        {"layers": ["*"], "optimizer": "sgd", "learning_rate": peak, "schedule": schedule}
    )
    rate = learning_rate("all", group, steps_per_epoch, epochs)
    assert isinstance(rate, ScheduledRate)
    return [float(rate(np.int64(step))) for step in range(steps_per_epoch * epochs + 1)]


def test_a_constant_rate_is_a_number() -> None:
    # Regression: a schedule in its place would change the last bit of an update.
    group = OptimizerGroup(layers=["*"], optimizer="sgd", learning_rate=0.8)
    assert learning_rate("all", group, None, None) == 0.8


def test_cosine_goes_from_the_rate_to_nothing_without_a_jump_between_epochs() -> None:
    # 8 steps: half a turn of pi/8 each. cos 0, 22.5, 45, 67.5, 90 degrees and so on, moved to 0..1.
    expected = [0.8, 0.769552, 0.682843, 0.553073, 0.4, 0.246927, 0.117157, 0.030448, 0.0]
    assert rates({"kind": "cosine"}) == pytest.approx(expected, abs=1e-6)


def test_cosine_to_a_final_fraction() -> None:
    values = rates({"kind": "cosine", "final_fraction": 0.25})
    assert [values[step] for step in (0, 4, 8)] == pytest.approx([0.8, 0.5, 0.2])  # 0.5 is halfway from 0.8 to 0.2


def test_warm_up_reaches_the_rate_in_its_last_step_and_stays() -> None:
    assert rates({"warmup_epochs": 1}) == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8])


def test_warm_up_of_half_an_epoch_before_cosine() -> None:
    # 2 steps up, then half a wave over the other 6: 0, 30, 60, 90, 120, 150, 180 degrees.
    expected = [0.4, 0.8, 0.8, 0.746410, 0.6, 0.4, 0.2, 0.053590, 0.0]
    assert rates({"kind": "cosine", "warmup_epochs": 0.5}) == pytest.approx(expected, abs=1e-6)


def test_piecewise_changes_at_the_first_step_of_an_epoch_and_within_one() -> None:
    values = rates({"kind": "piecewise", "change_at": [1, 1.5], "change_to": [0.5, 0.1]})
    assert values == pytest.approx([0.8] * 4 + [0.4] * 2 + [0.08] * 3)


def test_warm_up_scales_what_follows_it() -> None:
    values = rates({"kind": "piecewise", "change_at": [0.5], "change_to": [0.5], "warmup_epochs": 1})
    assert values[:5] == pytest.approx([0.2, 0.4, 0.3, 0.4, 0.4])


def test_a_duration_shorter_than_a_step_is_one_step() -> None:
    assert rates({"warmup_epochs": 0.01}) == pytest.approx([0.8] * 9)


@pytest.mark.parametrize(
    ("schedule", "sentence"),
    [
        (
            {"warmup_epochs": 2},
            "groups.all.schedule.warmup_epochs must be < epochs. Received: warmup_epochs=2, epochs=2",
        ),
        (
            {"kind": "piecewise", "change_at": [1, 3.5], "change_to": [0.5, 0.1]},
            "groups.all.schedule.change_at must be < epochs. Received: change_at=3.5, epochs=2. Change it or epochs.",
        ),
    ],
)
def test_what_would_never_come_is_refused(schedule: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        rates(schedule)
    assert str(caught.value).startswith(sentence)


def test_a_schedule_without_a_length_is_a_mistake_of_the_caller() -> None:
    group = OptimizerGroup.model_validate(
        {"layers": ["*"], "optimizer": "sgd", "learning_rate": 1, "schedule": {"kind": "cosine"}}
    )
    with pytest.raises(TypeError, match="group 'all' needs steps_per_epoch and epochs"):
        learning_rate("all", group, None, 5)


def test_an_optimizer_saves_its_schedule() -> None:
    rate = ScheduledRate(0.8, warmup_steps=2, cosine_steps=8, change_at=[5], change_to=[0.5])
    saved = keras.optimizers.serialize(keras.optimizers.SGD(rate))
    again = keras.optimizers.deserialize(saved)
    again.iterations.assign(6)
    assert float(again.learning_rate) == float(rate(6))
