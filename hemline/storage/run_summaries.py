"""What the runs of other machines say of themselves, for this one's lists: their small files, from the shared store.

    fetch_summaries(artifacts)      # nothing is done where artifacts are not shared

A run that has ended is fetched once. Of one that has not, what has changed is fetched again, unless its newest attempt
is this machine's own: then nobody knows more of it. The time of a file is that at which the store had it.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from hemline.storage.attempts import attempts, is_of
from hemline.storage.locks import is_locked
from hemline.storage.remote import Object
from hemline.storage.run_copies import ATTEMPTS
from hemline.storage.runs import LOCK, RUNS, TRAINED, UNCHANGED
from hemline.storage.shared import shared_at

CONFIG, REPORT = "config.json", "report.html"
ENDS = (REPORT, UNCHANGED, TRAINED)  # one of them is the last file of a run that has ended well
SMALL = frozenset(
    ("epochs.csv", "evaluation.json", "serving.json", "dataset.json", "data.json", "timing.csv", "run.log", *ENDS)
)
CLOCK_SECONDS = 0.001  # to which a file system keeps a store's times


def fetch_summaries(artifacts: Path, place: str = RUNS) -> None:
    """Brings the small files of every run to what the store has. Raises StorageError if that is away."""
    if shared := shared_at(artifacts / place):
        with ThreadPoolExecutor(16) as threads:  # a store takes as long for one as for several
            list(threads.map(lambda name: _fetch(artifacts / place / name), shared.directories()))


def _fetch(run: Path) -> None:
    shared, earlier = shared_at(run), attempts(run)
    ended = not earlier or earlier[-1].ended
    if (ended and any((run / name).exists() for name in ENDS)) or is_locked(run / LOCK):
        return
    assert shared
    there = {each.name: each for each in shared.objects("")}
    own = {f"{ATTEMPTS}{each.number}.json" for each in earlier if is_of(run, each)}
    newest = max((name for name in there if name.startswith(ATTEMPTS)), key=_number, default="")
    if CONFIG not in there or newest in own:
        return
    wanted = [name for name in there if name in SMALL or (name.startswith(ATTEMPTS) and name not in own)]
    for name in [*wanted, CONFIG]:  # the last makes it a run
        if not _is_here(run / name, there[name]):
            with suppress(FileNotFoundError):  # pruned meanwhile
                shared.download(name, run / name)
                os.utime(run / name, (changed := there[name].changed.timestamp(), changed))


def _is_here(path: Path, there: Object) -> bool:
    with suppress(FileNotFoundError):
        about = path.stat()
        return about.st_size == there.bytes and abs(about.st_mtime - there.changed.timestamp()) < CLOCK_SECONDS
    return False


def _number(name: str) -> int:
    return int(name.removeprefix(ATTEMPTS).removesuffix(".json"))
