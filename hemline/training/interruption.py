"""A signal to end waits until the training has a checkpoint of where it is.

    with deferred() as interruption:
        for chunk in trainer.epoch(1):
            if interruption.asked:
                checkpoints.save(...)
                interruption.act()          # what the signal does otherwise, e.g. raises KeyboardInterrupt

A second signal acts at once. Only the main thread has signals; elsewhere nothing is deferred.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Interruption:
    """Whether a signal came, and which."""

    def __init__(self) -> None:
        self.asked: int | None = None
        self._handlers = {number: signal.getsignal(number) for number in ENDING}

    def ask(self, number: int, frame: FrameType | None = None) -> None:
        """The handler: remembers the first signal."""
        self.asked = number
        self.restore()

    def restore(self) -> None:
        """Gives the signals their own handlers back."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def act(self) -> None:
        """Does what the signal does without this module, if one came."""
        if self.asked:
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
