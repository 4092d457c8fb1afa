"""Processes that write a registry beside each other or die at it; for test_registry.py.

    python -m tests.hemline.registry.killing promoters DIR 20    # processes that promote at once
    python -m tests.hemline.registry.killing deciders DIR 20     # the same, comparing with the champion first
    python -m tests.hemline.registry.killing every DIR publish   # dies before each touch of a file in turn
    python -m tests.hemline.registry.killing random DIR 50       # dies at random moments of random work

Prints what it saw as JSON. Imports no TensorFlow: forking a process that has would be unsound.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from hemline.errors import ChampionChangedError, HemlineError, RegistryError
from hemline.records.run import Decision
from hemline.registry.champion import Registry, utc_now
from hemline.registry.prune import Retention, removable, remove
from hemline.registry.versions import numbered
from tests.hemline.registry.published import make_version

# What Python reports before it does it (sys.addaudithook), and os.fsync, which is made to report itself.
TOUCHES = ("open", "os.", "fcntl.flock", "shutil.", "tempfile.", "hemline.fsync")


def in_child(work: Callable[[], object]) -> int:
    """The process that does the work and exits with 0."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        os._exit(0)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)


def exit_code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def promoters(artifacts: Path, number: int) -> dict[str, Any]:
    versions = [make_version(artifacts) for _ in range(number)]
    began = time.perf_counter()
    pids = [
        in_child(lambda version=version: Registry(artifacts, "tiny").promote(version, by=version, reason="best"))  # type: ignore[misc]
        for version in versions
    ]
    return {"exit_codes": [exit_code(pid) for pid in pids], "seconds": time.perf_counter() - began}


def deciders(artifacts: Path, number: int) -> dict[str, Any]:
    def decide(version: str) -> None:
        registry = Registry(artifacts, "tiny")
        while True:
            champion = registry.champion()
            time.sleep(0.01)  # a comparison takes its time
            verdict = "promoted" if int(version) > int(champion or 0) else "kept"
            sentence = f"{version} against {champion or '0'}"
            words = {"verdict": verdict, "champion": champion, "challenger": version, "sentence": sentence}
            decision = Decision.model_validate(words | {"measurements": {}})
            with suppress(ChampionChangedError):
                registry.record(decision, by=version)
                return

    versions = [make_version(artifacts) for _ in range(number)]
    pids = [in_child(lambda version=version: decide(version)) for version in versions]  # type: ignore[misc]
    return {"exit_codes": [exit_code(pid) for pid in pids]}


def prepare(artifacts: Path) -> None:
    """Five versions, three of them champions in turn, one protected; two finished runs."""
    registry = Registry(artifacts, "tiny")
    for _ in range(5):
        make_version(artifacts)
    for version in ("1", "3", "4"):
        registry.promote(version, by="a", reason="b")
    registry.protect("2", by="a", reason="b")
    for name in ("first", "second"):
        checkpoint = artifacts / "runs" / name / "checkpoints" / "epoch-1"
        checkpoint.mkdir(parents=True)
        (checkpoint / "state").write_bytes(b"state")
        (artifacts / "runs" / name / "report.html").write_text("report")


def prune_all(artifacts: Path, **retention: float) -> None:
    remove(removable(artifacts, None, Retention(**retention), utc_now() + timedelta(days=40)), artifacts)


LASTING = frozenset(("2", "3", "4"))  # protected, predecessor, champion

OPERATIONS: dict[str, Callable[[Path], object]] = {
    "publish": make_version,
    "promote": lambda artifacts: Registry(artifacts, "tiny").promote("5", by="a", reason="b"),
    "rollback": lambda artifacts: Registry(artifacts, "tiny").rollback(by="a", reason="b"),
    "prune": lambda artifacts: prune_all(artifacts, keep_versions=1, keep_runs=1),
}


def die_at(touch: int) -> None:
    """Kills this process before that touch of a file."""
    left, fsync = [touch], os.fsync

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event.startswith(TOUCHES):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def reporting(descriptor: int) -> None:
        sys.audit("hemline.fsync")
        fsync(descriptor)

    os.fsync = reporting  # type: ignore[assignment]
    sys.addaudithook(hook)


def every(directory: Path, operation: str) -> dict[str, Any]:
    problems: list[str] = []
    prepare(directory / "before")
    for touch in count(1):
        artifacts = Path(shutil.copytree(directory / "before", directory / f"{touch}", symlinks=True))

        def work(touch: int = touch, artifacts: Path = artifacts) -> None:
            die_at(touch)
            OPERATIONS[operation](artifacts)

        code = exit_code(in_child(work))
        problems += [f"{operation}, touch {touch}: {problem}" for problem in wrong_in(artifacts, LASTING)]
        if code != -signal.SIGKILL:
            problems += [f"exit code {code}"] * (code != 0)
            return {"kills": touch - 1, "problems": problems}
    raise AssertionError


def wrong_in(artifacts: Path, lasting: frozenset[str] = frozenset()) -> list[str]:
    """What must not be, whenever a process was killed."""
    problems = []
    try:
        registry = Registry(artifacts, "tiny")
        alias = json.loads(registry.alias.read_text())["version"]  # as whoever serves models finds it
        if alias not in {entry.champion_after for entry in registry.entries()}:
            problems.append(f"champion.json says {alias}, of which the ledger knows nothing")
        if (at := registry.served.version) not in registry.versions() or served(artifacts) != [at]:
            problems.append(f"{served(artifacts)} is served, by a link to {at}")
        champion = registry.champion()
        if served(artifacts) != [champion] or not registry.served.is_at(champion):
            problems.append(f"{served(artifacts)} is served, and {champion} is the champion")
        if json.loads(registry.alias.read_text())["version"] != champion:
            problems.append("champion.json is not where the ledger ends")
        for version in registry.versions():  # the champion, and no half version beside it
            registry.verified(version)
        kept = {champion, *registry.decisions().protected(), *lasting}
        problems += [f"{name} is visible" for name in visible(artifacts / "models" / "tiny") - set(registry.versions())]
        problems += [f"{version} is gone" for version in kept - visible(artifacts / "models" / "tiny")]
        # The next calls: they work, and nothing of the killed one is left.
        prune_all(artifacts, keep_days=1000, checkpoint_days=1000)
        problems += [f"{path} is left" for path in artifacts.rglob(".*")]
        grown = len(registry.entries())
        registry.protect(kept.pop() or "", by="a", reason="b")
        if len(registry.entries()) != grown + 1 or not registry.ledger.path.read_bytes().endswith(b"\n"):
            problems.append("the ledger did not grow by a line")
    except (HemlineError, OSError, ValueError) as error:
        problems.append(f"{type(error).__name__}: {error}")
    return problems


def served(artifacts: Path) -> list[str]:
    """The versions that a model server finds."""
    return numbered(artifacts / "serving" / "tiny")


def visible(directory: Path) -> set[str | None]:
    return {path.name for path in directory.glob("[!.]*")}


def at_random(artifacts: Path, kills: int) -> dict[str, Any]:
    prepare(artifacts)
    moments, problems = random.Random(0), []

    def work(seed: int) -> None:
        rng, registry = random.Random(seed), Registry(artifacts, "tiny")
        while True:
            with suppress(RegistryError):  # the champion already, or nothing to go back to
                operation = rng.choice(["publish", "promote", "rollback", "prune"])
                if operation == "promote":
                    registry.promote(rng.choice(registry.versions()), by="a", reason="b")
                elif operation == "prune":
                    prune_all(artifacts, keep_versions=3)
                else:
                    OPERATIONS[operation](artifacts)

    for number in range(kills):
        pid = in_child(lambda number=number: work(number))  # type: ignore[misc]
        time.sleep(moments.uniform(0.01, 0.1))
        os.kill(pid, signal.SIGKILL)
        if (code := exit_code(pid)) != -signal.SIGKILL:
            problems.append(f"exit code {code}")
        problems += [f"kill {number}: {problem}" for problem in wrong_in(artifacts)]
    entries = [entry for entry in Registry(artifacts, "tiny").entries() if entry.moves]
    return {"kills": kills, "problems": problems, "entries": len(entries)}


def main(mode: str, directory: str, argument: str) -> None:
    path = Path(directory)
    modes: dict[str, Callable[[], dict[str, Any]]] = {
        "promoters": lambda: promoters(path, int(argument)),
        "deciders": lambda: deciders(path, int(argument)),
        "every": lambda: every(path, argument),
        "random": lambda: at_random(path, int(argument)),
    }
    seen = modes[mode]()
    assert "tensorflow" not in sys.modules
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
