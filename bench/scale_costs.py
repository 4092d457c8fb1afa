"""What runs cost, from outside: processor seconds of every part of a house, requests, bytes, and a run's phases.

    with measured_house() as (here, meter):
        taken = run(here, meter, TRIAL, runs=24)        # {"seconds": 160.2, "host": 250.0, "server": 21.0, ...}
        phases_of(here, ended=time.time())              # of the newest run: {"dispatch": 1.4, "start": 2.7, ...}

Nothing is added to a run: its phases are in timing.csv and in Prefect's states, and the kernel counts processor time.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen
from uuid import UUID

import pandas as pd
import psutil
from prefect.client.schemas.filters import TaskRunFilter

from bench.postgres import postgres, programs
from bench.scale_model import PARTS
from bench.workers import House, bright_data, house, prefect, submit
from flows.server import HOST, SERVER, WORKER, start, stop
from hemline.storage.attempts import attempts
from hemline.storage.timing import TIMING, by_phase
from ops.chaos.lane import wait_until

RUN = {"dataset": "mnist", "device": "cpu", "force": True}  # the default one, whatever its data is called
TRIAL = RUN | {"only_train": True}  # as a sweep asks for it
IMPORT = "from hemline.runtime.quick_import import import_tensorflow; import_tensorflow()"
SLOT = "all, in a worker's slot"
PATIENCE = 3600.0
Reading = dict[str, float]


@dataclass
class Meter:
    """Counts what a house has taken. parts: their first processes. database: its files, where it is PostgreSQL's."""

    here: House
    parts: dict[str, psutil.Process]
    database: Path | None = None

    def read(self) -> Reading:
        """Until now. Of server, database, store, hosts (workers and runs) and others: seconds of one processor."""
        busy = dict.fromkeys(PARTS, 0.0) | {part: _processor(process) for part, process in self.parts.items()}
        busy["host"] = sum(_processor(psutil.Process(worker.pid)) for worker in self.here.workers)
        machine, root = psutil.cpu_times(), self.here.root
        idle = machine.idle + machine.iowait + machine.guest + machine.guest_nice  # guests are counted as users too
        return busy | {
            "others": sum(machine) - idle - sum(busy.values()),
            "seconds": time.monotonic(),
            "API requests": (root / "server.log").read_bytes().count(b" HTTP/1"),
            "store requests": (root / "store.log").read_bytes().count(b" HTTP/1"),
            "bytes": _bytes(root / "shared"),
            "rows": _bytes(self.database or root / "prefect"),
        }

    def since(self, before: Reading) -> Reading:
        """What was taken since then."""
        return {name: value - before[name] for name, value in self.read().items()}


def _bytes(directory: Path) -> float:
    found = 0
    for path in directory.rglob("*"):
        with suppress(FileNotFoundError):  # a database makes files and removes them
            found += path.stat().st_size if path.is_file() else 0
    return found


def _processor(process: psutil.Process) -> float:
    """Seconds of a process and of all that it has started, whether they have ended or not."""
    seconds = 0.0
    for each in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):  # it has just ended, and its parent has its seconds
            seconds += sum(each.cpu_times()[:4])
    return seconds


@contextmanager
def measured_house() -> Iterator[tuple[House, Meter]]:
    """One without workers, with PostgreSQL if it is there, a store of S3's protocol, and a deployment of trainings."""
    with ExitStack() as stack:
        database = stack.enter_context(postgres()) if programs() else None
        with socket.create_server((HOST, 0)) as probe:
            port = probe.getsockname()[1]
        store_url = f"http://{HOST}:{port}"
        settings = SERVER | WORKER | {"PREFECT_SERVER_LOGGING_LEVEL": "INFO"}  # a line for each request
        settings |= {"HEMLINE_ARTIFACTS": "s3://bench/hemline", "AWS_ENDPOINT_URL": store_url}
        settings |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
        here = stack.enter_context(house(0, 1, database, settings, logged=True))
        store = start(["moto.server", "-H", HOST, "-p", str(port)], os.environ, (here.root / "store.log").open("wb"))
        stack.callback(stop, store)
        wait_until(lambda: _has_bucket(f"{store_url}/bench"), "an answer of the store", pause=0.1)
        bright_data(here.root, train=60_000, test=10_000, side=28)
        prefect(here.environment, "--no-prompt", "deploy", "--name=smoke")
        prefect(here.environment, module="ops.automations")
        meter = Meter(here, {"server": psutil.Process(here.server.pid), "store": psutil.Process(store.pid)})
        if database:
            named = f"port={database.rpartition(':')[2].partition('/')[0]}"
            process = next(each for each in psutil.process_iter() if named in " ".join(each.cmdline()))
            meter.parts["database"], meter.database = process, Path(process.cmdline()[2]) / "base"
        yield here, meter


def _has_bucket(url: str) -> bool:
    with suppress(URLError):  # it is still starting
        urlopen(Request(url, method="PUT")).close()
        return True
    return False


def run(here: House, meter: Meter, config: Mapping[str, Any], runs: int) -> Reading:
    """What so many runs take that are asked for at once, until the process of the last has ended."""
    deployment, before = here.client.read_deployment_by_name("retrain/smoke").id, meter.read()
    all_runs = len(_runs(here)) + runs
    ids = submit(here, deployment, runs, 0, dict(config))

    def ended() -> bool:  # by files and processes: the server is not asked, whose work is counted
        done = sum(any(each.ended for each in attempts(directory)) for directory in _runs(here))
        return done == all_runs and not any(psutil.Process(worker.pid).children() for worker in here.workers)

    wait_until(ended, "the end of all runs", pause=0.2, seconds=PATIENCE)
    taken = meter.since(before)
    for each in map(here.client.read_flow_run, ids):
        assert each.state
        assert each.state.is_completed(), each.state
    return taken


def _runs(here: House) -> list[Path]:
    """Directories of runs, the newest first."""
    found = [path.parent for path in here.root.glob("shared/*/runs/*/attempts")]
    return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def looks(here: House) -> int:
    """How often workers have looked for work."""
    return (here.root / "server.log").read_bytes().count(b"/get_scheduled_flow_runs")


def importing() -> float:
    """Seconds that a process takes to import TensorFlow, as a run does in check-model."""
    words = f"from time import perf_counter as clock; began = clock(); {IMPORT}; print(clock() - began)"
    return float(subprocess.run([sys.executable, "-c", words], capture_output=True, check=True).stdout)


def phases_of(here: House, ended: float) -> dict[str, float]:
    """Seconds of the newest run, in the order in which they pass. ended: when its process did, as time.time() is."""
    directory = _runs(here)[0]
    this, spent = attempts(directory)[-1], by_phase(directory)
    states = {state.name: state.timestamp.timestamp() for state in here.client.read_flow_run_states(UUID(this.owner))}
    of_run = TaskRunFilter.model_validate({"flow_run_id": {"any_": [this.owner]}})
    steps = here.client.read_task_runs(task_run_filter=of_run)
    last, completed = max(step.end_time.timestamp() for step in steps if step.end_time), max(states.values())
    began = min(step.start_time.timestamp() for step in steps if step.start_time) - spent["start"]
    first, *others = pd.read_csv(directory / TIMING).groupby("epoch")["seconds"].sum()
    return {
        "waiting for a worker": states["Pending"] - states["Scheduled"],
        "starting a process": began - states["Pending"],
        **spent,
        "between the steps": last - began - sum(spent.values()),
        "the rest of the upload": completed - last,
        "leaving": ended - completed,
        SLOT: ended - states["Pending"],
        "of train: compiling": first - median(others),
        "of train: an epoch": median(others),
    }
