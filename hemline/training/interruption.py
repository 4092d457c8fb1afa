"""A signal to end waits until the training has a checkpoint of where it is.

    with deferred() as interruption:
        for chunk in trainer.epoch(1):
            if interruption.due:
                checkpoints.save(...)
                interruption.act()          # what the signal does otherwise, e.g. raises KeyboardInterrupt

A second signal acts at once. Only the main thread has signals. Threads that train beside it are given its interruption:
there `act` raises Interrupted, and the main thread does what the signal does once all of them have a checkpoint.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Interrupted(BaseException):
    """A thread beside the main one has done what it had to, and ends. No fault: the main thread knows why."""


class Interruption:
    """Whether a signal came, and which; or whether what trains beside is to end without one."""

    def __init__(self) -> None:
        self.asked: int | None = None
        self._ended = False
        self._handlers = {number: signal.getsignal(number) for number in ENDING}

    def ask(self, number: int, frame: FrameType | None = None) -> None:
        """The handler: remembers the first signal."""
        self.asked = number
        self.restore()

    def restore(self) -> None:
        """Gives the signals their own handlers back."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def end(self) -> None:
        """Asks the threads beside the main one to end, without a signal."""
        self._ended = True

    @property
    def due(self) -> bool:
        """Whether there is something to act on."""
        return self._ended or self.asked is not None

    def act(self) -> None:
        """Does what the signal does without this module, if one came. Beside the main thread: raises Interrupted."""
        if threading.current_thread() is not threading.main_thread():
            if self.due:
                raise Interrupted
        elif self.asked:
            signal.raise_signal(self.asked)


@contextmanager
def deferred() -> Iterator[Interruption]:
    """Signals wait until somebody looks at `asked`, or the block ends."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    for number in ENDING:
        if signal.getsignal(number) not in (signal.SIG_IGN, signal.SIG_DFL, None):  # nohup; a shell's `command &`
            signal.signal(number, interruption.ask)
    try:
        yield interruption
    finally:
        interruption.restore()
    interruption.act()
