"""Prefect's own message broker and order of events, with patience: `make up` sets both.

    PREFECT_MESSAGING_BROKER=flows.broker PREFECT_SERVER_EVENTS_CAUSAL_ORDERING=flows.broker

A server on SQLite that is busy says "database is locked" at once to whoever has read before it writes. Prefect's
broker hands the event over again four times within milliseconds and then drops it; and every later event of that run
waits a quarter of an hour for it. A run that had ended well was called lost so, and nobody was told of its promotion.

An event that has waited for another is handed over when that one has been dealt with, once. If the database is locked
at that moment, it waits a quarter of an hour too: a run that had crashed while its server started came back so late.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from prefect.server.events.ordering import MaxDepthExceeded, event_handler
from prefect.server.events.ordering.memory import CausalOrdering as ImpatientOrdering
from prefect.server.events.ordering.memory import EventBeingProcessed
from prefect.server.events.schemas.events import ReceivedEvent
from prefect.server.utilities.messaging import Message, MessageHandler
from prefect.server.utilities.messaging.memory import (
    Consumer as ImpatientConsumer,
)
from prefect.server.utilities.messaging.memory import (
    Publisher,
    Subscription,
    Topic,
    break_topic,
    ephemeral_subscription,
)

__all__ = ["CausalOrdering", "Consumer", "Publisher", "break_topic", "ephemeral_subscription"]
TRIES = 60
PAUSE_SECONDS = 0.5  # so half a minute in all


class Consumer(ImpatientConsumer):
    """Takes a message again after a while."""

    def __init__(self, topic: str, subscription: Subscription | None = None, **kwargs: Any):
        super().__init__(topic, subscription or Topic.by_name(topic).subscribe(max_retries=TRIES), **kwargs)

    async def run(self, handler: MessageHandler) -> None:
        """Hands each message to the handler."""

        async def patient(message: Message) -> None:
            try:
                await handler(message)
            except Exception:
                await asyncio.sleep(PAUSE_SECONDS)
                raise  # into the queue again

        await super().run(patient)


class CausalOrdering(ImpatientOrdering):
    """Takes an event that has waited again after a while."""

    @asynccontextmanager
    async def preceding_event_confirmed(
        self, handler: event_handler, event: ReceivedEvent, depth: int = 0
    ) -> AsyncGenerator[None, None]:
        """As Prefect's, which is left when `event` and those that waited for it have been dealt with."""

        async def patient(event: ReceivedEvent, depth: int = 0) -> None:
            for _ in range(TRIES - 1):
                try:
                    await handler(event, depth=depth)
                except (MaxDepthExceeded, EventBeingProcessed):
                    raise
                except Exception:
                    await asyncio.sleep(PAUSE_SECONDS)
                else:
                    return
            await handler(event, depth=depth)

        async with super().preceding_event_confirmed(patient, event, depth):
            yield
