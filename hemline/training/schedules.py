"""Learning rates that change over a run.

    rate = learning_rate("lower", group, steps_per_epoch=469, epochs=5)    # a number, or a ScheduledRate
    keras.optimizers.Adam(rate)

A configuration counts in epochs, which become steps here.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
from keras import ops

from hemline.config.optimizers import OptimizerGroup
from hemline.errors import ConfigurationError


@keras.saving.register_keras_serializable(package="hemline")
@dataclass(frozen=True, eq=False)
class ScheduledRate(keras.optimizers.schedules.LearningRateSchedule):
    """The rate at step 0, 1, 2, ...: rises linearly to `peak` in the last step of the warm-up, then changes from there.

    cosine_steps: the step at which half a cosine wave, from `peak` at the end of the warm-up, has come down to
    `final_fraction` of it. change_at, change_to: from each of these steps on, the rate is that share of `peak`.
    """

    peak: float
    warmup_steps: int = 0
    cosine_steps: int = 0
    final_fraction: float = 0.0
    change_at: Sequence[int] = ()
    change_to: Sequence[float] = ()

    def __call__(self, step: Any) -> Any:
        """float32 scalar. The optimizer's own count of its steps is all the state there is."""
        step = ops.cast(step, "float32")
        share = ops.ones_like(step)
        if self.cosine_steps:
            progress = ops.clip((step - self.warmup_steps) / (self.cosine_steps - self.warmup_steps), 0.0, 1.0)
            share = self.final_fraction + (1 - self.final_fraction) * 0.5 * (1 + ops.cos(math.pi * progress))
        for at, to in zip(self.change_at, self.change_to, strict=True):
            share = ops.where(step >= at, to, share)
        if self.warmup_steps:
            share *= ops.minimum((step + 1) / self.warmup_steps, 1.0)
        return self.peak * share

    def get_config(self) -> dict[str, Any]:
        """What Keras saves with an optimizer."""
        return asdict(self)


def learning_rate(
    name: str, group: OptimizerGroup, steps_per_epoch: int | None, epochs: int | None
) -> float | ScheduledRate:
    """The group's rate as its optimizer takes it. name: the group's. A constant rate needs no length of the run."""
    schedule = group.schedule
    if schedule.kind == "constant" and not schedule.warmup_epochs:
        return group.learning_rate
    if steps_per_epoch is None or epochs is None:
        raise TypeError(f"the schedule of group {name!r} needs steps_per_epoch and epochs")
    for field, times in {"warmup_epochs": [schedule.warmup_epochs], "change_at": schedule.change_at}.items():
        if max(times, default=0) >= epochs:
            raise ConfigurationError(
                f"groups.{name}.schedule.{field} must be < epochs. "
                f"Received: {field}={max(times):g}, epochs={epochs}. Change one of them."
            )

    def steps(duration: float) -> int:
        return max(1, round(duration * steps_per_epoch)) if duration else 0

    return ScheduledRate(
        group.learning_rate,
        warmup_steps=steps(schedule.warmup_epochs),
        cosine_steps=steps(epochs) if schedule.kind == "cosine" else 0,
        final_fraction=schedule.final_fraction,
        change_at=[steps(duration) for duration in schedule.change_at],
        change_to=schedule.change_to,
    )
