"""What the server does by itself: it brings crashed runs back, and tells a person what she must know. As code.

    python -m ops.automations                           # `make deploy` does it: creates, changes, and removes its own
    python -m ops.automations --url https://...         # and sends messages there too; `make notify URL=...`
    python -m ops.automations --block slack-webhook/me  # or to a block of any type; `make notify BLOCK=...`

Every automation of Hemline's has a name that begins with PREFIX; others are left alone. A crash does not wait for a
person, so nobody is told of it; what ends the series of attempts is a failure, and of that she is told.
"""

import argparse
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.automations import AutomationCore, EventTrigger, Posture
from prefect.blocks.core import Block
from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.types import SecretDict

from flows.attempt import LOST
from flows.notices import Notices
from hemline.records.status import NIGHT_HOURS
from tasks.members import RESUME_SECONDS

PREFIX = "hemline: "
BLOCK = "hemline"  # the name of our blocks

# Prefect calls an event by the name of the state. All that a run can be in:
VERDICTS = ("Promoted", "Kept", "Needs approval", "Unchanged")
FINAL = ("Completed", *VERDICTS, "Trained", "Skipped", "Failed", "TimedOut", "Cancelled", "Crashed")
WAITING = ("Scheduled", "Late", "AwaitingRetry", "AwaitingConcurrencySlot", "Paused", "Suspended")
STARTING = ("Pending", "Submitting", "InfrastructurePending")
WORKING = ("Running", "Waiting", "Data in doubt", "Retrying")
STATES = {*FINAL, *WAITING, *STARTING, *WORKING, "Cancelling"}

LOST_SECONDS = 80  # two heartbeats, which the deployments set to Prefect's shortest, and what a busy machine needs
START_SECONDS, CANCEL_SECONDS = 100, 60  # that a process may take to start, and to end
CRASHES_A_DAY = 24  # events, of which a crash has one or two. For a run that crashes before it can count its attempts

RUN = "{{ flow_run.name }} at {{ flow_run.state.timestamp.strftime('%Y-%m-%d %H:%M:%S') }} UTC"
LINK = "{{ flow_run|ui_url }}"
# What a person is told: name, states, deployment or None for all, and what she can do.
MESSAGES: dict[str, tuple[set[str], str | None, str]] = {
    "promoted": ({"Promoted"}, None, ".venv/bin/hemline rollback --name NAME --reason '...' takes it back"),
    "needs approval": (
        {"Needs approval"},
        None,
        "Resume on the run's page if it waits there; else .venv/bin/hemline promote VERSION --name NAME --reason '...'",
    ),
    "data in doubt": (
        {"Data in doubt"},
        None,
        "the artifact `data` shows it; .venv/bin/prefect flow-run cancel {{ flow_run.id }} stops the run",
    ),
    "failed": ({"Failed", "TimedOut"}, None, ".venv/bin/prefect flow-run retry {{ flow_run.id }}"),
    "late": ({"Late"}, "nightly", "start a worker: make up, or .venv/bin/prefect worker start --pool gpu"),
}
ASKED = {"needs approval", "data in doubt"}  # on the page of a run that goes on, which may be a member's
TAG = {"prefect.resource.id": "prefect.tag.hemline"}  # of runs that a worker can take up again: a deployment's
# And of a cluster's members, which do not come back alone, and for whose end the cluster speaks.
WITH_MEMBERS = {"prefect.resource.id": ["prefect.tag.hemline", "prefect.tag.member"]}
# Of all runs, those from a terminal too.
FLOWS = {
    "prefect.resource.role": "flow",
    "prefect.resource.name": ["retrain", "verify", "rollback", "prune", "sweep", "cluster"],
}


def _events(*states: str) -> set[str]:
    return {f"prefect.flow-run.{state}" for state in states}


def _deployment(name: str) -> dict[str, str | list[str]]:
    return {"prefect.resource.role": "deployment", "prefect.resource.name": name}


@dataclass(frozen=True)
class Unless:
    """A run's state is changed if none of the expected events follows in time."""

    after: set[str]
    expect: set[str]
    seconds: float
    state: StateType
    name: str
    message: str = LOST
    runs: dict[str, Any] = field(default_factory=lambda: TAG)  # those it is about

    def fields(self) -> dict[str, Any]:
        """Of the automation."""
        trigger = EventTrigger(
            posture=Posture.Proactive,
            match_related=self.runs,
            for_each={"prefect.resource.id"},
            after=_events(*self.after),
            expect=_events(*self.expect),
            within=timedelta(seconds=self.seconds),
        )
        # Not by force: what has ended meanwhile is not called crashed.
        return {
            "trigger": trigger,
            "actions": [ChangeFlowRunState(state=self.state, name=self.name, message=self.message)],
        }


_SIGN = {"heartbeat", *STATES} - {*WORKING, "Paused"}  # of a run that works: it goes on, or does not work any more
UNLESS = {
    "crashed, so resume": Unless(
        {"Crashed"},
        STATES - {"Crashed"},
        RESUME_SECONDS,
        StateType.SCHEDULED,
        "AwaitingRetry",
        "it crashed, and goes on from its checkpoint",
    ),
    "no heartbeat, so crashed": Unless({"heartbeat"}, _SIGN, LOST_SECONDS, StateType.CRASHED, "Crashed", runs=FLOWS),
    # Killed with its worker between its first state and its first heartbeat, which come within a second.
    "no first heartbeat, so crashed": Unless({*WORKING}, _SIGN, LOST_SECONDS, StateType.CRASHED, "Crashed", runs=FLOWS),
    "not started, so crashed": Unless(
        {*STARTING}, STATES - {*STARTING}, START_SECONDS, StateType.CRASHED, "Crashed", runs=WITH_MEMBERS
    ),
    "not ended, so cancelled": Unless(
        {"Cancelling"},
        STATES - {"Cancelling"},
        CANCEL_SECONDS,
        StateType.CANCELLED,
        "Cancelled",
        runs=WITH_MEMBERS,
    ),
}


def wanted(block: UUID) -> Iterator[AutomationCore]:
    """Every automation. block: where messages go."""

    def automation(name: str, **fields: Any) -> AutomationCore:
        return AutomationCore(name=PREFIX + name, description="made by ops/automations.py", **fields)

    def tell(subject: str, body: str) -> list[SendNotification]:
        return [SendNotification(block_document_id=block, subject=subject, body=body)]

    for name, unless in UNLESS.items():
        yield automation(name, **unless.fields())
    yield automation(
        "crashes without end, so failed",
        trigger=EventTrigger(
            match_related=TAG,
            for_each={"prefect.resource.id"},
            expect=_events("Crashed"),
            threshold=CRASHES_A_DAY,
            within=timedelta(days=1),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.FAILED,
                name="Failed",
                message="it crashes again and again before it can say why: look at the worker's log, then Retry",
                force=True,
            )
        ],
    )
    for name, (states, deployment, act) in MESSAGES.items():
        yield automation(
            f"tell: {name}",
            trigger=EventTrigger(
                match_related=_deployment(deployment) if deployment else WITH_MEMBERS if name in ASKED else TAG,
                for_each={"prefect.resource.id"},
                expect=_events(*states),
            ),
            actions=tell(f"{name}: {RUN}", f"{{{{ flow_run.state.message or '{name}' }}}}\n{LINK}\n{act}"),
        )
    yield automation(
        "tell: missed",
        trigger=EventTrigger(
            posture=Posture.Proactive,
            match_related=_deployment("nightly"),
            expect=_events("Completed", *VERDICTS),
            within=timedelta(hours=NIGHT_HOURS),
        ),
        actions=tell(
            "missed: nightly",
            f"No nightly run has ended well for {NIGHT_HOURS} hours. Is a worker up? Is the schedule active?\n"
            ".venv/bin/prefect flow-run ls --limit 5",
        ),
    )


def apply(client: SyncPrefectClient, to: str | None = None) -> dict[str, list[str]]:
    """Makes the server's automations those of `wanted`; says which were created, changed, removed.

    to: a block of a person's choice, as type/name, to which messages go besides the file; None leaves that as it is.
    """
    there = {each.name: each for each in client.read_automations() if each.name.startswith(PREFIX)}
    done: dict[str, list[str]] = {"created": [], "changed": [], "removed": []}
    for automation in wanted(_notices(to)):
        before = there.pop(automation.name, None)
        if before is None:
            client.create_automation(automation)
            done["created"].append(automation.name)
        elif _content(before) != _content(automation):  # to write it again would forget which runs it watches
            # An update sends only what was set, and the server wants all of it.
            client.update_automation(before.id, AutomationCore(**automation.model_dump(exclude={"owner_resource"})))
            done["changed"].append(automation.name)
    for name, automation in there.items():
        client.delete_automation(automation.id)
        done["removed"].append(name)
    return done


def _notices(to: str | None) -> UUID:
    """The block that takes all messages, and from now on sends them to another one too."""
    with suppress(ValueError):  # there is none yet
        before = Block.load(f"{Notices.get_block_type_slug()}/{BLOCK}")
        assert isinstance(before, Notices)
        to = to or before.to
    return _save(Notices(to=to))


def _content(automation: AutomationCore) -> dict[str, Any]:
    return automation.model_dump(include=set(AutomationCore.model_fields))  # sets, which have no order


def block_for(url: str) -> Block:
    """A block that sends to an address: Slack's by its own type, any other as JSON with a field `text`."""
    if not url.startswith(("https://", "http://")):
        raise SystemExit("URL must be the address of a webhook. Received: one that does not begin with https://.")
    if url.startswith("https://hooks.slack.com/"):
        return SlackWebhook(url=url)
    return CustomWebhookNotificationBlock(
        name=BLOCK,
        url="{{address}}",  # from the secrets, which are encrypted in the database and hidden in the UI
        secrets=SecretDict({"address": url}),
        json_data={"text": "{{subject}}\n{{body}}"},
    )


def _save(block: Block) -> UUID:
    saved = block.save(BLOCK, overwrite=True)
    assert isinstance(saved, UUID)  # a coroutine only where there is an event loop
    return saved


def main() -> None:
    """Applies them, and prints what has changed."""
    parser = argparse.ArgumentParser(prog="python -m ops.automations", description="Apply Hemline's automations.")
    parser.add_argument("--url", help="a webhook that is sent each message")
    parser.add_argument("--block", help="a notification block that is sent each message, as type/name")
    arguments = parser.parse_args()
    to = arguments.block
    if to:
        Block.load(to)  # raises ValueError if there is none
    if arguments.url:
        block = block_for(arguments.url)
        _save(block)
        to = f"{block.get_block_type_slug()}/{BLOCK}"
    with get_client(sync_client=True) as client:
        for what, names in apply(client, to).items():
            for name in names:
                print(f"{what}: {name}")


if __name__ == "__main__":
    main()
