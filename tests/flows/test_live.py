"""A server that is away holds no training up, and what it should show arrives later or is said to be missing."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect import flow, runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactFilter

from hemline.storage.locks import locked
from tasks import live, trials
from tests.system.conftest import wait_until


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "get_run_logger", lambda: logging.getLogger("test"))
    monkeypatch.setattr(live, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(live, "PAUSE_SECONDS", 0.01)


class Server:
    """Prefect's artifacts; away until somebody says that it is back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.back, self.shown, self.tries = threading.Event(), list[str](), 0
        monkeypatch.setattr(live, "create_markdown_artifact", self.create)
        monkeypatch.setattr(live, "replace_artifact", lambda artifact, sentence, text: self.show(text))

    def create(self, text: str, key: str, sentence: str) -> UUID:
        self.show(text)
        return uuid4()

    def show(self, text: str) -> None:
        self.tries += 1
        if not self.back.is_set():
            raise httpx.ConnectError("refused")
        self.shown.append(text)


def page_of(rows: list[int]) -> tuple[str, str]:
    return f"Epoch {rows[-1]}.", f"page {rows[-1]}"


def test_a_page_does_not_hold_up_and_the_newest_state_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training stood still for as long as the server was away."""
    server = Server(monkeypatch)
    with live.Growing("training", page_of) as page:
        page.show([0])
        wait_until(lambda: server.tries > 0, "a try")
        for epoch in range(1, 51):
            page.show([epoch])
        server.back.set()
        wait_until(lambda: "page 50" in server.shown, "arriving")
        page.show([100])
    assert server.shown[-1] == "page 100"
    assert len(server.shown) < 10


def test_a_page_is_not_drawn_more_often_than_a_person_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture takes as long as an epoch of a small model: of a short training there is one."""
    server, drawn = Server(monkeypatch), list[int]()
    server.back.set()
    monkeypatch.setattr(live, "PAUSE_SECONDS", 3600.0)

    def draw(rows: list[int]) -> tuple[str, str]:
        drawn.append(rows[-1])
        return page_of(rows)

    with live.Growing("training", draw) as page:
        for epoch in range(1, 6):
            page.show([epoch])
    assert drawn == [5]
    assert server.shown == ["page 5"]


def test_a_page_that_cannot_be_shown_is_said_to_be_missing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(monkeypatch)
    monkeypatch.setattr(live, "LAST_SECONDS", 0.05)
    with live.Growing("training", page_of) as page:
        page.show([1])
    assert "the server is away: the UI does not show the end of training" in caplog.text
    server.back.set()
    wait_until(lambda: server.shown == ["page 1"], "arriving after all")


def test_a_training_that_ends_before_its_first_epoch_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    with pytest.raises(KeyboardInterrupt), live.Growing("training", page_of):
        raise KeyboardInterrupt
    assert server.tries == 0


def test_a_page_grows_in_place() -> None:
    """In Prefect's own server: one artifact of the run, and its key leads to its newest state."""
    states = list[tuple[str | None, object]]()

    of_key = ArtifactCollectionFilter.model_validate({"key": {"any_": ["growing"]}})

    def look() -> list[tuple[str | None, object]]:
        """Adds what the key leads to, if it is new."""
        with get_client(sync_client=True) as client:
            found = client.read_latest_artifacts(artifact_filter=of_key)
        states.extend(state for one in found if (state := (one.description, one.data)) not in states)
        return states

    @flow(name="grows")
    def grows() -> None:
        with live.Growing("growing", page_of) as page:
            for epoch in (1, 2, 3):
                page.show([epoch])
                wait_until(lambda: len(look()) == epoch, "growing")  # noqa: B023  at once

    run = str(grows(return_state=True).state_details.flow_run_id)
    assert states == [(f"Epoch {epoch}.", f"page {epoch}") for epoch in (1, 2, 3)]
    with get_client(sync_client=True) as client:
        of_run = ArtifactFilter.model_validate({"flow_run_id": {"any_": [run]}})
        assert [artifact.data for artifact in client.read_artifacts(artifact_filter=of_run)] == ["page 3"]


def test_a_table_grows_in_place_and_a_sweep_reads_it_meanwhile() -> None:
    seen: list[list[dict[str, Any]]] = []

    @flow(name="grows")
    def grows() -> None:
        def rows() -> list[dict[str, Any]]:
            with get_client(sync_client=True) as client:
                return trials._epochs(client, UUID(str(runtime.flow_run.id)))

        with live.Growing("epochs", lambda rows: ("By epoch.", rows)) as table:
            for epoch in (1, 2, 3):
                table.show([{"epoch": number, "val_accuracy": number / 4} for number in range(1, epoch + 1)])
                wait_until(lambda: len(rows()) == epoch, "growing")  # noqa: B023  at once
                seen.append(rows())
        assert table.up_to_date

    run = str(grows(return_state=True).state_details.flow_run_id)
    assert [[row["val_accuracy"] for row in each] for each in seen] == [[0.25], [0.25, 0.5], [0.25, 0.5, 0.75]]
    with get_client(sync_client=True) as client:
        of_run = ArtifactFilter.model_validate({"flow_run_id": {"any_": [run]}})
        assert [(each.key, each.type) for each in client.read_artifacts(artifact_filter=of_run)] == [
            ("epochs", "table")
        ]


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
