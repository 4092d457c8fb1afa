"""What every task of a run has in common.

    @step("evaluate", timeout_seconds=1800)
    def evaluate(...) -> Evaluation: ...

Never cached, since what a step computes is in files; its result is JSON, since no pickle is ever read back; and its
start is noted, so that a crash has a place.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE

from hemline.storage.attempts import reached

P = ParamSpec("P")
R = TypeVar("R")


def step(name: str, timeout_seconds: float) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A decorator that makes a function a task of a run."""

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        @wraps(function)
        def noted(*args: P.args, **kwargs: P.kwargs) -> R:
            reached(name)
            return function(*args, **kwargs)

        return task(name=name, timeout_seconds=timeout_seconds, cache_policy=NO_CACHE, result_serializer="json")(noted)

    return decorate
