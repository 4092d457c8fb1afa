"""An event that finds the database busy is not lost."""

import asyncio

import pytest
from prefect.server.utilities.messaging import Message, StopConsumer, create_consumer, create_publisher
from prefect.settings import PREFECT_MESSAGING_BROKER, temporary_settings

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
