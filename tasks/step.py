"""What every task of a run has in common: @task(name="evaluate", timeout_seconds=1800, **STEP).

Never cached, since what a step computes is in files; its result is JSON, since no pickle is ever read back; and its
start is noted, so that a crash has a place.
"""

from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE

from hemline.storage.attempts import reached


def _note(task: "Task[..., Any]", run: object, state: object) -> None:
    reached(task.name)


STEP: dict[str, Any] = {"cache_policy": NO_CACHE, "result_serializer": "json", "on_running": [_note]}
