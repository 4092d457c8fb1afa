"""How long many runs take on many machines, by what they ask of each station and by how they wait for one another.

    place = Place(hosts=10, cores=8, workers=4)
    bounds(costs, place, 10_000)            # {"slots": 3250.0, "devices": 3700.0, "server": 18000.0, ...}, seconds
    predicted(costs, place, 10_000)         # 18300.0

Each bound is what that station needs for all runs while every other one is as fast as can be (operational analysis:
Denning and Buzen, 1978). Where two stations are asked for almost as much, runs wait for both in turn: the prediction is
by mean value analysis (Reiser and Lavenberg, 1980), in which as many runs as there are slots go round the stations, and
each finds there the queue that one run fewer would make. Nothing is fitted.
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


@dataclass(frozen=True)
class Station:
    """What runs wait for in turn. number: such stations, between which runs are shared equally."""

    number: int
    seconds: float  # of each of them, for a run that comes there


def stations(costs: Costs, place: Place) -> dict[str, Station]:
    """All that a run needs besides its slot."""
    hosts, slots = place.hosts, place.hosts * place.workers

    def processors(cores: float, *parts: str) -> float:
        """What workers leave of them, that look for work all the time, is for the runs."""
        left = cores - sum(costs.rest[part] + slots * costs.worker[part] for part in parts)
        return sum(costs.run[part] for part in parts) / left if left > 0 else math.inf

    found = {
        "devices": Station(hosts, costs.device),
        "server": Station(1, processors(1, "server")),  # one process of Python, so one processor
    }
    if place.together:
        return found | {"processors": Station(1, processors(place.cores, *PARTS))}
    return found | {
        "processors": Station(hosts, hosts * processors(hosts * place.cores, "host")),
        "database": Station(1, processors(place.cores, "database")),
        "store": Station(1, costs.run["store requests"] / STORE_REQUESTS),
    }


def alone(costs: Costs) -> float:
    """Seconds of a run that nothing else runs beside: until a worker looks, as long on average, and in its slot."""
    return costs.poll / 2 + costs.slot


def bounds(costs: Costs, place: Place, runs: int) -> dict[str, float]:
    """Seconds from asking for the runs, all at once, to the end of the last: at least so many by each station."""
    needed = {name: runs * each.seconds / each.number for name, each in stations(costs, place).items()}
    return {"slots": math.ceil(runs / (place.hosts * place.workers)) * alone(costs)} | needed


def predicted(costs: Costs, place: Place, runs: int) -> float:
    """Seconds until the last has ended."""
    least, asked = max(bounds(costs, place, runs).values()), stations(costs, place)
    if math.isinf(least):
        return least
    elsewhere = max(0.0, alone(costs) - sum(each.seconds for each in asked.values()))  # seconds of a run
    queues, rate = dict.fromkeys(asked, 0.0), 0.0
    for inside in range(1, min(place.hosts * place.workers, runs) + 1):
        spent = {name: each.seconds * (1 + queues[name]) for name, each in asked.items()}
        rate = inside / (elsewhere + sum(spent.values()))  # runs that end in a second
        queues = {name: rate * spent[name] / each.number for name, each in asked.items()}
    return max(least, runs / rate)
