"""What every task of a run has in common.

    @step("evaluate", timeout_seconds=1800)
    def evaluate(...) -> Evaluation: ...

Never cached, since what a step computes is in files; its result is JSON, since no pickle is ever read back; and its
start is noted, so that a crash has a place, and how long it takes, so that a person knows where a night goes. In the
UI's graph an edge leads to it from each step whose record it is given, or waits for.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, NoReturn, ParamSpec, TypeVar

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.serializers import PickleSerializer

from hemline.errors import DatasetError
from hemline.storage.attempts import current, reached
from hemline.storage.timing import spent

P = ParamSpec("P")
R = TypeVar("R")


class Step(Task[P, R]):
    """A task that depends on the steps whose records it is given, and on no others."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Prefect draws an edge for every object that a step returned or that is a field of it, by its address.

        A text such as 'cpu' or '1' is one object wherever it comes from, and an address is used again: it would draw
        edges that nobody meant. Of a record it knows which one it is, and draws none by mistake.
        """
        if context := FlowRunContext.get():
            for address, (*_, record) in list(context.run_results.items()):
                if record is None:
                    del context.run_results[address]
        return super().__call__(*args, **kwargs)


def step(name: str, timeout_seconds: float) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A decorator that makes a function a task of a run."""

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        @wraps(function)
        def noted(*args: P.args, **kwargs: P.kwargs) -> R:
            with phase(name):
                return function(*args, **kwargs)

        return Step(
            noted,
            name=name,
            task_run_name=name,
            timeout_seconds=timeout_seconds,
            cache_policy=NO_CACHE,
            result_serializer="json",
        )

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
