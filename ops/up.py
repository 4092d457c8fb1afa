"""A Prefect server and a worker on this machine, until Ctrl-C.

    make up                             # http://127.0.0.1:4200
    make up ARGS="--port 4300"

Creates the work pool `gpu` if it is not there. The server listens on loopback only; while it runs, `hemline retrain`
without PREFECT_API_URL reports to it. Ctrl-C, SIGTERM and a closed terminal stop the worker, then the server. A run
that is still going ends with the worker, as Prefect has it, and is not cancelled.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from flows.server import announcement, end_on_signals
from hemline.storage.locks import locked

HOST = "127.0.0.1"
POOL = "gpu"
START_SECONDS = 120.0
STOP_SECONDS = 40.0  # a worker gives its runs 30 s


def main() -> None:
    """Starts both, waits for either to end or for a signal, and stops both."""
    end_on_signals()
    parser = argparse.ArgumentParser(prog="python -m ops.up", description="Start a Prefect server and a worker.")
    parser.add_argument("--port", type=int, default=4200, help="port of the server on loopback (default: 4200)")
    port = parser.parse_args().port
    require_free(port)

    url = f"http://{HOST}:{port}/api"
    environment = os.environ | {"PREFECT_API_URL": url, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    with announced() as announce, ExitStack() as stack:
        try:
            server = _start(stack, environment, "server", "start", "--host", HOST, "--port", str(port))
            _wait_until_healthy(url, server)
            create_pool(environment)
            worker = _start(stack, environment, "worker", "start", "--pool", POOL, "--type", "process")
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
            print("\nStopping worker and server.", flush=True)
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
    quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if subprocess.run(_prefect("work-pool", "inspect", POOL), **quiet).returncode != 0:  # type: ignore[call-overload]
        subprocess.run(_prefect("work-pool", "create", POOL, "--type", "process"), env=environment, check=True)


def _prefect(*words: str) -> list[str]:
    return [sys.executable, "-m", "prefect", *words]


def _start(stack: ExitStack, environment: dict[str, str], *words: str) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C reaches this process alone, which stops the worker before the server.
    process = subprocess.Popen(_prefect(*words), env=environment, start_new_session=True)
    stack.callback(_stop, process)
    return process


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_healthy(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit("the server ended while it was starting; the lines above say why.")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise SystemExit(f"the server did not answer at {url} within {START_SECONDS:.0f} s.")


if __name__ == "__main__":
    main()
