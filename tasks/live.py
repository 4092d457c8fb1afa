"""What a step shows of itself in the UI, where the server may be away for a while.

with Growing("training", draw=page_of) as page:      # page_of(rows): a sentence, and a page in Markdown, or a table
    page.show(rows)                                 # returns at once; the newest counts
in_ui(create_table_artifact, key="epochs", table=rows, ...)     # waits for the server, but not for ever
with one_at_a_time(data / ".cpu.lock", "the CPU"): ...              # the run is *Waiting* meanwhile, and says for whom
"""

import contextvars
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar
from uuid import UUID

import httpx
from prefect import get_run_logger, runtime
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Running, State

from hemline.storage.locks import locked

PAUSE_SECONDS = 2.0  # between two states of a growing page: drawing one takes a twentieth of a second
AGAIN_SECONDS = 1.0  # after which a server that was away is asked again
LAST_SECONDS = 5.0  # that the last state may take
AWAY_SECONDS = 600.0  # that a step waits for a server that is away
AWAY = (httpx.HTTPError, PrefectHTTPStatusError)  # what a server that is away, or in trouble, raises

Content = TypeVar("Content")
Table = list[dict[str, Any]]


class Growing(Generic[Content]):
    """An artifact that a thread keeps up to date: of what is shown the newest counts, every few seconds.

    draw: makes a sentence, and a page in Markdown or the rows of a table, in that thread.
    """

    def __init__(self, key: str, draw: Callable[[Content], tuple[str, str | Table]]):
        self._key, self._draw, self._log = key, draw, get_run_logger()
        self._newest: Content | None = None
        self._shown: Content | None = None
        self._done, self._changed = False, threading.Condition()
        context = contextvars.copy_context()  # the run's: Prefect knows by it whose artifact this is
        self._thread = threading.Thread(target=context.run, args=(self._keep_up,), name=key, daemon=True)

    def show(self, content: Content) -> None:
        """Returns at once. The content must not change any more."""
        with self._changed:
            self._newest = content
            self._changed.notify()

    @property
    def up_to_date(self) -> bool:
        """Whether the UI has the newest."""
        return self._shown is self._newest

    def __enter__(self) -> "Growing[Content]":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._done = True
            self._changed.notify()
        self._thread.join(LAST_SECONDS)
        if not self.up_to_date:
            self._log.warning("the server is away: the UI does not show the end of %s", self._key)

    def _keep_up(self) -> None:
        artifact: UUID | None = None
        drawn: Content | None = None
        description, data = "", ""
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._done, PAUSE_SECONDS)
                    self._changed.wait_for(lambda: self._done or self._newest is not self._shown)
                    content = self._newest
                if content is None or content is self._shown:
                    return
                if content is not drawn:  # or it is tried again
                    (description, page), drawn = self._draw(content), content
                    data = page if isinstance(page, str) else json.dumps(page)  # as Prefect keeps a table
                try:
                    if artifact is None:
                        artifact = create(self._key, page, description)
                    else:
                        replace_artifact(artifact, description, data)
                    self._shown = content
                except AWAY:
                    time.sleep(AGAIN_SECONDS)


def create(key: str, page: str | Table, description: str) -> UUID:
    """An artifact of this run."""
    if isinstance(page, str):
        made = create_markdown_artifact(page, key, description)
    else:
        made = create_table_artifact(page, key, description)
    assert isinstance(made, UUID)  # a coroutine only where there is an event loop
    return made


def replace_artifact(artifact: UUID, description: str, data: str) -> None:
    """In place, so that a run has one. Prefect's own way to do it keeps an event with every state of the page too."""
    with get_client(sync_client=True) as client:
        given = {"description": description, "data": data}
        client.request("PATCH", "/artifacts/{id}", path_params={"id": artifact}, json=given)


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
