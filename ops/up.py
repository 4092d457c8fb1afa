"""A Prefect server and a worker on this machine, until Ctrl-C.

    make up                             # http://127.0.0.1:4200
    make up ARGS="--port 4300"

Creates the work pool `gpu` if it is not there. The server listens on loopback only; while it runs, `hemline retrain`
without PREFECT_API_URL reports to it. Ctrl-C, SIGTERM and a closed terminal stop the runs, the worker and the server,
within 15 s. A run that is stopped so comes back once there is a worker again.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import psutil

from flows.server import HOST, announcement, end_on_signals, start, stop, wait_until_healthy
from hemline.storage.locks import locked

POOL = "gpu"
POOL_LIMIT = 4  # runs at a time: one trains, others wait for the device, and a rollback need not wait for them
RUNS_SECONDS = 8.0  # for a checkpoint, and to say so to the server


def main() -> None:
    """Starts both, waits for either to end or for a signal, and stops both."""
    end_on_signals()
    parser = argparse.ArgumentParser(prog="python -m ops.up", description="Start a Prefect server and a worker.")
    parser.add_argument("--port", type=int, default=4200, help="port of the server on loopback (default: 4200)")
    port = parser.parse_args().port
    require_free(port)

    url = f"http://{HOST}:{port}/api"
    environment = os.environ | {
        "PREFECT_API_URL": url,
        "PREFECT_UI_URL": f"http://{HOST}:{port}",  # of the links in messages
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    with announced() as announce, ExitStack() as stack:
        try:
            server = start(["prefect", "server", "start", "--host", HOST, "--port", str(port)], environment)
            stack.callback(stop, server)
            wait_until_healthy(url, server)
            create_pool(environment)
            subprocess.run([sys.executable, "-m", "ops.recover"], env=environment, check=True)
            worker = start(["prefect", "worker", "start", "--pool", POOL, "--type", "process"], environment)
            stack.callback(stop, worker)
            stack.callback(end_runs, psutil.Process(worker.pid))
            announce(url)
            print(
                f"\nServer and worker are up: http://{HOST}:{port}\n"
                f"In another terminal:  export PREFECT_API_URL={url}\n"
                "                      make deploy\n"
                "                      .venv/bin/prefect deployment run 'retrain/smoke' --watch\n"
                "Ctrl-C stops both.\n",
                flush=True,
            )
            while server.poll() is None and worker.poll() is None:
                time.sleep(0.5)
        except KeyboardInterrupt:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # it is being done
            print("\nStopping: runs, worker, server.", flush=True)
            return
        finally:
            announce("")
    raise SystemExit("server or worker ended by itself; the lines above say why.")


@contextmanager
def announced() -> Iterator[Callable[[str], object]]:
    """Gives the function that tells this user's runs where the server is. Refuses a second server.

    The file is locked while the server runs. A lock ends with its process, so a killed server's address is not used.
    """
    file = announcement()
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(file, wait=1))  # a run that looks holds it for an instant
        except BlockingIOError:
            raise SystemExit(
                f"One server at a time may use the database in {file.parent}. Received: a second one, beside "
                f"{file.read_text() or 'one that is starting'}. Use that one, or set PREFECT_HOME to another directory."
            ) from None
        file.write_text("")
        yield file.write_text


def require_free(port: int) -> None:
    """Exits with a sentence if something listens on the port, before anything is started."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise SystemExit(
                f"The server's port must be free. Received: port {port} on {HOST} ({error}). "
                f'Stop what uses it, or choose another: make up ARGS="--port {port + 1}".'
            ) from None


def create_pool(environment: dict[str, str]) -> None:
    """The work pool, unless it is there. A pool that someone changed stays as it is."""
    prefect = [sys.executable, "-m", "prefect", "work-pool"]
    quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if subprocess.run([*prefect, "inspect", POOL], **quiet).returncode != 0:  # type: ignore[call-overload]
        subprocess.run([*prefect, "create", POOL, "--type", "process"], env=environment, check=True)
        subprocess.run([*prefect, "set-concurrency-limit", POOL, str(POOL_LIMIT)], env=environment, check=True)


def end_runs(worker: psutil.Process) -> None:
    """Ends the runs of a worker while it and the server can still say so: each has its checkpoint and is *Crashed*.

    A run is a session of its own. What does not end in time is killed, and goes on from an older checkpoint.
    """
    deadline = time.monotonic() + RUNS_SECONDS
    told: set[psutil.Process] = set()
    while (runs := worker.children()) and time.monotonic() < deadline:  # until the worker has seen each of them end
        for run in set(runs) - told:
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGTERM)
        told |= set(runs)
        time.sleep(0.1)
    for run in worker.children():
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
