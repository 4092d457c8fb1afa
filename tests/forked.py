"""Processes of their own that need not import TensorFlow, which takes 4 s of a processor each time.

    process = Forked(train, dataset, directory)     # begins at once; the arguments are pickled
    process.ended()                                 # Ended(code=-9, said=['epoch 1/3 ...', ...], errors='')

One process has imported it and computed nothing; each of these is forked from it, with the environment, the directory
and the path of who asks. What is to be seen as a program, or to import by itself, is a subprocess instead.
"""

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

FORKS = multiprocessing.get_context("forkserver")
# Not what is ours: a process imports that as it is found on its own path.
FORKS.set_forkserver_preload(["tensorflow", "keras", "pandas", "pyarrow.parquet"])
STREAMS = ("out", "errors")
SECONDS = 600.0  # for what takes seconds on an idle machine


class Ended(NamedTuple):
    """How a process ended."""

    code: int  # of its exit; minus the number of the signal that it died of
    said: list[str]  # lines of its standard output
    errors: str


class Forked:
    """A process that calls a function of a module, and ends."""

    def __init__(self, function: Callable[..., None], *arguments: Any, environment: dict[str, str] | None = None):
        """environment: what is added to the own one."""
        self._printed = Path(tempfile.mkdtemp())
        surroundings = dict(os.environ) | (environment or {})
        self._process = FORKS.Process(target=_call, args=(self._printed, surroundings, function, arguments))
        self._process.start()

    def ended(self) -> Ended:
        """Waits for it."""
        self._process.join(SECONDS)
        code, (said, errors) = self._process.exitcode, [(self._printed / name).read_text() for name in STREAMS]
        assert code is not None, f"it goes on, after {SECONDS:.0f} s: {said[-1000:]}{errors[-1000:]}"
        shutil.rmtree(self._printed)
        return Ended(code, said.splitlines(), errors)


def _call(
    printed: Path, surroundings: dict[str, str], function: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    for descriptor, name in enumerate(STREAMS, start=1):
        os.dup2(os.open(printed / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    os.environ.clear()
    os.environ.update(surroundings)
    function(*arguments)
