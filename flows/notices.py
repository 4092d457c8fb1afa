"""Where messages go: a file beside the artifacts, the server's log, and the block that a person has chosen.

    Notices(to="slack-webhook/hemline").save("hemline", overwrite=True)     # ops/automations.py does it
    artifacts/notices.jsonl                             # {"at": ..., "subject": ..., "body": ...}

A block of Prefect's. The server knows its type by the entry point in pyproject.toml, so it must have this package.
"""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from pydantic import Field

from hemline.config.paths import root
from hemline.storage.locks import locked

NEWEST = 1000  # lines of the file among which a message is looked for
PAUSES = (1.0, 5.0, 25.0)  # seconds before a message that did not arrive is sent again


class Notices(NotificationBlock):
    """Takes each message once: Prefect hands one over again if its database was locked at the wrong moment."""

    _block_type_name = "Hemline notices"
    _block_type_slug = "hemline-notices"

    path: Path = Field(Path("artifacts/notices.jsonl"), description="the file, relative to HEMLINE_ROOT")
    to: str | None = Field(None, description="a notification block that is sent each message too, as type/name")

    async def notify(self, body: str, subject: str | None = None) -> None:
        """Writes a new message down, logs its first line, and sends it on."""
        if not self._write(body, subject):
            return
        self.logger.info("%s: %s", subject, body.partition("\n")[0])
        if self.to:
            await self._send(body, subject)

    def _write(self, body: str, subject: str | None) -> bool:
        """Whether it is new."""
        file = root() / self.path
        file.parent.mkdir(parents=True, exist_ok=True)
        with locked(file.with_suffix(".lock")):
            lines = file.read_text().splitlines()[-NEWEST:] if file.exists() else []
            if any(line.endswith(_content(body, subject)) for line in lines):
                return False
            with file.open("a") as notices:
                at = datetime.now(UTC).isoformat(timespec="seconds")
                notices.write(f'{{"at": "{at}", {_content(body, subject)}\n')
        return True

    async def _send(self, body: str, subject: str | None) -> None:
        block: Any = await Block.aload(str(self.to))
        assert isinstance(block, NotificationBlock), f"{self.to} is no block that notifies"
        for pause in (*PAUSES, None):
            try:
                with block.raise_on_failure():
                    await block.notify(body, subject)
                return
            except Exception as error:  # of whatever service that is
                if pause is None:  # said without its text, which has the webhook's address in it: a secret
                    raise RuntimeError(f"a message did not arrive: {type(error).__name__}") from None
                self.logger.warning("a message did not arrive, and is sent again: %s", type(error).__name__)
                await asyncio.sleep(pause)


def _content(body: str, subject: str | None) -> str:
    return json.dumps({"subject": subject, "body": body})[1:]
