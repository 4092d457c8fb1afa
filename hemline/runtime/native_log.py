"""Start-up noise of TensorFlow, XLA and TFDS goes to a file; the terminal is for a person.

    with noise_in(run_dir / "run.log", loggers=("absl", "tensorflow")): ...     # sys.stderr is still the terminal

Native code writes to file descriptor 2, past `sys.stderr`. So descriptor 2 becomes the file, and `sys.stderr`, with
every log handler that writes to it, a duplicate of what descriptor 2 was.
"""

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from hemline.storage.files import storage_errors


class _File(logging.FileHandler):
    """Says once that a disk is full, where logging prints a traceback for every line and raises at the end."""

    said = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self.said:
            print(f"{self.baseFilename} lacks lines from here on: {sys.exc_info()[1]}", file=sys.stderr)
        self.said = True

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def noise_in(path: Path, loggers: Sequence[str] = (), copied: Sequence[str] = ()) -> Iterator[None]:
    """Appends to `path` what native code writes to standard error, until the block ends.

    loggers: names of those that write to the file alone. copied: names of those that write to the file too.
    """
    with storage_errors(path):
        handler = _File(path)
    handler.setFormatter(logging.Formatter("%(asctime)s | %(levelname)-7s | %(name)s - %(message)s"))
    quieted = [logging.getLogger(name) for name in loggers]
    everyone = [*quieted, *(logging.getLogger(name) for name in copied)]
    propagated = [logger.propagate for logger in quieted]

    original = sys.stderr
    original.flush()
    saved = os.dup(2)
    log = os.open(path, os.O_WRONLY | os.O_APPEND)
    terminal = os.fdopen(os.dup(saved), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    try:
        os.dup2(log, 2)
        sys.stderr = terminal
        _move_handlers(original, terminal)
        for logger in everyone:
            logger.addHandler(handler)
        for logger in quieted:
            logger.propagate = False
        yield
    finally:
        for logger, propagate in zip(quieted, propagated, strict=True):
            logger.propagate = propagate
        for logger in everyone:
            logger.removeHandler(handler)
        _move_handlers(terminal, original)
        sys.stderr = original
        os.dup2(saved, 2)
        os.close(saved)
        os.close(log)
        terminal.close()
        handler.close()


def _move_handlers(old: TextIO, new: TextIO) -> None:
    known = [entry for entry in logging.root.manager.loggerDict.values() if isinstance(entry, logging.Logger)]
    for handler in {handler for logger in (logging.root, *known) for handler in logger.handlers}:
        if isinstance(handler, logging.StreamHandler) and handler.stream is old:
            handler.setStream(new)
        console = getattr(handler, "console", None)  # a handler that writes through rich, as Prefect's does
        if console is not None and console.file is old:
            console.file = new
