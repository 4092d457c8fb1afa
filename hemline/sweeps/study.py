"""The trials of a sweep, in a record that outlives its process; where machines share the artifacts, its machine too.

    study = Study(directory, config)                    # what there is already is taken up
    trial = study.ask()                                 # trial.number, and study.values(trial): what is to be tried
    study.note(trial, "flow_run", id)
    if study.hopeless(trial, rows): ...                 # rows: of its epochs so far
    study.tell(trial, "trained", rows)                  # counts once, however often it is told

A trial is in the record before anything is started for it, and ends there once. So a sweep that was killed knows
which trials it has begun, and neither begins nor counts one twice. One process at a time may have it open.
"""

import json
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState
from pydantic import BaseModel, JsonValue

from hemline.config.sweep import Range, SweepConfig
from hemline.records.run import Rows, published_epoch
from hemline.storage.shared import shared_at
from hemline.sweeps.journal import SharedJournal

STARTS = 4  # trials that run to their end before one may be ended for being below their median
NAME = "sweep"  # of the one study in the record
STATES = {  # in the order of a leaderboard
    TrialState.COMPLETE: "trained",
    TrialState.PRUNED: "pruned",
    TrialState.RUNNING: "running",
    TrialState.FAIL: "failed",
}


class Leader(BaseModel):
    """A trial and how it ended."""

    trial: int
    state: str  # one of STATES
    val_accuracy: float | None  # of the epoch that a run would publish; of one that was pruned, the last
    epochs: int
    values: dict[str, JsonValue]
    flow_run: str | None


class Study:
    """What was tried, and what is to be tried next."""

    def __init__(self, directory: Path, config: SweepConfig):
        self.config = config
        self.space = {name: _distribution(each) for name, each in config.space.items()}
        directory.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        shared = shared_at(directory)
        journal = SharedJournal(shared) if shared else JournalFileBackend(str(directory / "trials.journal"))
        storage = JournalStorage(journal)
        known = storage.get_all_studies()
        begun = len(storage.get_all_trials(known[0]._study_id)) if known else 0
        seed = config.seed + begun  # or a sweep that goes on would draw what it has drawn before
        samplers = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
        pruners = {"median": optuna.pruners.MedianPruner(STARTS), "none": optuna.pruners.NopPruner()}
        self._study = optuna.create_study(
            study_name=NAME,
            storage=storage,
            direction="maximize",
            load_if_exists=True,
            sampler=samplers[config.sampler](seed=seed),
            pruner=pruners[config.pruner],
        )

    def begun(self) -> int:
        """How many trials there are."""
        return len(self._study.get_trials(deepcopy=False))

    def running(self) -> list[Trial]:
        """Those that have not ended: in no process's memory, so they are made of the record."""
        frozen = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return [self._drawn(Trial(self._study, each._trial_id)) for each in frozen]

    def ask(self) -> Trial:
        """A new one."""
        return self._drawn(self._study.ask())

    def _drawn(self, trial: Trial) -> Trial:
        """The same with all its values: its process may have been killed between two of them."""
        for name in [each for each in self.space if each not in trial.params]:
            trial._suggest(name, self.space[name])
        return trial

    def values(self, trial: Trial | FrozenTrial) -> dict[str, JsonValue]:
        """What it tries, by field."""
        lists = {name for name, each in self.config.space.items() if not isinstance(each, Range)}
        return {name: json.loads(value) if name in lists else value for name, value in trial.params.items()}

    def note(self, trial: Trial, name: str, value: JsonValue) -> None:
        """Keeps a value with the trial: 'flow_run', or what else the next process must know."""
        trial.set_user_attr(name, value)

    def noted(self, trial: Trial, name: str) -> Any:
        """That value, or None."""
        return trial.user_attrs.get(name)

    def hopeless(self, trial: Trial, rows: Rows) -> bool:
        """Whether it may end now. rows: of all its epochs so far, in any number at a time."""
        self._report(trial, rows)
        return bool(rows) and trial.should_prune()

    def _report(self, trial: Trial, rows: Rows) -> None:
        for row in rows[len(self._frozen(trial).intermediate_values) :]:
            trial.report(float(row["val_accuracy"]), int(row["epoch"]))

    def _frozen(self, trial: Trial) -> FrozenTrial:
        """As it is in the record."""
        return self._study.get_trials(deepcopy=False)[trial.number]

    def tell(self, trial: Trial, state: str, rows: Rows) -> None:
        """Ends the trial. state: 'trained', 'pruned' or 'failed'. rows: of its epochs."""
        if self._frozen(trial).state.is_finished():
            return
        self._report(trial, rows)
        if state == "trained" and rows:
            row = published_epoch(self.config.retrain(self.values(trial)), rows)
            self._study.tell(trial, float(row["val_accuracy"]))
        else:
            ended = TrialState.PRUNED if state == "pruned" and rows else TrialState.FAIL
            self._study.tell(trial, state=ended)

    def leaders(self) -> list[Leader]:
        """Every trial, best first."""
        leaders = [self._leader(each) for each in self._study.get_trials(deepcopy=False)]
        order = list(STATES.values())
        return sorted(leaders, key=lambda each: (order.index(each.state), -(each.val_accuracy or 0), each.trial))

    def _leader(self, trial: FrozenTrial) -> Leader:
        reported = trial.intermediate_values
        last = reported[max(reported)] if reported else None
        return Leader(
            trial=trial.number,
            state=STATES[trial.state],
            val_accuracy=trial.value if trial.value is not None else last,
            epochs=len(reported),
            values=self.values(trial),
            flow_run=trial.user_attrs.get("flow_run"),
        )

    @property
    def optuna(self) -> optuna.Study:
        """For what Optuna itself draws."""
        return self._study


def _distribution(values: Range | list[JsonValue]) -> BaseDistribution:
    if not isinstance(values, Range):
        return CategoricalDistribution([json.dumps(value) for value in values])  # lists and mappings too
    if isinstance(values.low, int) and isinstance(values.high, int):
        return IntDistribution(values.low, values.high, log=values.log)
    return FloatDistribution(float(values.low), float(values.high), log=values.log)
