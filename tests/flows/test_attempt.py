"""A cancelled process ends, even one whose main thread does not listen; and what a killed one leaves is ended."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.settings import get_current_settings
from prefect.states import Completed, Running, State

from flows.attempt import end_steps

# Cancelled by a person, its worker gone; its main thread goes on, as it does while XLA compiles.
DEAF = """
import signal, time, uuid
from types import SimpleNamespace
from prefect.states import State
from flows import attempt

class Client:
    def __enter__(self):
        return self
    def __exit__(self, *error):
        pass
    def read_flow_run(self, flow_run):
        return SimpleNamespace(state=State(type="CANCELLING"))
    def set_flow_run_state(self, flow_run, state, force):
        print(state.name, flush=True)

signal.signal(signal.SIGTERM, lambda *_: print("asked to end", flush=True))
attempt.LOOK_SECONDS, attempt.get_client = 0.05, lambda **_: Client()
attempt._Watch(uuid.uuid4()).start()
time.sleep(60)
print("it went on")
"""


def test_a_cancelled_process_that_does_not_listen_is_killed() -> None:
    """In the middle of compiling it went on for as long as that took, and then for as long as Python took to end."""
    ended = subprocess.run([sys.executable, "-c", DEAF], capture_output=True, text=True, timeout=120)
    assert (ended.stdout, ended.returncode) == ("asked to end\nCancelled\n", -signal.SIGKILL), ended.stderr


def test_steps_that_a_killed_attempt_left_running_are_crashed_and_others_stay() -> None:
    """The page of a run that had come back and ended showed a step that went on for ever."""

    @flow
    def night() -> None:
        return None

    @task
    def train() -> None:
        return None

    with get_client(sync_client=True) as client:
        one, other = (client.create_flow_run(night) for _ in range(2))

        def step(flow_run: UUID, key: str, state: State) -> UUID:
            return client.create_task_run(train, flow_run, dynamic_key=key, state=state).id

        steps = [step(one.id, "0", Running()), step(one.id, "1", Completed()), step(other.id, "0", Running())]
        began = datetime.now(UTC)
        steps.append(step(one.id, "2", Running()))  # of the attempt that goes on
        end_steps(one.id, began, "killed by SIGKILL")
        found = [client.read_task_run(each).state for each in steps]
    assert [state and (state.name, state.message) for state in found] == [
        ("Crashed", "killed by SIGKILL"),
        ("Completed", None),
        ("Running", None),
        ("Running", None),
    ]


# Runs of a deployment. One was stopped for a while, and another attempt has taken over; Prefect waits for a service of
# the other, whose thread has died.
RUN = """
import sys, threading, time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4
from prefect import flow
from prefect.concurrency import _leases
from prefect.exceptions import TerminationSignal
from flows import attempt
from hemline.storage.files import write_json

attempt.END_SECONDS = 0.1

@flow
def late(directory):
    with attempt.working_on(directory, limit=5):
        Path(directory, "attempts", "2.json").write_text(Path(directory, "attempts", "1.json").read_text())
        write_json(directory / "record.json", {})

@flow
def lingering(directory):
    threading._register_atexit(threading.Event().wait)
    with attempt.working_on(directory, limit=5):
        pass

def work(directory):
    with attempt.working_on(directory, limit=5):
        while True:
            time.sleep(0.05)

overdue = flow(work, timeout_seconds=1)

def uncounted(directory):  # as a run of a deployment with a limit, whose lease the server has forgotten
    def gone(*_):
        while not Path(directory, "attempts", "1.json").exists():
            time.sleep(0.05)
        raise RuntimeError("410 Gone")

    _leases._lease_renewal_loop = gone
    with _leases.maintain_concurrency_lease(uuid4(), 300, raise_on_lease_renewal_failure=True):
        flow(work, timeout_seconds=3600)(directory)

with suppress(TerminationSignal, TimeoutError):
    globals()[sys.argv[1]](Path(sys.argv[2]))
"""


def run_to_its_end(name: str, directory: Path) -> tuple[str | None, str]:
    """The state's name, once the process has ended by itself, and what it wrote."""
    environment = os.environ | get_current_settings().to_environment_variables()
    environment |= {"PREFECT__RUNTIME__DEPLOYMENT__ID": str(UUID(int=1))}
    words = [sys.executable, "-c", RUN, name, str(directory)]
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=240)
    assert ended.returncode in (0, -signal.SIGTERM), ended.stderr  # with which Prefect ends a run that has crashed
    with get_client(sync_client=True) as client:
        (run,) = [each for each in client.read_flow_runs() if each.parameters == {"directory": str(directory)}]
    return run.state_name, ended.stdout + ended.stderr


def test_a_process_whose_run_is_anothers_now_says_nothing_of_it(tmp_path: Path) -> None:
    """It called the run *Failed*, which another machine had taken up: a person was told, and a sweep counted it so."""
    state, said = run_to_its_end("late", tmp_path)
    assert state == "Running"
    assert "only the newest attempt may write" in said


def test_a_process_that_waits_for_a_dead_thread_is_ended(tmp_path: Path) -> None:
    """It held its worker's slot for good: one that takes a run at a time took no other."""
    state, _ = run_to_its_end("lingering", tmp_path)
    assert state == "Completed"


def test_a_run_that_the_server_does_not_count_any_more_is_crashed_and_comes_back(tmp_path: Path) -> None:
    """A server that was away for a minute made of the night *TimedOut*, after which nothing brings it back."""
    state, said = run_to_its_end("uncounted", tmp_path)
    assert state == "Crashed"
    assert "The run ends here, and comes back" in said


def test_one_whose_time_is_up_is_not(tmp_path: Path) -> None:
    state, said = run_to_its_end("overdue", tmp_path)
    assert state == "TimedOut"
    assert "comes back" not in said
