"""A whole run, from its command to its last line, beside the chapter's script; and what its time goes into.

    make bench-run                                  # three rounds of each, 3 minutes on 2 quiet cores
    make bench-run ARGS="--clone"                   # and from `git clone` to the first champion, with its phases

A round is each of them in turn, so that a machine that slows down slows all: read the ratios. `warm` trains and judges
a version as every changed night does; `unchanged` is a night with nothing new, beside a server that runs, as at night,
or with one of its own. `on a worker` begins with the request; of its seconds, those before the run are the server's and
the worker's.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import numpy as np
from prefect.client.schemas.objects import State

from hemline.config.data import DataConfig
from hemline.config.paths import CHECKOUT
from hemline.data.dataset import load_split
from hemline.data.decoding import prepare
from hemline.storage.timing import by_phase
from ops.chaos.lane import Lane, wait_until

SCRIPT = "the chapter's script"
SEEDS = 8  # whose best is published: at once, they should cost less than four runs
WARM = ("retrain", "--force", "true")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="of each (default: 3; 0: the clone alone)")
    parser.add_argument("--clone", action="store_true", help="from a clone to the first champion too; installs it all")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hemline-run-") as scratch:
        root = Path(scratch)
        if arguments.rounds:
            whole_runs(root / "root", arguments.rounds)
        if arguments.clone:
            print("\nFrom a clone to the first champion:\n")
            print("| phase | seconds | share |\n| --- | --- | --- |")
            phases = from_a_clone(root)
            for phase, seconds in [*phases, ("all", sum(seconds for _, seconds in phases))]:
                print(f"| {phase} | {seconds:.1f} | {seconds / sum(s for _, s in phases):.0%} |")


def whole_runs(root: Path, rounds: int) -> None:
    """Each in turn, and the ratios to the script of the same round."""
    arrays = as_npz(root.with_suffix(".npz"))
    with Lane(root) as lane:
        alone = {name: value for name, value in lane.environment.items() if name != "PREFECT_API_URL"}
        contestants: dict[str, Callable[[], dict[str, float]]] = {
            SCRIPT: lambda: command(["bench/chapter.py", str(arrays)], alone),
            "warm": lambda: command(["-m", "flows.command", *WARM], alone),
            f"warm, {SEEDS} seeds": lambda: command(["-m", "flows.command", *WARM, "--seeds", str(SEEDS)], alone),
            "unchanged, its own server": lambda: command(["-m", "flows.command", "retrain"], alone),
            "unchanged, a server that runs": lambda: command(["-m", "flows.command", "retrain"], lane.environment),
            "warm, on a worker": lambda: on_a_worker(lane, {"force": True}),
            "unchanged, on a worker": lambda: on_a_worker(lane, {}),
        }
        cold = command(["-m", "flows.command", "retrain"], alone)["seconds"]
        found: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
        for number in range(rounds):
            for name, ask in contestants.items():
                found[name].append(ask())
                print(f"round {number + 1}, {name}: {found[name][-1]}", file=sys.stderr)
    print("| run | seconds, median | times the script, median of rounds | before the run |\n| --- | --- | --- | --- |")
    script = [each["seconds"] for each in found[SCRIPT]]
    print(f"| cold: the first one, data and proofs made | {cold:.1f} | {cold / median(script):.2f} | |")
    for name, each in found.items():
        ratio = median(one["seconds"] / other for one, other in zip(each, script, strict=True))
        before = [f"{median(one['before'] for one in each):.1f}"] if "before" in each[0] else [""]
        print(f"| {name} | {median(one['seconds'] for one in each):.1f} | {ratio:.2f} | {before[0]} |")


def as_npz(path: Path) -> Path:
    """Fashion-MNIST in the file that Keras itself would fetch."""
    ref = prepare(DataConfig())
    splits = {name: load_split(ref, name) for name in ("train", "test")}
    (x_train, y_train), (x_test, y_test) = splits["train"], splits["test"]
    np.savez(path, x_train=x_train[..., 0], y_train=y_train, x_test=x_test[..., 0], y_test=y_test)
    return path


def command(words: list[str], environment: Mapping[str, str]) -> dict[str, float]:
    """A Python process, from its start to its end."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *words], cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} must end well. Received:\n{done.stderr[-2000:]}")
    return {"seconds": time.perf_counter() - began}


def on_a_worker(lane: Lane, config: dict[str, bool]) -> dict[str, float]:
    """A run of a deployment, from the request to its end; before: until the run has begun."""
    began = time.time()
    run = lane.run("retrain/smoke", {"config": {"dataset": "fashion_mnist", "epochs": 5, "force": False} | config})

    def ended() -> State | None:
        state = lane.state(run)
        return state if state and state.is_final() else None

    end = wait_until(ended, "a run's end", pause=0.1)
    if not end.is_completed():
        raise SystemExit(f"a run must end well. Received: {end.name}: {end.message}")
    running = next(state for state in lane.states(run) if state.is_running())
    return {"seconds": end.timestamp.timestamp() - began, "before": running.timestamp.timestamp() - began}


def from_a_clone(scratch: Path) -> list[tuple[str, float]]:
    """The phases of a clone, `make retrain`, on a machine that has none of it, but for the packages' files nearby."""
    clone, home = scratch / "clone", scratch / "home"
    home.mkdir()
    ours = ("PREFECT_", "HEMLINE_", "MAKE", "ARGS")  # and what make hands on to another make
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {"HOME": str(home), "UV_CACHE_DIR": str(home / "uv"), "DO_NOT_TRACK": "1"}
    phases = []
    for phase, words in {
        "git clone": ["git", "clone", "--quiet", str(CHECKOUT), str(clone)],
        "make setup": ["make", "-C", str(clone), "setup"],
        "make retrain": ["make", "-C", str(clone), "retrain"],
    }.items():
        began = time.perf_counter()
        done = subprocess.run(words, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"`{phase}` must end well. Received:\n{done.stdout}{done.stderr}")
        phases.append((phase, time.perf_counter() - began))
    (_, seconds), (run,) = phases.pop(), (clone / "artifacts" / "runs").iterdir()
    of_run = by_phase(run)
    return [*phases, *of_run.items(), ("between the steps, and leaving", seconds - sum(of_run.values()))]


if __name__ == "__main__":
    main()
