"""A Prefect server and a worker on this machine, until Ctrl-C.

    make up                             # http://127.0.0.1:4200
    make up ARGS="--port 4300"
    PREFECT_SERVER_API_AUTH_STRING=user:password make up ARGS="--host 0.0.0.0"      # for other machines too

Creates the work pool `gpu` if it is not there. The server listens on loopback only, unless it asks for a password;
while it runs, `hemline retrain` without PREFECT_API_URL reports to it. A server or worker that ends by itself is
started again. Ctrl-C, SIGTERM and a closed terminal stop the runs, the worker and the server, within 15 s. A run that
is stopped so comes back once there is a worker again.
"""

import argparse
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import psutil

from flows.server import (
    HOST,
    SERVER,
    WORKER,
    announcement,
    end_on_signals,
    require_home,
    start,
    stop,
    wait_until_healthy,
)
from hemline.errors import StorageError
from hemline.storage.locks import locked

POOL = "gpu"
PASSWORD = "PREFECT_SERVER_API_AUTH_STRING"
ANY_HOST = "0.0.0.0"
POOL_LIMIT = 4  # runs at a time: one trains, others wait for the device, and a rollback need not wait for them
STEADY_SECONDS = 10.0  # after which a server or worker that ends is worth another try
RUNS_SECONDS = 8.0  # for a checkpoint, and to say so to the server


def main() -> None:
    """Starts both, waits for either to end or for a signal, and stops both."""
    end_on_signals()
    parser = argparse.ArgumentParser(prog="python -m ops.up", description="Start a Prefect server and a worker.")
    parser.add_argument("--port", type=int, default=4200, help="port of the server on loopback (default: 4200)")
    parser.add_argument("--host", default=HOST, help="address that it listens on; 0.0.0.0 is all (default: loopback)")
    arguments = parser.parse_args()
    host, port = arguments.host, arguments.port
    require_password(host)
    require_free(host, port)
    require_free(HOST, port + 1)  # the worker's health
    try:
        require_home()
    except StorageError as error:
        raise SystemExit(str(error)) from None

    url = f"http://{HOST if host == ANY_HOST else host}:{port}/api"
    environment = (
        os.environ
        | SERVER
        | WORKER
        | {
            "PREFECT_API_URL": url,
            "PREFECT_UI_URL": os.environ.get("PREFECT_UI_URL", f"http://{HOST}:{port}"),  # of the links in messages
            "PREFECT_SERVER_METRICS_ENABLED": "true",
            "PREFECT_WORKER_WEBSERVER_HOST": HOST,  # Prefect's default is every address
            "PREFECT_WORKER_WEBSERVER_PORT": str(port + 1),
        }
    )
    if password := os.environ.get(PASSWORD):
        environment["PREFECT_API_AUTH_STRING"] = password
    with announced() as announce, ExitStack() as stack:
        try:
            server = Service("server", ["server", "start", "--host", host, "--port", str(port)], environment)
            stack.callback(server.stop)
            wait_until_healthy(url, server.process)
            create_pool(environment)
            recover = [sys.executable, "-m", "ops.recover"]
            subprocess.run(recover, env=environment, check=True)
            words = ["worker", "start", "--pool", POOL, "--type", "process", "--with-healthcheck"]
            worker = Service("worker", words, environment)
            stack.callback(worker.stop)
            stack.callback(end_runs, url)
            announce(url)
            print(
                f"\nServer and worker are up: http://{HOST}:{port}\n"
                f"In another terminal:  export PREFECT_API_URL={url}\n"
                "                      make deploy\n"
                "                      .venv/bin/prefect deployment run 'retrain/smoke' --watch\n"
                "Ctrl-C stops both.\n",
                flush=True,
            )
            while True:
                time.sleep(0.5)
                worker.revive()
                if server.revive():
                    wait_until_healthy(url, server.process)
                    subprocess.run(recover, env=environment, check=True)
        except KeyboardInterrupt:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # it is being done
            print("\nStopping: runs, worker, server.", flush=True)
        finally:
            announce("")


class Service:
    """A command of Prefect's that is to run all the time. words: e.g. server start."""

    def __init__(self, name: str, words: list[str], environment: dict[str, str]):
        self.name, self.words, self.environment = name, words, environment
        self._start()

    def revive(self) -> bool:
        """Starts it again if it has ended; whether it had. Raises SystemExit if it does not stay up."""
        if self.process.poll() is None:
            return False
        if time.monotonic() - self._since < STEADY_SECONDS:
            raise SystemExit(f"the {self.name} ended by itself, twice; the lines above say why.")
        print(
            f"The {self.name} ended by itself (exit code {self.process.returncode}); it is started again.", flush=True
        )
        self._start()
        return True

    def stop(self) -> None:
        """Ends it."""
        stop(self.process)

    def _start(self) -> None:
        self.process, self._since = start(["prefect", *self.words], self.environment), time.monotonic()


@contextmanager
def announced() -> Iterator[Callable[[str], object]]:
    """Gives the function that tells this user's runs where the server is. Refuses a second server.

    The file is locked while the server runs. A lock ends with its process, so a killed server's address is not used.
    """
    file = announcement()
    file.touch(mode=0o600)  # the address is nobody else's business; a password is never in it
    file.chmod(0o600)
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


def require_password(host: str) -> None:
    """Exits with a sentence if other machines could reach a server that lets everyone in."""
    with suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return
    if not os.environ.get(PASSWORD):
        raise SystemExit(
            f"A server that other machines can reach must ask for a password. Received: --host {host} without "
            f"{PASSWORD}. Set that to user:password, and PREFECT_API_AUTH_STRING to the same wherever it is used."
        )


def require_free(host: str, port: int) -> None:
    """Exits with a sentence if something listens on the port, before anything is started."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise SystemExit(
                f"The server's port must be free. Received: port {port} on {host} ({error}). "
                f'Stop what uses it, or choose another: make up ARGS="--port {port + 1}".'
            ) from None


def create_pool(environment: dict[str, str]) -> None:
    """The work pool, unless it is there. A pool that someone changed stays as it is."""
    prefect = [sys.executable, "-m", "prefect", "work-pool"]
    quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if subprocess.run([*prefect, "inspect", POOL], **quiet).returncode != 0:  # type: ignore[call-overload]
        subprocess.run([*prefect, "create", POOL, "--type", "process"], env=environment, check=True)
        subprocess.run([*prefect, "set-concurrency-limit", POOL, str(POOL_LIMIT)], env=environment, check=True)


def end_runs(url: str) -> None:
    """Ends the runs of this machine while worker and server can still say so: each saves a checkpoint and is *Crashed*.

    Also those whose worker is gone. What does not end in time is killed, and goes on from an older checkpoint.
    """
    deadline = time.monotonic() + RUNS_SECONDS
    told: set[psutil.Process] = set()
    while (runs := set(runs_of(url))) and time.monotonic() < deadline:
        for run in runs - told:
            run.terminate()
        told |= runs
        time.sleep(0.1)
    for run in runs:
        run.kill()


def runs_of(url: str) -> Iterator[psutil.Process]:
    """The processes of runs that a worker of this server has started on this machine."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            environment = process.environ()
            if environment.get("PREFECT__FLOW_RUN_ID") and environment.get("PREFECT_API_URL") == url:
                yield process


if __name__ == "__main__":
    main()
