"""A cancelled process ends, even one whose main thread does not listen."""

import signal
import subprocess
import sys

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
