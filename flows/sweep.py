"""Searches for a better configuration: many runs of `retrain`, at most so many at a time, and the best as a recipe.

    prefect deployment run 'sweep/search' --param config='{"space": {"groups.upper.learning_rate": {"low": 0.001,
      "high": 0.1, "log": true}}, "trials": 20, "at_once": 4}'
    hemline retrain --recipe artifacts/sweeps/2026-11-29-sweep-5bcf73b6/best.yaml

Runs are those of a deployment, on whatever work pool it has, and end after training: only the validation split is
looked at. A sweep that is killed comes back as every run does, and goes on with the runs that it has begun.
"""

import time
from pathlib import Path

from prefect import flow, runtime
from prefect.exceptions import Abort

from flows.attempt import working_on
from flows.names import dated
from flows.places import confine
from hemline.config.sweep import SweepConfig
from hemline.storage.attempts import LIMIT, reached
from hemline.storage.files import write_json
from hemline.storage.runs import SWEEPS, run_directory
from tasks.leaderboard import leaderboard
from tasks.trials import Trials

LOOK_SECONDS = 2.0  # between two looks at the runs


@flow(name="sweep", flow_run_name=dated(lambda config: ("sweep", config.name)), result_serializer="json")
def sweep(config: SweepConfig) -> Path | None:
    """Try configurations of retrain, and leave the best of them as a recipe. Returns its path."""
    confine(artifacts_dir=config.artifacts_dir)
    this = runtime.flow_run
    directory = run_directory(config, this.scheduled_start_time, str(this.id), SWEEPS)
    write_json(directory / "config.json", config.model_dump(mode="json"))
    try:
        with working_on(directory, LIMIT):
            trials = Trials(directory, config)  # not before: to open them takes them from an earlier attempt
            while not trials.done():
                reached(trials.where())  # so that a crash in a long trial is not taken for one that repeats
                trials.look()
                trials.start()
                time.sleep(LOOK_SECONDS)
            return leaderboard(directory, config)
    except Abort:
        Trials(directory, config).cancel()
        raise
