"""A server that is away holds no training up, and what it should show arrives later or is said to be missing."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from hemline.storage.locks import locked
from tasks import live
from tests.system.conftest import wait_until


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "get_run_logger", lambda: logging.getLogger("test"))
    monkeypatch.setattr(live, "AGAIN_SECONDS", 0.01)


class Server:
    """Prefect's artifacts; away until somebody says that it is back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.back, self.shown, self.tries = threading.Event(), [], 0  # type: ignore[var-annotated]
        monkeypatch.setattr(live, "create_progress_artifact", self.create)
        monkeypatch.setattr(live, "update_progress_artifact", lambda artifact, progress: self.show(progress))

    def create(self, progress: float, key: str, description: str) -> UUID:
        self.show(progress)
        return uuid4()

    def show(self, progress: float) -> None:
        self.tries += 1
        if not self.back.is_set():
            raise httpx.ConnectError("refused")
        self.shown.append(progress)


def test_progress_does_not_wait_and_the_newest_value_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training stood still for as long as the server was away."""
    server = Server(monkeypatch)
    with live.Progress("training-progress", "epochs trained") as progress:
        wait_until(lambda: server.tries > 0, "a try")
        for percent in range(1, 51):
            progress.show(float(percent))
        server.back.set()
        wait_until(lambda: 50.0 in server.shown, "arriving")
        progress.show(100.0)
    assert server.shown[-1] == 100.0
    assert len(server.shown) < 10


def test_progress_that_cannot_be_shown_is_said_to_be_missing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Server(monkeypatch)
    monkeypatch.setattr(live, "LAST_SECONDS", 0.05)
    with live.Progress("training-progress", "epochs trained") as progress:
        progress.show(40.0)
    assert "the server is away: the UI does not show the progress" in caplog.text


def test_an_artifact_waits_for_the_server_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A new client of Prefect's raises at once where nothing listens, and the run failed."""
    made: list[str] = []

    def create(key: str) -> None:
        made.append(key)
        if len(made) < 3:
            raise httpx.ConnectError("refused")

    live.in_ui(create, key="epochs")
    assert made == ["epochs"] * 3
    monkeypatch.setattr(live, "AWAY_SECONDS", 0.0)
    made.clear()
    live.in_ui(create, key="epochs")
    assert "the UI does not have epochs: the server is away (refused)" in caplog.text


def test_who_waits_for_a_device_says_for_whom(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    states: list[tuple[str | None, str | None]] = []
    monkeypatch.setattr(live, "show_state", lambda state: states.append((state.name, state.message)))
    monkeypatch.setattr(live.runtime.flow_run, "name", "second", raising=False)
    lock = tmp_path / ".cpu.lock"

    @contextmanager
    def first() -> Iterator[None]:
        with locked(lock):
            lock.write_text("first")
            yield

    with first():
        thread = threading.Thread(target=lambda: live.one_at_a_time(lock, "the CPU").__enter__())
        thread.start()
        wait_until(lambda: bool(states), "waiting")
        assert states == [("Waiting", "for the CPU: first trains on it")]
        time.sleep(0.05)
        assert lock.read_text() == "first"
    thread.join()
    assert states[1:] == [("Running", None)]
    assert lock.read_text() == "second"
