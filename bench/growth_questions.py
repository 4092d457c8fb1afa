"""One question to what many nights have left, in a process of its own: for bench.growth.

    python -m bench.growth_questions "hemline runs" DIR

Prints a line of JSON: seconds from the start of Python until everything is imported, the same of the answer, of which
processor time, the peak of the memory in MB, how often the ledger was opened, and how many versions' models were.
"""

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

import psutil

from hemline.registry import versions
from hemline.registry.champion import Registry

NAME = "growth"  # of the model
IMPORTS = {  # by the first word of the question; what a command line imports once is part of its start
    "hemline": (
        "hemline.cli",
        "hemline.registry.catalogue",
        "hemline.registry.prune",
        "hemline.registry.status",
        "hemline.config.nested",
    ),
    "judge": ("hemline.gate.judging", "hemline.gate.paired", "scipy.stats"),
    "rm": ("hemline.registry.prune",),
    "publish": ("bench.growth_nights", "hemline.report.card", "hemline.report.curves", "hemline.report.parity"),
}


def command(artifacts: Path, question: str) -> None:
    """A command of `hemline`; {newest} is the newest version's number, {run} the first run's name."""
    from hemline.cli import app

    run, newest = next((artifacts / "runs").iterdir()).name, Registry(artifacts, NAME).versions()[-1]
    words = shlex.split(question.format(run=run, newest=newest))[1:]
    app(["--artifacts", str(artifacts), *words], standalone_mode=False)


def publish(artifacts: Path, question: str) -> None:
    """As the tasks of a run do: has anything changed, was it published already, and the new version."""
    from bench.growth_nights import dataset_ref, record

    run, tonight = next((artifacts / "runs").iterdir()), record(dataset_ref(artifacts), number=2**31)
    assert not list(versions.made_from(artifacts, NAME, tonight.identity))
    assert not versions.published_by(artifacts, NAME, run, tonight.flow_run.id)
    versions.publish(artifacts, tonight, run)


def judge(artifacts: Path, question: str) -> None:
    """As the task promote does, but that the answers are there already."""
    import numpy as np

    from hemline.config.gate import Gate
    from hemline.gate.judging import judge

    registry = Registry(artifacts, NAME)
    newest = registry.versions()[-1]
    dataset = versions.verify(registry.path(newest)).dataset

    def answers(path: Path, images: np.ndarray) -> np.ndarray:
        versions.verify(path)  # as whoever loads a version does
        return np.random.default_rng(int(path.name)).normal(size=(len(images), len(dataset.class_names)))

    judge(registry, newest, dataset, Gate(), "a night", answers)


def rm(artifacts: Path, question: str) -> None:
    """What the file system takes to remove what `hemline prune --yes` would."""
    from hemline.registry.prune import Retention, removable

    going = [removal.path for removal in removable(artifacts, None, Retention(), datetime.now(UTC))]
    subprocess.run(["rm", "-rf", *going], check=True)


QUESTIONS: dict[str, Callable[[Path, str], None]] = {"hemline": command, "judge": judge, "publish": publish, "rm": rm}


def main() -> None:
    """Answers the question into nothing, and prints what it cost."""
    question, artifacts = sys.argv[1], Path(sys.argv[2])
    kind = question.split()[0]
    for module in IMPORTS[kind]:
        importlib.import_module(module)
    opened: Counter[str] = Counter()

    def on_event(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and isinstance(path := arguments[0], str | os.PathLike):
            opened[os.fspath(path)] += 1

    start = time.time() - psutil.Process().create_time()
    sys.addaudithook(on_event)
    began, processor = time.perf_counter(), time.process_time()
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        QUESTIONS[kind](artifacts, question)
    answer = {
        "start": start,
        "seconds": time.perf_counter() - began,
        "processor": time.process_time() - processor,
        "peak": int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) * 1024 / 1e6,
        "ledger": sum(number for path, number in opened.items() if path.endswith("ledger.jsonl")),
        "models": sum(path.endswith("model.keras") and "/models/" in path for path in opened),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
