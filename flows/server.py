"""How a run from a terminal finds its Prefect server, and how both end.

    end_on_signals()                                    # first: Ctrl-C and kill work, however this was started
    require_home()                                      # before Prefect is imported, which takes half a second
    connect(meanwhile=import_tensorflow)                # a run: joins that server, or starts a temporary one
    start(["prefect", "server", "start"], environment)  # ops.up: a process that ends with this one

Two servers on one SQLite file lock each other out, and the run on the wrong one loses its tasks. So a run joins the
server of this user's `make up`; if there is none, its temporary server has a database file of its own. That one takes
2.5 s, so it starts before anything else.
"""

import atexit
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NamedTuple

from hemline.runtime.quick_import import without_searching
from hemline.storage.files import require_writable
from hemline.storage.locks import is_locked

HOST = "127.0.0.1"
SERVER = {  # its environment
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_MESSAGING_BROKER": "flows.broker",
    "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "flows.broker",
    # Prefect removes its records of runs, logs and artifacts as early as `prune` removes files: 30 days, in seconds.
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(30 * 24 * 3600),
}
WORKER = {"PREFECT_WORKER_QUERY_SECONDS": "2"}  # between two looks for work; Prefect's default is 10
START_SECONDS = 120.0
STOP_SECONDS = 5.0
PR_SET_PDEATHSIG = 1  # of Linux's prctl


def end_on_signals() -> None:
    """Ctrl-C, SIGTERM and a closed terminal raise KeyboardInterrupt, and have their default in processes started later.

    Said explicitly: a shell starts `command &` with SIGINT ignored, and then Python has no handler. Where SIGHUP is
    ignored it stays so, which is what nohup is for.
    """
    ending = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        ending.remove(signal.SIGHUP)
    for number in ending:
        signal.signal(number, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ending)


def require_home() -> None:
    """Raises StorageError unless Prefect can write its home, without which a run takes minutes to fail."""
    require_writable(home(), "PREFECT_HOME")


def home() -> Path:
    """Prefect's own directory, known without importing it."""
    return Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()


def connect(meanwhile: Callable[[], None] = lambda: None) -> None:
    """Reaches the Prefect server that is set, else that of this user's `make up`, else starts a temporary one.

    meanwhile: called while that one starts.
    """
    address = announcement().read_text() if is_locked(announcement()) else ""
    own = None if address or os.environ.get("PREFECT_API_URL") else _temporary_server()
    with without_searching():
        from httpx import HTTPError
        from prefect.client.orchestration import get_client
        from prefect.context import refresh_global_settings_context
        from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, get_current_settings, temporary_settings

    if get_current_settings().api.url is None:
        os.environ["PREFECT_API_URL"] = own.url if own else address
        refresh_global_settings_context()
        if own:  # nobody there listens for heartbeats, and a run waits up to a second for what sends them
            until_the_end = ExitStack()
            until_the_end.enter_context(temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}))
            atexit.register(until_the_end.close)
            meanwhile()
            wait_until_healthy(own.url, own.process)
    elif own:  # one of Prefect's profiles names another
        stop(own.process, seconds=0)
    try:
        with get_client(sync_client=True) as client:
            client.hello()  # which asks for the password, as its health does not
    except (HTTPError, RuntimeError) as error:
        problem = str(error).partition("\n")[0]
        raise SystemExit(
            f"Prefect's API must answer. Received: PREFECT_API_URL={get_current_settings().api.url} ({problem}). "
            "Start its server (make up), set PREFECT_API_AUTH_STRING if it asks for a password, or unset "
            "PREFECT_API_URL to run with a temporary one."
        ) from None


def announcement() -> Path:
    """Where `make up` writes its server's address: locked while the server runs, so a killed one's is not used."""
    return home() / "hemline-server"


def start(
    words: list[str], environment: Mapping[str, str], log: IO[bytes] | None = None, files: Collection[int] = ()
) -> subprocess.Popen[bytes]:
    """`python -m` these words, in a session of its own: a signal to this process's group does not reach it.

    Linux ends it should this process be killed: nobody else would. log: instead of this process's output. files: by
    their descriptors, which it has too.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        env=environment,
        stdout=log,
        stderr=log,
        start_new_session=True,
        pass_fds=files,
        preexec_fn=(lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)) if libc else None,
    )


def stop(process: subprocess.Popen[bytes], seconds: float = STOP_SECONDS) -> None:
    """SIGTERM, and after some seconds SIGKILL to it and its whole group."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_healthy(url: str, server: subprocess.Popen[bytes]) -> None:
    """Returns once the server answers. Raises SystemExit if it ends, or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit("the server ended while it was starting; the lines above say why.")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"the server did not answer at {url} within {START_SECONDS:.0f} s.")


class _Own(NamedTuple):
    """A temporary server, and where it will answer."""

    process: subprocess.Popen[bytes]
    url: str


def _temporary_server() -> _Own:
    """Starts a server without a UI that ends with this process."""
    with socket.create_server((HOST, 0)) as listener:  # it has it too: whoever asks early is answered late
        number = listener.fileno()
        server = start(
            ["flows.temporary_server", str(number)], os.environ | {"PREFECT_UI_ENABLED": "false"}, None, {number}
        )
        atexit.register(
            stop, server, seconds=0
        )  # it would wait for this process's connections; its file bears a SIGKILL
        return _Own(server, f"http://{HOST}:{listener.getsockname()[1]}/api")
