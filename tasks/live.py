"""What a step shows of itself in the UI, where the server may be away for a while.

with Progress("training-progress", "epochs trained") as progress:
    progress.show(40.0)                             # percent; returns at once
in_ui(create_table_artifact, key="epochs", table=rows)              # waits for the server, but not for ever
with one_at_a_time(data / ".cpu.lock", "the CPU"): ...              # the run is *Waiting* meanwhile, and says for whom
"""

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import UUID

import httpx
from prefect import get_run_logger, runtime
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Running, State

from hemline.storage.locks import locked

AGAIN_SECONDS = 1.0  # after which a server that was away is asked again
LAST_SECONDS = 5.0  # that the last value may take
AWAY_SECONDS = 600.0  # that a step waits for a server that is away
AWAY = (httpx.HTTPError, PrefectHTTPStatusError)  # what a server that is away, or in trouble, raises


class Progress:
    """A progress artifact that a thread keeps up to date; of several values the newest counts."""

    def __init__(self, key: str, description: str):
        self._key, self._description, self._log = key, description, get_run_logger()
        self._newest, self._shown, self._done, self._changed = 0.0, -1.0, False, threading.Condition()
        context = contextvars.copy_context()  # the run's: Prefect knows by it whose artifact this is
        self._thread = threading.Thread(target=context.run, args=(self._keep_up,), name="progress", daemon=True)

    def show(self, percent: float) -> None:
        """Returns at once."""
        with self._changed:
            self._newest = percent
            self._changed.notify()

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._done = True
            self._changed.notify()
        self._thread.join(LAST_SECONDS)
        if self._shown != self._newest:
            self._log.warning("the server is away: the UI does not show the progress after %.0f %%", self._shown)

    def _keep_up(self) -> None:
        artifact: UUID | None = None
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._done or self._newest != self._shown)
                    if self._newest == self._shown:
                        return
                    value = self._newest
                try:
                    if artifact is None:
                        made = create_progress_artifact(progress=value, key=self._key, description=self._description)
                        assert isinstance(made, UUID)  # a coroutine only where there is an event loop
                        artifact = made
                    else:
                        update_progress_artifact(artifact, progress=value)
                    self._shown = value
                except AWAY:
                    time.sleep(AGAIN_SECONDS)


def in_ui(create: Callable[..., object], **content: object) -> None:
    """Makes an artifact. A new client of Prefect's gives up at once where no server answers; this one tries again."""
    deadline = time.monotonic() + AWAY_SECONDS
    while True:
        try:
            create(**content)
            return
        except AWAY as error:
            if time.monotonic() > deadline:
                get_run_logger().warning("the UI does not have %s: the server is away (%s)", content["key"], error)
                return
            time.sleep(AGAIN_SECONDS)


@contextmanager
def one_at_a_time(lock: Path, what: str) -> Iterator[None]:
    """Holds the lock. While another run does, this one's state is *Waiting* and names it.

    A lock of the machine and not a limit of the server's: it ends with its process, however that ends.
    """
    name = runtime.flow_run.name
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(lock, wait=0.5))
        except BlockingIOError:
            message = f"for {what}: {lock.read_text() or 'another run'} trains on it"
            get_run_logger().info("waiting %s", message)
            show_state(Running(name="Waiting", message=message))
            stack.enter_context(locked(lock))
            show_state(Running())
        lock.write_text(name)
        yield


def show_state(state: State) -> None:
    """Sets the state of this run, which goes on. A server that is away is not waited for."""
    try:
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(UUID(str(runtime.flow_run.id)), state, force=True)
    except AWAY as error:
        get_run_logger().warning("the UI does not show that the run is %s: %s", state.name, error)
