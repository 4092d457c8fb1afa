"""Optuna's record of a sweep where machines share the artifacts: each line of it is an object of the store.

    storage = JournalStorage(SharedJournal(shared))     # shared: the sweep's directory in its store

A file that grows is on its machine alone. If that were lost, the next one would draw other values for trials whose runs
are begun. Here a line is in the store before Optuna goes on, and whoever takes the sweep up reads all lines first.

To open a study is to take it over, since Optuna begins with a line. Whoever wrote before then finds the number of its
next line taken, and writes nothing more: two processes that draw trials would draw too many.
"""

import json
from collections.abc import Iterable
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from hemline.errors import SupersededError
from hemline.storage.files import Taken
from hemline.storage.run_copies import TRIALS
from hemline.storage.shared import Shared

Line = dict[str, Any]


class SharedJournal(BaseJournalBackend):
    """What was read is in memory: nobody else adds to it, as long as this process writes."""

    def __init__(self, shared: Shared):
        self._shared, self._lines, self._writes = shared, list[Line](), False
        self._read_on()

    def read_logs(self, log_number_from: int) -> Iterable[Line]:
        """Those from this number on, which begins with 0."""
        return self._lines[log_number_from:]

    def append_logs(self, logs: list[Line]) -> None:
        """Writes lines. Raises SupersededError if another process has done so since this one's first."""
        for log in logs:
            self._append(json.dumps(log, separators=(",", ":")).encode())

    def _append(self, line: bytes) -> None:
        while True:
            try:
                self._shared.write_line(TRIALS, len(self._lines) + 1, line)
                break
            except Taken as error:
                if self._writes:
                    raise SupersededError(
                        "only the newest attempt may write a sweep's trials. Received: line "
                        f"{len(self._lines) + 1} of {self._shared.key(TRIALS)}, which another process has written. "
                        "Nothing is to be done: that one goes on."
                    ) from error
                self._read_on()  # the last line of the process before
        self._lines.append(json.loads(line))
        self._writes = True

    def _read_on(self) -> None:
        self._lines += map(json.loads, self._shared.lines(TRIALS, after=len(self._lines)))
