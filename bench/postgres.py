"""A PostgreSQL of one's own, for a measurement or a test: with postgres() as url: ...

From the distribution's package (Debian: apt-get install postgresql), in a temporary directory, on loopback, as the user
`postgres` or `nobody` where this is root: PostgreSQL refuses to be. Nothing of it is left.
"""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

START_SECONDS = "120"


def programs() -> Path | None:
    """The directory of initdb and pg_ctl, of the newest version there is; they are not on the PATH of Debian."""
    found = [Path(name).parent for name in [shutil.which("initdb")] if name]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    return found[-1] if found else None


@contextmanager
def postgres() -> Iterator[str]:
    """Starts one, and gives what PREFECT_SERVER_DATABASE_CONNECTION_URL is to be."""
    where = programs()
    if where is None:
        raise SystemExit("PostgreSQL must be on this machine. Received: none. Install it: apt-get install postgresql.")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    password, user = secrets.token_hex(16), _user()
    directory = Path(tempfile.mkdtemp(prefix="hemline-postgres-"))

    def run(program: str, *words: str) -> None:
        command = [str(where / program), *words]
        subprocess.run(command, user=user, check=True, cwd=directory, stdout=subprocess.DEVNULL)

    try:
        (directory / "password").write_text(password)
        if user:
            for path in (directory, directory / "password"):
                shutil.chown(path, user)
        data, secret = directory / "data", directory / "password"
        run(
            "initdb",
            f"--pgdata={data}",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--username=hemline",
            "--no-sync",
        )
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories="
        run(
            "pg_ctl",
            "start",
            "--wait",
            "-t",
            START_SECONDS,
            f"--pgdata={data}",
            f"--log={directory}/log",
            "-o",
            options,
        )
        try:
            yield f"postgresql+asyncpg://hemline:{password}@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "stop", "--wait", "--mode=fast", f"--pgdata={data}")
    finally:
        shutil.rmtree(directory)


def _user() -> str | None:
    """Who it runs as, if this is root."""
    if os.getuid():
        return None
    with suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return "nobody"
