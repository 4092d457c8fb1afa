"""What the automations know, and that a message arrives once."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import pytest
from prefect import states
from prefect.automations import AutomationCore, EventTrigger
from prefect.blocks.core import Block
from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook
from prefect.events.actions import ChangeFlowRunState, SendNotification

from flows import notices
from flows.attempt import LOST, ending
from flows.notices import Notices
from hemline.records.run import Verdict
from ops import automations
from ops.automations import CRASHES_A_DAY, FINAL, STATES, block_for, wanted


def made() -> dict[str, AutomationCore]:
    return {each.name.removeprefix(automations.PREFIX): each for each in wanted(UUID(int=1))}


def trigger(name: str) -> EventTrigger:
    found = made()[name].trigger
    assert isinstance(found, EventTrigger)
    return found


def test_every_state_that_a_run_can_be_in_is_known() -> None:
    """An automation that does not expect a state takes its run for lost."""
    source = Path(str(states.__file__)).read_text()
    names = set(re.findall(r'name="([A-Z]\w+)"', source)) | {"Completed", "Running", "Failed", "Crashed", "Cancelling"}
    assert names - {"Cached", "Deferred", "RolledBack", "AwaitingRetry"} <= STATES
    assert {verdict.capitalize() for verdict in get_args(Verdict)} <= set(FINAL)


def test_a_crash_is_expected_to_be_followed_by_anything_but_another() -> None:
    resume = trigger("crashed, so resume")
    assert resume.after == {"prefect.flow-run.Crashed"}
    assert resume.expect == {f"prefect.flow-run.{state}" for state in STATES} - resume.after
    (action,) = made()["crashed, so resume"].actions
    assert isinstance(action, ChangeFlowRunState)
    assert (action.state, action.name, action.force) == ("SCHEDULED", "AwaitingRetry", False)


def test_a_run_that_is_killed_before_its_first_heartbeat_is_missed() -> None:
    """It said *Running* for ever: only a heartbeat made the server wait for the next one."""
    first, later = trigger("no first heartbeat, so crashed"), trigger("no heartbeat, so crashed")
    assert first.after == {f"prefect.flow-run.{state}" for state in automations.WORKING}
    assert later.after == {"prefect.flow-run.heartbeat"}
    assert first.expect == later.expect
    assert first.expect & first.after == set()
    assert first.expect >= {"prefect.flow-run.heartbeat", "prefect.flow-run.Crashed", "prefect.flow-run.Promoted"}


def test_a_run_that_crashes_without_end_fails() -> None:
    limit = trigger("crashes without end, so failed")
    assert (limit.expect, limit.threshold, limit.posture) == ({"prefect.flow-run.Crashed"}, CRASHES_A_DAY, "Reactive")
    (action,) = made()["crashes without end, so failed"].actions
    assert isinstance(action, ChangeFlowRunState)
    assert action.state == "FAILED"
    assert "prefect.flow-run.Failed" in trigger("crashed, so resume").expect  # or the other would bring it back


def test_a_night_that_did_not_happen_is_told() -> None:
    missed = trigger("tell: missed")
    assert missed.posture == "Proactive"
    assert missed.after == set()
    assert missed.expect >= {"prefect.flow-run.Promoted", "prefect.flow-run.Kept"}
    assert "prefect.flow-run.Skipped" not in missed.expect


def test_a_message_has_sentence_link_and_command() -> None:
    told = [each for name, each in made().items() if name.startswith("tell: ") and name != "tell: missed"]
    assert len(told) == len(automations.MESSAGES)
    for each in told:
        (action,) = each.actions
        assert isinstance(action, SendNotification)
        sentence, link, command = action.body.split("\n")
        assert "flow_run.state.message" in sentence
        assert link == "{{ flow_run|ui_url }}"
        assert ".venv/bin/" in command or "make up" in command


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("Process exited with status code: -9. Process exited due to a SIGKILL signal.", "killed by SIGKILL"),
        ("Process exited with status code: 137. Process was killed, likely", "killed by SIGKILL"),
        ("Flow run infrastructure exited with non-zero status code 137. Process was killed", "killed by SIGKILL"),
        ("Process exited with status code: -11. Process exited with an", "killed by SIGSEGV"),
        ("Process exited with status code: 1. Process exited with a", "ended with exit code 1"),
        ("Execution was aborted by a termination signal.", "stopped by SIGTERM"),
        ("Execution was aborted by an interrupt signal.", "stopped by Ctrl-C"),
        (LOST, LOST),
        ("Request to http://x failed: no.\nTraceback", "crashed (Request to http://x failed: no.)"),
        (None, "crashed (no reason is known)"),
    ],
)
def test_how_a_process_ended_is_said_in_a_few_words(message: str | None, words: str) -> None:
    state: states.State[Any] = states.Crashed(message=message)
    assert ending(state) == words


class Elsewhere(CustomWebhookNotificationBlock):
    """A service that does not take every message."""

    _block_type_name = "Elsewhere"

    async def notify(self, body: str, subject: str | None = None) -> None:
        arrived.append((subject, body))
        if len(arrived) < 3:
            raise RuntimeError("https://secret@example.org is down")


arrived: list[tuple[str | None, str]] = []


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEMLINE_ROOT", str(tmp_path))
    monkeypatch.setattr(notices, "PAUSES", (0.0, 0.0))
    arrived.clear()

    async def load(name: str) -> Block:
        assert name == "custom-webhook/hemline"
        return Elsewhere(name="hemline", url="http://127.0.0.1/")

    monkeypatch.setattr(Block, "aload", load)
    return tmp_path


def test_a_message_is_written_once_and_sent_until_it_arrives(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Prefect handed it over twice, when its database was locked in between."""
    block = Notices(to="custom-webhook/hemline")
    for _ in range(2):
        asyncio.run(block.notify("promoted 2\nhttp://127.0.0.1", "promoted: a run"))
    asyncio.run(block.notify("promoted 3\nhttp://127.0.0.1", "promoted: a run"))
    lines = [json.loads(line) for line in (root / "artifacts" / "notices.jsonl").read_text().splitlines()]
    assert [line["body"].split("\n")[0] for line in lines] == ["promoted 2", "promoted 3"]
    assert {line["subject"] for line in lines} == {"promoted: a run"}
    assert [body.split("\n")[0] for _, body in arrived] == ["promoted 2"] * 3 + ["promoted 3"]
    assert "secret" not in caplog.text


def test_an_address_becomes_a_block_of_its_service() -> None:
    assert isinstance(block_for("https://hooks.slack.com/services/T/B/x"), SlackWebhook)
    other = block_for("http://127.0.0.1:9/hook")
    assert isinstance(other, CustomWebhookNotificationBlock)
    assert other.json_data == {"text": "{{subject}}\n{{body}}"}
    with pytest.raises(SystemExit, match="must be the address of a webhook") as refused:
        block_for("ftp://user:secret@example.org")
    assert "secret" not in str(refused.value)
