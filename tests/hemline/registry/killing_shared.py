"""Processes that write one store beside each other or die at it; for test_shared.py.

    python -m tests.hemline.registry.killing_shared promoters DIR URL 20    # that promote at once, on 4 copies
    python -m tests.hemline.registry.killing_shared every DIR URL publish   # dies before and after each request in turn

Prints what it saw as JSON. Only children ask the store: what has asked it has threads, and must not fork.
"""

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from hemline.config.paths import artifacts_at
from hemline.errors import HemlineError
from hemline.registry.champion import Registry
from hemline.storage.remote import Remote
from hemline.storage.shared import shared_at
from tests.hemline.registry.killing import exit_code, in_child
from tests.hemline.registry.published import make_version

COPIES = 4


def on(host: Path, url: str) -> Registry:
    """The registry as a machine has it whose root this is."""
    os.environ["HEMLINE_ROOT"] = str(host)
    return Registry(artifacts_at(url), "tiny")


def promoters(directory: Path, url: str, number: int) -> dict[str, Any]:
    def prepare() -> None:
        registry = on(directory / "0", url)
        for _ in range(number):
            make_version(registry.artifacts)

    def promote(mine: int) -> None:
        registry = on(directory / f"{mine % COPIES}", url)
        while not start.exists():
            time.sleep(0.001)
        registry.promote(str(mine + 1), by=f"{mine + 1}@host", reason="best")

    start = directory / "start"
    codes = [exit_code(in_child(prepare))]
    pids = [in_child(lambda mine=mine: promote(mine)) for mine in range(number)]  # type: ignore[misc]
    start.touch()
    return {"exit_codes": codes + [exit_code(pid) for pid in pids]}


def prepared(host: Path, url: str) -> Registry:
    """Three versions, of which the first is the champion."""
    registry = on(host, url)
    for _ in range(3):
        make_version(registry.artifacts)
    registry.promote("1", by="prepared", reason="first")
    return registry


OPERATIONS: dict[str, Callable[[Registry], object]] = {
    "publish": lambda registry: make_version(registry.artifacts),
    "promote": lambda registry: registry.promote("3", by="b", reason="better"),
}


def die_at(moment: int) -> None:
    """Kills this process before, or after, a request to the store."""
    left, reachable = [moment], Remote._reachable

    def passes() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def dying(self: Remote, *of: Any, **more: Any) -> Iterator[None]:
        passes()
        with reachable(self, *of, **more):
            yield
        passes()

    Remote._reachable = dying  # type: ignore[method-assign]


def every(directory: Path, url: str, operation: str) -> dict[str, Any]:
    problems: list[str] = []
    for moment in count(1):
        place = f"{url}/{operation}-{moment}"
        here, there, report = (directory / f"{moment}-{name}" for name in ("here", "there", "report.json"))

        def work(place: str = place, here: Path = here, moment: int = moment) -> None:
            registry = prepared(here, place)
            die_at(moment)
            OPERATIONS[operation](registry)

        def look(place: str = place, here: Path = here, there: Path = there, report: Path = report) -> None:
            report.write_text(json.dumps(wrong(on(there, place)) + wrong(on(here, place))))

        code = exit_code(in_child(work))
        looked = exit_code(in_child(look))
        found = json.loads(report.read_text()) if looked == 0 else [f"exit code {looked} of who looked"]
        problems += [f"{operation}, moment {moment}: {problem}" for problem in found]
        if code != -signal.SIGKILL:
            problems += [f"exit code {code}"] * (code != 0)
            return {"kills": moment - 1, "problems": problems}
    raise AssertionError


def wrong(registry: Registry) -> list[str]:
    """What must not be in the store, or in this copy of it, whenever a process was killed."""
    shared, problems = shared_at(registry.artifacts), list[str]()
    assert shared

    def alias() -> str:
        """As others find it."""
        version = str(json.loads(shared.read("registry/tiny/champion.json"))["version"])
        if version not in set(shared.names("published/tiny/")):
            problems.append(f"champion.json of the store says {version}, which is not there")
        return version

    try:
        alias()
        champion, grown = registry.champion(), len(registry.entries())
        for version in registry.versions():
            registry.verified(version)
        # The next calls work.
        registry.protect("1", by=f"next {grown}", reason="b")
        if len(registry.entries()) != grown + 1:
            problems.append("the ledger did not grow by a line")
        if alias() != champion:
            problems.append(f"champion.json of the store says {alias()}, and {champion} is the champion")
        times = Counter(entry.by for entry in registry.entries() if entry.by != "prepared")
        problems += [f"{by} is {often} times in the ledger" for by, often in times.items() if often > 1]
    except (HemlineError, OSError, ValueError) as error:
        problems.append(f"{type(error).__name__}: {error}")
    return problems


def main(mode: str, directory: str, url: str, argument: str) -> None:
    seen = every(Path(directory), url, argument) if mode == "every" else promoters(Path(directory), url, int(argument))
    assert "tensorflow" not in sys.modules
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
