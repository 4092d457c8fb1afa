"""How time and memory grow: with the nights that have been, and with examples, parameters and replicas.

    make bench-growth                           # ten minutes; or: make bench-growth ARGS="--only nights --sizes 10 100"

Nights: so many versions and runs, and five times as many lines of the ledger (bench.growth_nights), in a temporary
directory. Each question has a process of its own; the start of Python, with everything that is imported, is counted
apart, and so is not in the seconds. The exponent is that of a power of the number of nights, between the last two: 1 is
linear. Training: see bench.growth_training.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.growth_nights import LINES, make_nights

ROOT = Path(__file__).parents[1]
SIZES, ROUNDS = (10, 100, 1000), 3
LOOKING = (
    "hemline status",
    "hemline runs",
    "hemline versions",
    "hemline ledger",
    "hemline show champion",
    "hemline show {run}",
    "hemline checksums champion",
    "hemline prune",
)
CHANGING = (  # once each, in this order: the last leaves little
    "judge",
    "publish",
    "hemline promote {newest} --reason better",
    "hemline rollback --reason worse",
    "hemline prune --yes",
)
TWIN = "rm -rf of the same"  # in a copy


def ask(question: str, artifacts: Path) -> dict[str, Any]:
    """What a process of its own says of it."""
    command = [sys.executable, "-m", "bench.growth_questions", question, str(artifacts)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{question} must be answered. Received: {(done.stderr.splitlines() or ['nothing'])[-1]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def copied(artifacts: Path) -> Path:
    """A twin, on disk as the original is."""
    twin = shutil.copytree(artifacts, artifacts.with_name(f"{artifacts.name}-twin"), symlinks=True)
    os.sync()
    return twin


def nights(sizes: list[int]) -> None:
    """A row for each question."""
    found: dict[str, list[dict[str, Any]]] = {
        question: [] for question in (*LOOKING, *CHANGING[:-1], TWIN, CHANGING[-1])
    }
    with tempfile.TemporaryDirectory() as scratch:
        for size in sizes:
            artifacts = Path(scratch) / str(size)
            make_nights(artifacts, size)
            os.sync()  # or the first question that waits for the disk would wait for all of this
            for question, answers in found.items():
                where = copied(artifacts) if question == TWIN else artifacts
                tries = [ask(question, where) for _ in range(ROUNDS if question in LOOKING else 1)]
                answers.append(min(tries, key=lambda answer: answer["seconds"]))
            print(f"{size} nights: done", file=sys.stderr)
    heads = [f"s, {size:,} nights" for size in sizes]
    tails = ["exponent", "of it processor", "start of Python, s", "peak MB, fewest nights", "peak MB, most"]
    columns = ["question", *heads, *tails, "ledger opened", "models opened"]
    print(f"\n{sizes[-1]:,} nights are as many versions and runs, and {LINES * sizes[-1]:,} lines of the ledger.\n")
    print(f"| {' | '.join(columns)} |\n{'| --- ' * len(columns)}|")
    for question, answers in found.items():
        few, many, last = answers[0], answers[-1], answers[-2:]
        ratio = last[-1]["seconds"] / last[0]["seconds"]
        exponent = math.log(ratio) / math.log(sizes[-1] / sizes[-2]) if len(sizes) > 1 else math.nan
        cells = [f"{answer['seconds']:.3f}" for answer in answers]
        cells += [f"{exponent:.2f}", f"{many['processor']:.2f}", f"{many['start']:.1f}", f"{few['peak']:.0f}"]
        cells += [f"{many['peak']:.0f}", f"{many['ledger']}", f"{many['models']}"]
        print(f"| `{question}` | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=("nights", "training"), help="one of the tables")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of nights (default: 10 100 1000)")
    parser.add_argument("--rounds", type=int, default=5, help="epochs measured of each training (default: 5)")
    arguments = parser.parse_args()
    if arguments.only != "training":
        nights(arguments.sizes)
    if arguments.only != "nights":
        from bench.growth_training import training

        training(arguments.rounds)


if __name__ == "__main__":
    main()
