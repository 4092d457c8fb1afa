"""The runs of a sweep, by Prefect's API: started, looked at, ended early, cancelled.

    trials = Trials(directory, config)
    while not trials.done():
        trials.look()                                   # what they have reached; ends those that are hopeless
        trials.start()                                  # as many as may be under way

A run is asked for by a key of the sweep and the trial's number, and the server makes one run for a key: a sweep that
was killed between its two steps asks again and is given the same run.
"""

import json
import time
from pathlib import Path
from uuid import UUID

from optuna.trial import Trial
from prefect import get_run_logger, runtime
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import ArtifactFilter
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import ArtifactSort
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling

from hemline.config.sweep import SweepConfig
from hemline.records.run import Rows
from hemline.sweeps.study import Study
from tasks.live import AWAY

GONE_SECONDS = 60.0  # after which a crashed run does not come back any more


class Trials:
    """Those of one sweep. What it knows is in the study's file, so another process can go on with it."""

    def __init__(self, directory: Path, config: SweepConfig):
        self._study, self._config, self._log = Study(directory, config), config, get_run_logger()
        self._key = directory.name  # the same for every attempt, and no other sweep's
        self._crashed: dict[int, float] = {}  # since when, by this process's clock

    def done(self) -> bool:
        """Whether all have ended."""
        return self._study.begun() >= self._config.trials and not self._study.running()

    def where(self) -> str:
        """How far it is, in words that change as it goes on."""
        leaders = self._study.leaders()
        ended = sum(leader.state != "running" for leader in leaders)
        return f"{ended} of {self._config.trials} trials, {sum(leader.epochs for leader in leaders)} epochs"

    def start(self) -> None:
        """Begins as many as may be under way; those first that an earlier process was about to begin."""
        running = self._study.running()
        for trial in running:
            if not self._study.noted(trial, "flow_run"):
                self._begin(trial)
        for _ in range(min(self._config.at_once - len(running), self._config.trials - self._study.begun())):
            self._begin(self._study.ask())

    def _begin(self, trial: Trial) -> None:
        values = self._study.values(trial)
        config = self._config.retrain(values)
        run = run_deployment(
            self._config.deployment,
            parameters={"config": config.model_dump(mode="json", exclude_unset=True)},
            flow_run_name=f"{runtime.flow_run.name} trial {trial.number}",
            idempotency_key=f"{self._key}-{trial.number}",
            timeout=0,
        )
        assert isinstance(run, FlowRun)  # a coroutine only where there is an event loop
        self._study.note(trial, "flow_run", str(run.id))
        self._log.info("trial %d is %s: %s", trial.number, run.name, values)

    def look(self) -> None:
        """Takes what the runs have reached. A server that is away is asked again next time."""
        with get_client(sync_client=True) as client:
            for trial in self._study.running():
                if flow_run := self._study.noted(trial, "flow_run"):
                    try:
                        self._look(client, trial, UUID(flow_run))
                    except AWAY as error:
                        self._log.warning("trial %d is not looked at: the server is away (%s)", trial.number, error)

    def _look(self, client: SyncPrefectClient, trial: Trial, flow_run: UUID) -> None:
        try:
            run = client.read_flow_run(flow_run)
        except ObjectNotFound:  # somebody has deleted it
            return self._end(trial, "failed", [])
        rows = _epochs(client, flow_run)
        if ended := self._ended(trial, run):
            self._end(trial, ended, rows)
        elif not self._study.noted(trial, "hopeless") and self._study.hopeless(trial, rows):
            self._study.note(trial, "hopeless", True)  # first: a cancelled run has failed, this one not
            client.set_flow_run_state(flow_run, Cancelling(message="below the median of the trials before"))
        return None

    def _ended(self, trial: Trial, run: FlowRun) -> str | None:
        """How its run ended: 'trained', 'pruned', 'failed'; None while it goes on."""
        state = run.state
        if state is None or not state.is_final():
            self._crashed.pop(trial.number, None)
            return None
        if state.is_crashed():  # an automation brings it back
            since = self._crashed.setdefault(trial.number, time.monotonic())
            return "failed" if time.monotonic() - since > GONE_SECONDS else None
        if state.is_completed():
            return "trained"
        return "pruned" if self._study.noted(trial, "hopeless") else "failed"

    def _end(self, trial: Trial, state: str, rows: Rows) -> None:
        self._study.tell(trial, state, rows)
        self._log.info("trial %d: %s", trial.number, state)

    def cancel(self) -> None:
        """Cancels the runs that are under way."""
        with get_client(sync_client=True) as client:
            for trial in self._study.running():
                if flow_run := self._study.noted(trial, "flow_run"):
                    client.set_flow_run_state(UUID(flow_run), Cancelling(message="the sweep was cancelled"))


def _epochs(client: SyncPrefectClient, flow_run: UUID) -> Rows:
    """The table of epochs that the run shows, as far as it is."""
    wanted = {"flow_run_id": {"any_": [flow_run]}, "key": {"any_": ["epochs"]}}
    found = client.read_artifacts(
        artifact_filter=ArtifactFilter.model_validate(wanted), sort=ArtifactSort.UPDATED_DESC, limit=1
    )
    return list(json.loads(str(found[0].data))) if found else []
