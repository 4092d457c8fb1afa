"""Many runs on several workers: how soon each starts, on SQLite beside PostgreSQL; and that none is lost or made twice.

    make bench-workers                              # 40 runs of a flow that does nothing, on 4 workers
    make bench-workers ARGS="--retrain"             # 40 trainings; in their midst a worker is killed with its runs

Needs PostgreSQL (Debian: apt-get install postgresql). A run comes every few seconds, so that what is measured is not
the queue. Its latency is the time from the moment it is scheduled for to its state *Running*; a worker asks for runs
every 10 s, as Prefect's own does, and starting Python is part of it. Trainings are on PostgreSQL, with a data set that
trains in a second.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import IO, Any
from uuid import UUID

import psutil
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, StateType

from bench.postgres import postgres
from flows.server import HOST, start, stop, wait_until_healthy
from hemline.data.dataset import DatasetRef, write_split
from hemline.registry.champion import Registry
from hemline.registry.versions import verify
from hemline.storage.attempts import attempts
from hemline.storage.files import write_json

ROOT = Path(__file__).parents[1]
POOL = "gpu"
TRAINING = {"dataset": "mnist", "epochs": 60, "batch_size": 32, "validation": 60, "device": "cpu"}
TRAINING |= {"force": True}  # all are alike
PATIENCE = 3600.0


@flow(name="nothing", result_serializer="json")
def nothing() -> None:
    """A run whose time is all Prefect's."""


@dataclass
class House:
    """A server and its workers, with everything they write in one directory."""

    root: Path
    client: SyncPrefectClient
    environment: Mapping[str, str]
    server: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]
    log: IO[bytes] | None  # takes what workers say, and their runs

    def start_worker(self, limit: int) -> None:
        """One more, which takes so many runs at a time."""
        words = ["prefect", "worker", "start", "--pool", POOL, "--type", "process", "--limit", str(limit)]
        self.workers.append(start(words, self.environment, self.log))

    def stop_workers(self) -> None:
        """All of them, and what they run."""
        while self.workers:
            stop(self.workers.pop(), 30)


@contextmanager
def house(
    workers: int,
    limit: int,
    database: str | None,
    settings: Mapping[str, str] | None = None,
    logged: bool = False,
) -> Iterator[House]:
    """Starts them. database: its address; None for SQLite. settings: more of the environment. logged: into files."""
    with ExitStack() as stack:
        root = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="hemline-bench-", ignore_cleanup_errors=True))
        )
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = probe.getsockname()[1]
        url = f"http://{HOST}:{port}/api"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | {
            "HEMLINE_ROOT": str(root),
            "TFDS_DATA_DIR": str(root / "data"),
            "PYTHONPATH": str(ROOT),
            "PREFECT_HOME": str(root / "prefect"),
            "PREFECT_API_URL": url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": "WARNING",
        }
        if database:
            environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database
        environment |= settings or {}
        words = ["prefect", "server", "start", "--host", HOST, "--port", str(port)]
        logs = [(root / name).open("wb") if logged else None for name in ("server.log", "workers.log")]
        server = start(words, environment, logs[0])
        stack.callback(stop, server, 30)
        wait_until_healthy(url, server)
        prefect(environment, "work-pool", "create", POOL, "--type", "process")
        client = stack.enter_context(SyncPrefectClient(url))
        here = House(root, client, environment, server, [], logs[1])
        stack.callback(here.stop_workers)
        for _ in range(workers):
            here.start_worker(limit)
        yield here


def prefect(environment: Mapping[str, str], *words: str, module: str = "prefect") -> None:
    """Runs a command of Prefect's, or another module, quietly."""
    command = [sys.executable, "-m", module, *words]
    subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def submit(house: House, deployment: UUID, runs: int, every: float, config: dict[str, Any] | None) -> list[UUID]:
    """Asks for a run every few seconds."""
    parameters = {"config": config} if config else {}
    ids = []
    for _ in range(runs):
        ids.append(house.client.create_flow_run_from_deployment(deployment, parameters=parameters).id)
        time.sleep(every)
    return ids


def wait(house: House, ids: list[UUID], done: int | None = None) -> list[FlowRun]:
    """The runs, once so many of them (all) have ended well or ill."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        runs = [house.client.read_flow_run(each) for each in ids]
        ended = [run for run in runs if run.state and run.state.type in (StateType.COMPLETED, StateType.FAILED)]
        if len(ended) >= (len(ids) if done is None else done):
            return runs
        time.sleep(3)
    raise SystemExit(f"all runs must end. Received: {len(ended)} of {len(ids)} after {PATIENCE:.0f} s.")


def latency(house: House, run: FlowRun) -> float:
    """Seconds from the moment that a run is scheduled for until it is *Running* for the first time."""
    states = house.client.read_flow_run_states(run.id)
    running = min(state.timestamp for state in states if state.type == StateType.RUNNING)
    assert run.expected_start_time
    return (running - run.expected_start_time).total_seconds()


def measure(database: str | None, arguments: argparse.Namespace) -> list[float]:
    """The latency of every run of the flow that does nothing."""
    with house(arguments.workers, arguments.limit, database) as here:
        deployment = here.client.create_deployment(
            flow_id=here.client.create_flow(nothing),
            name="nothing",
            entrypoint="bench.workers:nothing",
            work_pool_name=POOL,
            pull_steps=[{"prefect.deployments.steps.run_shell_script": {"script": "true"}}],
        )
        wait(here, submit(here, deployment, 1, 0, None))  # once, so that everything is loaded
        runs = wait(here, submit(here, deployment, arguments.runs, arguments.every, None))
        assert all(run.state and run.state.is_completed() and run.run_count == 1 for run in runs)
        return [latency(here, run) for run in runs]


def bright_data(root: Path, train: int = 300, test: int = 70, side: int = 4) -> None:
    """Prepared data where a run looks for it: pictures of side x side pixels, whose brightness is their class."""
    import numpy as np

    rng, directory, splits = np.random.default_rng(0), root / "data" / "decoded" / "mnist", {}
    directory.mkdir(parents=True)
    for name, examples in (("train", train), ("test", test)):
        labels = rng.integers(3, size=examples).astype(np.int32)
        noise = rng.integers(0, 120, size=(examples, side, side, 1))
        splits[name] = write_split(
            directory, name, [((60 * labels[:, None, None, None] + noise).astype(np.uint8), labels)]
        )
    names = ["dark", "middling", "bright"]
    ref = DatasetRef(
        full_name="mnist/3.0.1", path=directory, image_shape=(side, side, 1), class_names=names, splits=splits
    )
    write_json(directory / "dataset.json", ref.record())


def retrain(database: str, arguments: argparse.Namespace) -> str:
    """Trains many times and kills a worker with its runs when half is done. Returns what came of it, in a sentence."""
    with house(arguments.workers, arguments.limit, database) as here:
        bright_data(here.root)
        prefect(here.environment, "--no-prompt", "deploy", "--all")
        prefect(here.environment, module="ops.automations")
        deployment = here.client.read_deployment_by_name("retrain/smoke").id
        ids = submit(here, deployment, arguments.runs, 0, TRAINING)
        wait(here, ids, done=arguments.runs // 2)
        victim = busy(here)
        for process in [victim, *victim.children(recursive=True)]:
            process.kill()
        runs = wait(here, ids)
        failed = [run.name for run in runs if not (run.state and run.state.is_completed())]
        again = sum(len(attempts(run)) > 1 for run in (here.root / "artifacts" / "runs").iterdir())
        registry = Registry(here.root / "artifacts", "mnist")
        published = [verify(registry.path(version)).flow_run.id for version in registry.versions()]
        assert sorted(published) == sorted(map(str, ids)), "each run must publish once"
        assert not failed, failed
        assert again, "the worker that was killed had no run: kill it earlier"
    return (
        f"{len(ids)} trainings on {arguments.workers} workers, one killed: all ended well, none twice; {again} resumed"
    )


def busy(house: House) -> psutil.Process:
    """A worker with a run."""
    while True:
        for worker in (psutil.Process(started.pid) for started in house.workers):
            if worker.children():
                return worker
        time.sleep(0.2)


def main() -> None:
    """Prints the table, or what came of the trainings."""
    parser = argparse.ArgumentParser(prog="python -m bench.workers", description="Many runs on several workers.")
    parser.add_argument("--runs", type=int, default=40, help="runs on each database (default: 40)")
    parser.add_argument("--workers", type=int, default=4, help="workers (default: 4)")
    parser.add_argument("--limit", type=int, default=2, help="runs of a worker at a time (default: 2)")
    parser.add_argument("--every", type=float, default=3, help="seconds between runs (default: 3)")
    parser.add_argument("--retrain", action="store_true", help="train, and kill a worker in the midst of it")
    arguments = parser.parse_args()
    with postgres() as database:
        if arguments.retrain:
            print(retrain(database, arguments))
            return
        found = {name: measure(url, arguments) for name, url in (("SQLite", None), ("PostgreSQL", database))}
    how = f"{arguments.runs} runs, one every {arguments.every:g} s, on {arguments.workers} workers"
    print(f"{how}; seconds until each is running:\n")
    print("| database | median | 95th percentile | longest |\n| --- | --- | --- | --- |")
    for name, seconds in found.items():
        late = quantiles(seconds, n=20, method="inclusive")[-1]
        print(f"| {name} | {median(seconds):.1f} | {late:.1f} | {max(seconds):.1f} |")


if __name__ == "__main__":
    main()
