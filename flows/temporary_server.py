"""Prefect's API without its UI, for one run: python -m flows.temporary_server 3

3 is the descriptor of a socket that listens already: what is asked meanwhile is answered later. It starts a sixth
faster than `prefect server start`: Python searches for no garbage while it imports.
"""

import os
import socket
import sys
from contextlib import ExitStack
from itertools import count

from flows.server import home
from hemline.runtime.quick_import import without_searching
from hemline.storage.locks import locked


def main() -> None:
    """Serves until it is ended."""
    with without_searching(), ExitStack() as held:
        import uvicorn
        from prefect.context import refresh_global_settings_context
        from prefect.settings import get_current_settings

        if "connection_url" not in get_current_settings().server.database.model_fields_set:
            os.environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = f"sqlite+aiosqlite:///{_free_database(held)}"
            refresh_global_settings_context()
        from prefect.server.api.server import create_app

        app = create_app()
        until_the_end = held.pop_all()
    with until_the_end, socket.socket(fileno=int(sys.argv[1])) as listener:
        # The first request makes FastAPI's routes, for 0.3 s, in which the run still imports what it needs.
        socket.create_connection(listener.getsockname()).sendall(b"GET /api/hello HTTP/1.0\r\n\r\n")
        uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listener])


def _free_database(held: ExitStack) -> str:
    """Path of one that no other run has at the moment. held: holds it."""
    for number in count(1):
        try:
            held.enter_context(locked(home() / f"terminal-{number}.lock", wait=0))
        except BlockingIOError:
            continue
        return f"{home()}/terminal-{number}.db"
    raise AssertionError("there is always another number")


if __name__ == "__main__":
    main()
