"""Prefect's own message broker, with patience: PREFECT_MESSAGING_BROKER=flows.broker, which `make up` sets.

A server on SQLite that is busy says "database is locked" at once to whoever has read before it writes. Prefect's
broker hands the event over again four times within milliseconds and then drops it; and every later event of that run
waits a quarter of an hour for it. A run that had ended well was called lost so, and nobody was told of its promotion.
"""

import asyncio
from typing import Any

from prefect.server.utilities.messaging import Message, MessageHandler
from prefect.server.utilities.messaging.memory import (
    Consumer as Impatient,
)
from prefect.server.utilities.messaging.memory import (
    Publisher,
    Subscription,
    Topic,
    break_topic,
    ephemeral_subscription,
)

__all__ = ["Consumer", "Publisher", "break_topic", "ephemeral_subscription"]
TRIES = 60
PAUSE_SECONDS = 0.5  # so half a minute in all


class Consumer(Impatient):
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
