"""An event that finds the database busy is not lost."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from prefect.server.events.ordering import EventArrivedEarly, get_triggers_causal_ordering
from prefect.server.events.schemas.events import ReceivedEvent
from prefect.server.utilities.messaging import Message, StopConsumer, create_consumer, create_publisher
from prefect.settings import (
    PREFECT_MESSAGING_BROKER,
    PREFECT_SERVER_EVENTS_CAUSAL_ORDERING,
    temporary_settings,
)

from flows import broker
from flows.server import SERVER


def test_a_message_is_tried_again_until_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect drops it after four tries within milliseconds, and what follows it waits 15 minutes."""
    monkeypatch.setattr(broker, "PAUSE_SECONDS", 0.0)
    tries: list[str | bytes] = []

    async def handler(message: Message) -> None:
        tries.append(message.data)
        if len(tries) <= 20:
            raise RuntimeError("database is locked")
        raise StopConsumer(ack=True)

    async def play() -> None:
        consumer = create_consumer("patience", concurrency=1)
        assert isinstance(consumer, broker.Consumer)
        async with create_publisher("patience") as publisher:
            await publisher.publish_data(b"event", {})
        await consumer.run(handler)

    with temporary_settings({PREFECT_MESSAGING_BROKER: SERVER["PREFECT_MESSAGING_BROKER"]}):
        asyncio.run(asyncio.wait_for(play(), 60))
    assert tries == [b"event"] * 21


def test_an_event_that_has_waited_is_tried_again_until_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was handed over once, and then 15 minutes later: a crash while the server started was left for as long."""
    monkeypatch.setattr(broker, "PAUSE_SECONDS", 0.0)
    now, resource = datetime.now(UTC), {"prefect.resource.id": "prefect.flow-run.1"}
    first = ReceivedEvent(occurred=now, event="Submitting", resource=resource, id=uuid4())
    crash = ReceivedEvent(occurred=now, event="Crashed", resource=resource, id=uuid4(), follows=first.id)
    tries, done = list[str](), list[str]()

    async def evaluate(event: ReceivedEvent, depth: int = 0) -> None:
        async with get_triggers_causal_ordering().preceding_event_confirmed(evaluate, event, depth):
            tries.append(event.event)
            if tries.count("Crashed") in range(1, 20):
                raise RuntimeError("database is locked")
            done.append(event.event)

    async def play() -> None:
        with pytest.raises(EventArrivedEarly):
            await evaluate(crash)
        await evaluate(first)

    with temporary_settings({PREFECT_SERVER_EVENTS_CAUSAL_ORDERING: SERVER["PREFECT_SERVER_EVENTS_CAUSAL_ORDERING"]}):
        assert isinstance(get_triggers_causal_ordering(), broker.CausalOrdering)
        asyncio.run(asyncio.wait_for(play(), 60))
    assert done == ["Submitting", "Crashed"]
    assert tries == ["Submitting", *["Crashed"] * 20]
