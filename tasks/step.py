"""What every task of a run has in common.

    @step("evaluate", timeout_seconds=1800)
    def evaluate(...) -> Evaluation: ...

Never cached, since what a step computes is in files; its result is JSON, since no pickle is ever read back; and its
start is noted, so that a crash has a place, and how long it takes, so that a person knows where a night goes.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import NoReturn, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.serializers import PickleSerializer

from hemline.errors import DatasetError
from hemline.storage.attempts import current, reached
from hemline.storage.timing import spent

P = ParamSpec("P")
R = TypeVar("R")


def step(name: str, timeout_seconds: float) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A decorator that makes a function a task of a run."""

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        @wraps(function)
        def noted(*args: P.args, **kwargs: P.kwargs) -> R:
            with phase(name):
                return function(*args, **kwargs)

        return task(name=name, timeout_seconds=timeout_seconds, cache_policy=NO_CACHE, result_serializer="json")(noted)

    return decorate


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Notes that the run has come to it, and how long it took, unless it fails."""
    reached(name)
    began = time.perf_counter()
    yield
    if current:
        spent(current[-1][0], {name: time.perf_counter() - began})


def _refuse(serializer: object, blob: bytes) -> NoReturn:
    rule = "a result that Prefect kept must be JSON. Received: a pickle, which runs as a program when it is read."
    raise DatasetError(f"{rule} Find out who put it into Prefect's result storage, and delete it.")


# Whatever serializer a task names, Prefect reads a kept result by the one that the result's own file names.
PickleSerializer.loads = _refuse  # type: ignore[assignment, method-assign]
