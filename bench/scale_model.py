"""How long many runs take on many machines, at least: what they ask of each station, and the station asked the most.

    place = Place(hosts=10, cores=8, workers=4)
    each = bounds(costs, place, 10_000)     # {"slots": 3250.0, "devices": 3700.0, "server": 18000.0, ...}, seconds
    max(each.values())                      # the prediction

Each bound is what that station needs for all runs while every other one is as fast as can be. Nothing is fitted. These
are the bounds of operational analysis (Denning and Buzen, 1978): where two stations are asked for almost as much, runs
wait for both in turn, and it takes up to a seventh longer. tests/bench/test_scale.py simulates that.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

PARTS = ("host", "server", "database", "store")  # whose processor time is counted; host: a run's, and its worker's
STORE_REQUESTS = 3500.0  # writes a second that S3 takes under one prefix, by its documents


@dataclass(frozen=True)
class Costs:
    """What a run takes of a house that does nothing else."""

    slot: float  # seconds, from a worker's taking it until its process has ended
    poll: float  # seconds between two looks of a worker for work
    device: float  # of the slot's seconds, those in which the run has the device of its host for itself
    run: Mapping[str, float]  # by part, seconds of one processor; and "store requests"
    rest: Mapping[str, float]  # by part and second, with no worker and nothing to do
    worker: Mapping[str, float]  # what each worker that looks for work adds to it


@dataclass(frozen=True)
class Place:
    """Hosts that are alike; their workers take a run at a time. together: server, database and store are there too."""

    hosts: int
    cores: float  # of a host; and of the database's, if it has its own
    workers: int  # of a host
    together: bool = False


def bounds(costs: Costs, place: Place, runs: int) -> dict[str, float]:
    """Seconds from asking for the runs, all at once, to the end of the last: at least so many by each station."""
    hosts, slots, wait = place.hosts, place.hosts * place.workers, costs.poll / 2  # as long on average

    def processors(cores: float, *parts: str) -> float:
        """What workers leave of them, that look for work all the time, is for the runs."""
        left = cores - sum(costs.rest[part] + slots * costs.worker[part] for part in parts)
        needed = runs * sum(costs.run[part] for part in parts)
        return wait + max(costs.slot, needed / left if left > 0 else math.inf)

    found = {
        "slots": math.ceil(runs / slots) * (wait + costs.slot),
        "devices": wait + costs.slot + (math.ceil(runs / hosts) - 1) * costs.device,
        "server": processors(1, "server"),  # one process of Python, so one processor
    }
    if place.together:
        return found | {"processors": processors(place.cores, *PARTS)}
    return found | {
        "processors": processors(hosts * place.cores, "host"),
        "database": processors(place.cores, "database"),
        "store": wait + max(costs.slot, runs * costs.run["store requests"] / STORE_REQUESTS),
    }
