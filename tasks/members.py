"""The members of a cluster, by Prefect's API: started, introduced to each other, brought back or ended together.

    members = Members(key, config, workers=2, began=datetime.now(UTC))
    members.start()
    while not (state := members.look()):                # the state in which the cluster ends
        time.sleep(2)

A member is a run of `retrain`; member 0 evaluates and publishes, and its end is the cluster's. The server makes one
run for a key, and what a member has said or was told are its labels: a coordinator that was killed asks again and goes
on. Members wait for each other at every step of the training, so one that is gone ends the others; all come back, as
the same runs, from the newest checkpoint that all of them have.
"""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect import get_run_logger, runtime
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.states import AwaitingRetry, Cancelled, Cancelling, Completed, Failed

from hemline.config.retrain import RetrainConfig
from hemline.runtime.cluster import require_reachable, tf_config
from tasks.join import ADDRESS, INTRODUCTION
from tasks.live import AWAY

DEPLOYMENT = "retrain/member"  # without the tag by which a single run comes back after a crash
# A worker proposes Crashed twice, and holds the run's slot in between; what came back at once could run twice.
RESUME_SECONDS = 15.0
ENDED = "ended with its cluster"  # what we say to members; of any other cancellation a person is the cause
# What TensorFlow raises where another worker is gone, or does not answer, or the port was taken meanwhile.
LOST = {"UnavailableError", "AbortedError", "DeadlineExceededError", "UnknownError"}


class Members:
    """Those of one cluster. key: no other cluster's. began: when this attempt did; what ended before is no verdict."""

    def __init__(self, key: str, config: RetrainConfig, workers: int, began: datetime):
        self._key, self._config, self._workers, self._began = key, config, workers, began
        self._log, self._runs, self._came_back = get_run_logger(), list[UUID](), 0

    def start(self) -> None:
        """Asks for all of them, once."""
        for number in range(self._workers):
            run = run_deployment(
                DEPLOYMENT,
                parameters={"config": self._config.model_dump(mode="json", exclude_unset=True)},
                job_variables={"env": {"TF_CONFIG": tf_config([""] * self._workers, number)}},
                flow_run_name=f"{runtime.flow_run.name} worker {number}",
                idempotency_key=f"{self._key}-{number}",
                timeout=0,
            )
            assert isinstance(run, FlowRun)  # a coroutine only where there is an event loop
            self._runs.append(run.id)

    def look(self) -> State | None:
        """Does what is to be done. A server that is away is asked again next time."""
        try:
            with get_client(sync_client=True) as client:
                return self._look(client, [client.read_flow_run(each) for each in self._runs])
        except AWAY as error:
            self._log.warning("the members are not looked at: the server is away (%s)", error)
            return None

    def end(self, why: str) -> None:
        """Cancels those that are under way."""
        with get_client(sync_client=True) as client:
            self._end(client, [client.read_flow_run(each) for each in self._runs], why)

    def _look(self, client: SyncPrefectClient, runs: list[FlowRun]) -> State | None:
        first = _state(runs[0])
        if first.is_completed():  # the others have nothing left to do
            return Completed(name=first.name, message=first.message)
        lost = [run for run in runs if _state(run).is_final() and not _state(run).is_completed()]
        if not lost:
            self._introduce(client, runs)
        elif all(_state(run).is_final() for run in runs):
            return self._after(client, runs, lost)
        else:
            self._end(client, runs, f"{lost[0].name} is {_state(lost[0]).name}")
        return None

    def _introduce(self, client: SyncPrefectClient, runs: list[FlowRun]) -> None:
        """Tells all of them where the others are, once all have said where they are."""
        addresses = [str(run.labels.get(ADDRESS, "")) for run in runs]
        if all(addresses) and not all(run.labels.get(INTRODUCTION) for run in runs):
            require_reachable(addresses)
            for number, run in enumerate(runs):
                client.update_flow_run_labels(run.id, {INTRODUCTION: tf_config(addresses, number)})
            self._log.info("the cluster is %s", ", ".join(addresses))

    def _end(self, client: SyncPrefectClient, runs: list[FlowRun], why: str) -> None:
        for run in runs:
            if not _state(run).is_final() and not _state(run).is_cancelling():
                self._log.info("%s is ended: %s", run.name, why)
                client.set_flow_run_state(run.id, Cancelling(message=f"{ENDED}: {why}"))

    def _after(self, client: SyncPrefectClient, runs: list[FlowRun], lost: list[FlowRun]) -> State | None:
        """Once all have ended: brings them back, unless there is a reason not to."""
        if datetime.now(UTC) - max(_state(run).timestamp for run in runs) < timedelta(seconds=RESUME_SECONDS):
            return None
        for run in lost:
            if _state(run).timestamp > self._began and (verdict := _verdict(client, run)):
                return verdict
        if self._came_back >= self._config.attempts:
            ends = "; ".join(f"{run.name} is {_state(run).name}" for run in lost)
            return Failed(
                message=f"a cluster may come back {self._config.attempts} times in a row. Received: one more loss, "
                f"{ends}. Find what ends them (memory? network?); Retry goes on from the checkpoint."
            )
        self._came_back += 1
        self._log.info("all members come back: %s", "; ".join(f"{run.name} was {_state(run).name}" for run in lost))
        for run in runs:  # first, or a member might be introduced to one that is gone
            client.update_flow_run_labels(run.id, {ADDRESS: "", INTRODUCTION: ""})
        for run in runs:
            client.set_flow_run_state(run.id, AwaitingRetry(message="its cluster goes on"), force=True)
        return None


def _state(run: FlowRun) -> State:
    assert run.state  # every run of a deployment has one
    return run.state


def _verdict(client: SyncPrefectClient, run: FlowRun) -> State | None:
    """The cluster's state if this member's end must be its end too; None for a loss, after which all come back."""
    state = _state(run)
    if state.is_cancelled():
        states = sorted(client.read_flow_run_states(run.id), key=lambda each: each.timestamp)
        asked = [each.message or "" for each in states if each.is_cancelling()]
        ours = bool(asked) and asked[-1].startswith(ENDED)
        return None if ours else Cancelled(message=f"{run.name} was cancelled")
    if state.is_failed():
        message = state.message or ""
        error = re.search(r"exception: (\w+)", message)
        return None if error and error[1] in LOST else Failed(message=f"{run.name}: {message}")
    return None
