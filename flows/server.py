"""How a run from a terminal finds its Prefect server, and how both end.

    end_on_signals()                                    # first: Ctrl-C and kill work, however this was started
    connect()                                           # a run: joins that server, or starts a temporary one

Two servers on one SQLite file lock each other out, and the run on the wrong one loses its tasks. So a run joins the
server of this user's `make up`; if there is none, its temporary server has a database file of its own.
"""

import os
import signal
from pathlib import Path

from hemline.storage.locks import is_locked


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


def connect() -> None:
    """Reaches the Prefect server, or starts a temporary one, so that it outlives a Ctrl-C.

    A terminal sends its signals to the temporary server too. If that ended first, the flow would try for minutes to
    report to it; so it starts with them blocked, which a process inherits, and is ended by SIGTERM at exit.
    """
    from prefect.client.orchestration import get_client
    from prefect.context import refresh_global_settings_context
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    if settings.api.url is None:
        if address := announcement().read_text() if is_locked(announcement()) else "":
            os.environ["PREFECT_API_URL"] = address
        elif "connection_url" not in settings.server.database.model_fields_set:
            os.environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = f"sqlite+aiosqlite:///{settings.home}/terminal.db"
        refresh_global_settings_context()
    from_terminal = {signal.SIGINT, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, from_terminal)
    try:
        with get_client(sync_client=True) as client:
            problem = client.api_healthcheck()
    except RuntimeError as error:
        problem = error
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, from_terminal)
    if problem is not None:
        raise SystemExit(
            f"Prefect's API must answer. Received: PREFECT_API_URL={get_current_settings().api.url} ({problem}). "
            "Start its server (make up), or unset PREFECT_API_URL to run with a temporary one."
        )


def announcement() -> Path:
    """Where `make up` writes its server's address: locked while the server runs, so a killed one's is not used."""
    from prefect.settings import get_current_settings

    return get_current_settings().home / "hemline-server"  # importing Prefect has made its home
