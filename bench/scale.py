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
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import psutil

from bench.scale_costs import RUN, TRIAL, Meter, Reading, importing, looks, measured_house, phases_of, run
from bench.scale_model import PARTS, Costs, Place, bounds
from bench.workers import House
from flows.server import WORKER
from ops.chaos.lane import wait_until

ALONE = 3  # runs of each kind, whose mean costs are taken
IDLE = 20.0  # seconds that an idle house is watched for
MANY = 10_000  # runs of a night
TEN = Place(hosts=10, cores=8, workers=4)
TAKEN = {  # name: what it is called, and how many are one of what is shown
    "host": ("processor of its host, s", 1),
    "server": ("processor of the server, s", 1),
    "database": ("processor of the database, s", 1),
    "store": ("processor of the store here, s", 1),
    "API requests": ("requests to the API", 1),
    "store requests": ("requests to the store", 1),
    "bytes": ("files in the store, MB", 1e6),
    "database bytes": ("rows in the database, MB", 1e6),
}


@dataclass
class Bill:
    """Of a run alone: seconds by phase, and its costs."""

    phases: dict[str, float]
    costs: Costs


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=24, help="trials that are measured at once (default: 24)")
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4], help="on so many workers (default: 2 and 4)")
    arguments = parser.parse_args()
    with measured_house() as (here, meter):
        most = max(arguments.workers)
        start_workers(here, most)
        run(here, meter, RUN, 1)  # once, so that proofs and compiled programs are there
        busy = idle(meter)
        start_workers(here, 0)
        rest = idle(meter)
        worker = {name: (busy[name] - rest[name]) / most for name in TAKEN}
        start_workers(here, 1)
        whole, trial = (bill(here, meter, config, rest, worker) for config in (RUN, TRIAL))
        print_costs(whole, trial)
        print("\n| workers | predicted, s | measured, s | measured / predicted | bound by | others' processors |")
        print("| --- | --- | --- | --- | --- | --- |")
        for workers in arguments.workers:
            start_workers(here, workers)
            taken = run(here, meter, TRIAL, arguments.runs)
            measured, others = taken["seconds"], taken["others"] / taken["seconds"]
            place = Place(1, (psutil.cpu_count() or 1) - others, workers, together=True)
            station, predicted = longest(bounds(trial.costs, place, arguments.runs))
            found = f"{predicted:.0f} | {measured:.0f} | {measured / predicted:.2f} | {station} | {others:.2f}"
            print(f"| {workers} | {found} |", flush=True)
    print_night(whole.costs, trial.costs)


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
    return {name: taken[name] / taken["seconds"] for name in TAKEN}


def bill(here: House, meter: Meter, config: Mapping[str, Any], rest: Reading, worker: Reading) -> Bill:
    """Of a few runs, one after the other, on one worker."""
    readings, phases = [], []
    for _ in range(ALONE):
        readings.append(run(here, meter, config, 1))
        phases.append(phases_of(here, time.time()))
    phase, taken = ({name: fmean(each[name] for each in found) for name in found[0]} for found in (phases, readings))
    own = {name: taken[name] - taken["seconds"] * (rest[name] + worker[name]) for name in TAKEN}
    poll = float(WORKER["PREFECT_WORKER_QUERY_SECONDS"])
    return Bill(phase, Costs(phase.pop("slot"), poll, phase["train"], own, rest, worker))


def print_costs(whole: Bill, trial: Bill) -> None:
    """Where the seconds of a run go, and what it takes of everything."""
    print("| phase | whole run, s | trial, s |\n| --- | --- | --- |")
    for name, spent in whole.phases.items():
        print(f"| {name} | {spent:.2f} | {f'{trial.phases[name]:.2f}' if name in trial.phases else ''} |")
    print(f"| of check-model: importing TensorFlow | {(took := importing()):.2f} | {took:.2f} |")
    print("\n| a run takes | whole run | trial | an idle house, in a second | each worker of it |")
    print("| --- | --- | --- | --- | --- |")
    print(f"| a worker, s | {whole.costs.slot:.1f} | {trial.costs.slot:.1f} | | |")
    print(f"| the device, s | {whole.costs.device:.1f} | {trial.costs.device:.1f} | | |")
    for name, (called, unit) in TAKEN.items():
        by_run = [f"{bill.costs.run[name] / unit:.1f}" for bill in (whole, trial)]
        by_second = [f"{each[name] / unit:.4f}" for each in (trial.costs.rest, trial.costs.worker)]
        print(f"| {called} | {' | '.join(by_run + by_second)} |")


def longest(bounds: dict[str, float]) -> tuple[str, float]:
    """The station that the runs wait for, and how long."""
    return max(bounds.items(), key=lambda each: each[1])


def print_night(whole: Costs, trial: Costs) -> None:
    """On paper: how long each station needs for very many runs, and what they ask and leave."""
    here = Place(1, psutil.cpu_count() or 1, workers=4, together=True)
    columns = {"trials, this machine": (trial, here), "trials, 10 hosts": (trial, TEN), "whole, 10 hosts": (whole, TEN)}
    found = [bounds(*column, MANY) for column in columns.values()]
    print(f"\n| {MANY:,} runs | {' | '.join(columns)} |\n| --- |{' --- |' * len(columns)}")
    for name in dict.fromkeys(name for each in found for name in each):
        print(f"| {name}, h | {' | '.join(f'{each[name] / 3600:.1f}' if name in each else '' for each in found)} |")
    ends = [(station, needed / 3600) for station, needed in map(longest, found)]
    print(f"| **bound by** | {' | '.join(f'{station}, {hours:.1f} h' for station, hours in ends)} |")
    for name, (called, unit) in TAKEN.items():
        if name not in PARTS:
            print(f"| {called} | {' | '.join(f'{c.run[name] * MANY / unit:,.0f}' for c, _ in columns.values())} |")


if __name__ == "__main__":
    main()
