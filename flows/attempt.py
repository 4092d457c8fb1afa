"""An attempt at a run, as Prefect's server sees it: what ended the one before, and what the server wants of this one.

    with working_on(directory, limit=5): ...            # hemline.storage.attempts holds the run, and Prefect knows

A worker reports a killed process, and the automations of ops/automations.py bring its run back; what neither can do is
done here, by a thread that looks at the run's state. A run whose worker has died is not cancelled by anyone else. And
one that was thought lost, because the server did not hear of it for a while, says that it is alive.
"""

import contextvars
import logging
import os
import re
import signal
import sys
import threading
import time
from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from prefect import get_run_logger, runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import TaskRunFilter
from prefect.context import FlowRunContext
from prefect.exceptions import Abort, TerminationSignal
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Cancelled, Crashed, Running, State

from hemline.errors import SupersededError
from hemline.storage.attempts import Attempt, attempt
from hemline.storage.timing import spent
from tasks.live import AWAY

LOOK_SECONDS = 2.0  # between two looks at a run's state
LOOKS = 3  # after so many of *Cancelling* a worker should have ended the process; one more, and it cannot end itself
END_SECONDS = 60.0  # that a process may take to end, whose run has ended
LATE_SECONDS = 60.0  # after the start of its flow an attempt begins, at the latest
LOST = "lost without a sign of life"  # what the automations say of a run that they do not hear of any more


@contextmanager
def working_on(directory: Path, limit: int) -> Iterator[Attempt]:
    """Holds the run until the block ends, or until the server takes it away. limit: of crashes in a row."""
    flow_run = UUID(str(runtime.flow_run.id))
    watch, began = _Watch(flow_run), datetime.now(UTC)
    try:
        with attempt(directory, str(flow_run), _how_it_ended(flow_run), limit, _pause) as this:
            if this.after:
                get_run_logger().info("attempt %d, after: %s", this.number, this.after)
                end_steps(flow_run, began, this.after)
            spent(directory, {"start": _age()})  # with its own server, if it has one
            watch.start()
            try:
                yield this
            finally:
                watch.done.set()
                if runtime.deployment.id:
                    threading._register_atexit(_end_in_time)  # type: ignore[attr-defined]  # called before Prefect's own
            if this.after:
                end_steps(flow_run, began, this.after)  # again: a busy server can hear of a step minutes later
    except SupersededError as error:
        if runtime.deployment.id:
            get_run_logger().warning("%s", error)
            _end_in_silence()
        raise
    except CancelledError:
        if _timed_out(began):
            raise
        get_run_logger().warning(
            "the server does not count this run in its deployment's concurrency limit any more: it was away, or "
            "thought the run lost. The run ends here, and comes back"
        )
        raise TerminationSignal(signal.SIGTERM) from None  # which is a crash; Prefect would say *TimedOut*
    except TerminationSignal:
        if _cancelled(flow_run, alone=watch.told and not runtime.deployment.id):
            raise Abort("the run was cancelled") from None  # which Prefect does not call a crash
        raise


def _timed_out(began: datetime) -> bool:
    """Whether the flow is ended for its time limit."""
    context = FlowRunContext.get()
    limit = context.flow.timeout_seconds if context and context.flow else None
    return limit is not None and (datetime.now(UTC) - began).total_seconds() > limit - LATE_SECONDS


def _end_in_silence() -> None:
    """Ends the process. The run is another one's now: *Failed* would be said of that, and *Crashed* bring it back."""
    logging.shutdown()
    os._exit(0)  # which no worker calls a crash


def _end_in_time() -> None:
    """Ends the process after a while. At its end Prefect waits for its services, and for a dead thread's it never ends.

    Its run has ended, and its worker would take no other one for it.
    """
    end = threading.Timer(END_SECONDS, os._exit, (0,))
    end.daemon = True
    end.start()


def end_steps(flow_run: UUID, before: datetime, reason: str) -> None:
    """Those that were begun before and have not ended are *Crashed*: of a killed process nobody says so."""
    running = {"state": {"type": {"any_": ["RUNNING"]}}, "start_time": {"before_": before}}
    left = TaskRunFilter.model_validate(running | {"flow_run_id": {"any_": [str(flow_run)]}})
    try:
        with get_client(sync_client=True) as client:
            for step in client.read_task_runs(task_run_filter=left):
                client.set_task_run_state(step.id, Crashed(message=reason), force=True)
    except AWAY as error:
        get_run_logger().warning("the UI shows steps of an attempt that has ended as running: %s", error)


def _age() -> float:
    """Seconds since this process was started. psutil's are by the machine's start, which is known to a second."""
    if sys.platform != "linux":
        return time.time() - psutil.Process().create_time()
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def _pause(seconds: float) -> None:
    get_run_logger().info("it crashes again and again: the next attempt begins in %.0f s", seconds)
    time.sleep(seconds)


def _how_it_ended(flow_run: UUID) -> str:
    """What the server knows of the attempt before this one; empty if this is the first."""
    if runtime.flow_run.run_count < 2:
        return ""
    with get_client(sync_client=True) as client:
        states = sorted(client.read_flow_run_states(flow_run), key=lambda state: state.timestamp)
    ends = [state for state in states if state.is_final()]
    return ending(ends[-1]) if ends else ""


def ending(state: State) -> str:
    """How a process ended, in a few words."""
    message = (state.message or "").strip() or "no reason is known"
    if LOST in message:
        return LOST
    if found := re.search(r"status code:? (-?\d+)", message):
        code = int(found[1])
        killed = -code if code < 0 else code - 128  # a shell's way to say it
        if killed in set(signal.Signals):
            return f"killed by {signal.Signals(killed).name}"
        return f"ended with exit code {code}"
    if "termination signal" in message:
        return "stopped by SIGTERM"
    if "interrupt signal" in message:
        return "stopped by Ctrl-C"
    return f"{(state.name or state.type.value).lower()} ({message.splitlines()[0]})"


def _cancelled(flow_run: UUID, alone: bool) -> bool:
    """Whether the signal that ended the attempt was meant to cancel the run; alone: without a worker.

    Prefect knows it only of a process that leaves the signals alone, and training does not. A worker that cancels says
    so in the end, however late, and then a person who had retried the run meanwhile would see it cancelled again; so it
    is said here only of a run that has none. Where a worker has died, an automation says it.
    """
    with suppress(*AWAY), get_client(sync_client=True) as client:
        state = client.read_flow_run(flow_run).state
        if alone and state and state.is_cancelling():
            client.set_flow_run_state(flow_run, _whole(), force=True)
        return bool(state and (state.is_cancelling() or state.is_cancelled()))
    return False


def _whole() -> State[Any]:
    return Cancelled(message="what was written is whole; Retry goes on from it")


class _Watch(threading.Thread):
    """Looks at the run's state, as long as it works. told: whether it has told the process to end."""

    def __init__(self, flow_run: UUID):
        super().__init__(name="watch", daemon=True)
        self.flow_run, self.done, self.told = flow_run, threading.Event(), False
        # A request that is tried again for minutes would be answered with an old state. The client is not made in the
        # thread: TFDS replaces Python's import for moments, and what the client imports then is not there.
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            self._context = contextvars.copy_context()  # Prefect's settings are in it, and where its server is
            self._client = get_client(sync_client=True)

    def run(self) -> None:
        self._context.run(self._watch)

    def _watch(self) -> None:
        cancelling = 0  # times that it saw it in a row
        with self._client as client:
            while not self.done.wait(LOOK_SECONDS):
                with suppress(*AWAY):
                    state = client.read_flow_run(self.flow_run).state
                    if state is None or self.done.is_set():
                        continue
                    if state.is_crashed():
                        alive: State[Any] = Running(message="it was thought lost, and is alive")
                        client.set_flow_run_state(self.flow_run, alive, force=True)
                    cancelling = cancelling + 1 if state.is_cancelling() else 0
                    if self.told:  # and does not listen, in compiled code. What is on the disk is whole at any moment
                        if state.is_cancelling():  # or a worker would call it crashed, and it would come back
                            client.set_flow_run_state(self.flow_run, _whole(), force=True)
                        os.kill(os.getpid(), signal.SIGKILL)
                    if state.is_cancelled() or cancelling == LOOKS:
                        # Its worker, which ends it within seconds, is gone; or somebody has set the state.
                        self.told = True
                        os.kill(os.getpid(), signal.SIGTERM)
