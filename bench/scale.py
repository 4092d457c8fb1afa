"""What a run costs by phase, and how long many of them take on many machines: predicted, and measured for some.

    make bench-scale                                # 8 minutes on 2 quiet cores
    make bench-scale ARGS="--runs 48 --workers 2 3"

Costs are those of a few runs, each alone in a house with PostgreSQL, if it is there, and an S3 store on loopback: the
default training on 60,000 made-up pictures, whole, and as a trial of a sweep, which ends after training. The prediction
is made of them by bench.scale_model, and compared with many trials at once. What other processes took of the processors
meanwhile is left out of those that there are.
"""

import argparse
import time
from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean
from typing import Any

import psutil

from bench.scale_costs import RUN, SLOT, TRIAL, Meter, Reading, importing, looks, measured_house, phases_of, run
from bench.scale_model import PARTS, Costs, Place, bounds, predicted
from bench.workers import House
from flows.server import WORKER
from ops.chaos.lane import wait_until

ALONE = 3  # runs of each kind, whose mean costs are taken
IDLE = 20.0  # seconds that an idle house is watched for
MANY, SELDOM = 10_000, 10.0  # runs of a night; seconds between two looks for work, as Prefect has them by itself
TEN = Place(hosts=10, cores=8, workers=4)
BUSY = {part: f"processor of the {part}, s" for part in PARTS} | {"API requests": "requests to the API"}
LEFT = {"store requests": ("requests to the store", 1), "bytes": ("files, MB", 1e6), "rows": ("database, MB", 1e6)}


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20, help="trials that are measured at once (default: 20)")
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4], help="on so many workers (default: 2 and 4)")
    arguments = parser.parse_args()
    with measured_house() as (here, meter):
        most = max(arguments.workers)
        start_workers(here, most)
        run(here, meter, RUN, 1)  # once, so that proofs and compiled programs are there
        busy = idle(meter)
        start_workers(here, 0)
        rest = idle(meter)
        worker = {name: (busy[name] - rest[name]) / most for name in BUSY}
        start_workers(here, 1)
        whole, trial = (costs(here, meter, config, rest, worker) for config in (RUN, TRIAL))
        print_costs(whole, trial)
        head("workers", "predicted, s", "measured, s", "measured / predicted", "bound by", "others' processors")
        for workers in arguments.workers:
            start_workers(here, workers)
            taken = run(here, meter, TRIAL, arguments.runs)
            measured, others = taken["seconds"], taken["others"] / taken["seconds"]
            place = Place(1, (psutil.cpu_count() or 1) - others, workers, together=True)
            expected, by = predicted(trial, place, arguments.runs), longest(bounds(trial, place, arguments.runs))
            row(workers, f"{expected:.0f}", f"{measured:.0f}", f"{measured / expected:.2f}", by, f"{others:.2f}")
    print_night(whole, trial)


def start_workers(here: House, number: int) -> None:
    """So many, in the place of those that there are; until all look for work."""
    here.stop_workers()
    for _ in range(number):
        here.start_worker(1)
    enough = looks(here) + 3 * number
    wait_until(lambda: looks(here) >= enough, "that all workers look for work")


def idle(meter: Meter) -> Reading:
    """What the house takes in a second in which nothing is to be done."""
    before = meter.read()
    time.sleep(IDLE)
    taken = meter.since(before)
    return {name: taken[name] / taken["seconds"] for name in BUSY}


def costs(here: House, meter: Meter, config: Mapping[str, Any], rest: Reading, worker: Reading) -> Costs:
    """Of a run alone on one worker, by phase too: means of a few. rest, worker: what is taken without it."""
    found = []
    for _ in range(ALONE):
        taken = run(here, meter, config, 1)
        found.append(taken | phases_of(here, time.time()))
    mean = {name: fmean(each[name] for each in found) for name in found[0]}
    mean |= {name: mean[name] - mean["seconds"] * (rest[name] + worker[name]) for name in BUSY}
    poll = float(WORKER["PREFECT_WORKER_QUERY_SECONDS"])
    return Costs(mean[SLOT], poll, mean["train"], mean, rest, worker)


def print_costs(whole: Costs, trial: Costs) -> None:
    """Where the seconds of a run go, and what it takes of everything."""
    head("", "whole run", "trial", "idle house, a second", "each worker of it")
    for name in whole.run:
        if name not in {*BUSY, *LEFT, "seconds", "others"}:  # a phase
            row(f"{name}, s", *(f"{each.run[name]:.2f}" if name in each.run else "" for each in (whole, trial)), "", "")
    row("of check-model: importing TensorFlow, s", *2 * [f"{importing():.2f}"], "", "")
    for name, called in BUSY.items():
        each = (f"{each[name]:.4f}" for each in (whole.rest, whole.worker))
        row(called, f"{whole.run[name]:.2f}", f"{trial.run[name]:.2f}", *each)
    for name, (called, unit) in LEFT.items():
        row(called, f"{whole.run[name] / unit:.2f}", f"{trial.run[name] / unit:.2f}", "", "")


def longest(bounds: dict[str, float]) -> str:
    """The station that the runs wait for."""
    return max(bounds, key=lambda name: bounds[name])


def print_night(whole: Costs, trial: Costs) -> None:
    """On paper: how long each station needs for very many runs, how long they take, and what they ask and leave."""
    here, rarely = Place(1, psutil.cpu_count() or 1, workers=4, together=True), trial.poll / SELDOM
    patient = replace(trial, poll=SELDOM, worker={name: each * rarely for name, each in trial.worker.items()})
    columns = {
        "trials, this machine": (trial, here),
        "trials, 10 hosts": (trial, TEN),
        f"the same, a look every {SELDOM:.0f} s": (patient, TEN),
        "whole runs, 10 hosts": (whole, TEN),
    }
    found = [bounds(*column, MANY) for column in columns.values()]
    head(f"{MANY:,} runs", *columns)
    for name in dict.fromkeys(name for each in found for name in each):
        row(f"{name}, h", *(f"{each[name] / 3600:.1f}" if name in each else "" for each in found))
    row("**bound by**", *map(longest, found))
    row("**predicted, h**", *(f"{predicted(*column, MANY) / 3600:.1f}" for column in columns.values()))
    for name, (called, unit) in LEFT.items():
        row(called, *(f"{costs.run[name] * MANY / unit:,.0f}" for costs, _ in columns.values()))


def head(*cells: object) -> None:
    """Begins a table."""
    print()
    row(*cells)
    row(*["---"] * len(cells))


def row(*cells: object) -> None:
    """A line of it."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
