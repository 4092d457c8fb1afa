"""A real server and worker, started and stopped as `make up` does, with all deployments on it."""

import io
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from prefect.client.orchestration import SyncPrefectClient

from hemline.data.dataset import DatasetRef
from tests.conftest import DATA

ROOT = Path(__file__).parents[2]
PATIENCE = 240.0  # for what takes seconds on an idle machine; a test fails by what happens, not by how fast


@dataclass
class Installation:
    """One machine with Hemline up on it."""

    port: int
    root: Path  # HEMLINE_ROOT
    environment: dict[str, str]
    up: subprocess.Popen[bytes]
    log: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> SyncPrefectClient:
        return SyncPrefectClient(f"{self.address}/api")

    def run(
        self, *words: str, cwd: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A command of this machine's user, e.g. `-m prefect ...`, by default from somewhere unrelated."""
        return subprocess.run(
            [sys.executable, *words],
            env=environment or self.environment,
            cwd=cwd or self.root,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
            check=False,
        )

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ctrl-C, and the exit code it leads to; no process is left."""
        started = psutil.Process(self.up.pid).children(recursive=True)
        assert len(started) >= 2  # server and worker
        self.up.send_signal(number)
        code = self.up.wait(PATIENCE)
        assert psutil.wait_procs(started, PATIENCE)[1] == []
        return code


def wait_until(done: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not done():
        assert time.monotonic() < deadline, f"{what} did not happen within {patience:.0f} s"
        time.sleep(0.5)


def free_port() -> int:
    """One that is free, as is the next one; not of those that connections to elsewhere have at their near end."""
    while True:
        port = random.randrange(20_000, 32_000, 2)
        with socket.socket() as probe, socket.socket() as of_worker, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            of_worker.bind(("127.0.0.1", port + 1))
            return port


def user(root: Path) -> dict[str, str]:
    """The environment of a person whose files are all under the root, and who has not set PREFECT_API_URL."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TF_"))} | {
        "HEMLINE_ROOT": str(root),
        "TFDS_DATA_DIR": str(DATA),
        "PREFECT_HOME": str(root / "prefect"),
        "PREFECT_CLI_PROMPT": "false",
        "DO_NOT_TRACK": "1",
    }


def ignore_ctrl_c() -> None:
    """As a shell that is no terminal's starts `command &`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def at_a_terminal() -> None:
    """Whatever started the tests: under nohup a closed terminal would end nothing."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def start(root: Path, preexec_fn: Callable[[], None] = at_a_terminal, **settings: str) -> Installation:
    """settings: of its environment."""
    port = free_port()
    environment = user(root) | {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"} | settings
    log = root / "up.log"
    with log.open("wb") as output:
        up = subprocess.Popen(
            [sys.executable, "-m", "ops.up", "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=preexec_fn,
        )
    installation = Installation(port=port, root=root, environment=environment, up=up, log=log)
    wait_until(lambda: up.poll() is not None or "worker are up" in log.read_text(), "starting")
    assert up.poll() is None, log.read_text()
    return installation


@pytest.fixture(scope="session")
def programs() -> Path:
    """Where the programs of .venv-pools are. Skips where no package registry answers."""
    here = os.path.relpath(Path(sys.executable).parent, ROOT)
    words = ["make", "-s", "-o", "setup", ".venv-pools/installed", f"BIN={here}", f"PYTHON={here}/python"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if "No solution found" in done.stderr or "error sending request" in done.stderr:
        pytest.skip("prefect-docker and prefect-kubernetes are not to be had here")
    assert done.returncode == 0, done.stderr
    return ROOT / ".venv-pools" / "bin"


@pytest.fixture(scope="session")
def context(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `docker build` sends to the engine, unpacked: by the code of docker-py, which reads .dockerignore."""
    code = (
        "import sys; from docker.utils.build import tar; rules = open('.dockerignore').read().splitlines();"
        "sys.stdout.buffer.write(tar('.', exclude=rules, dockerfile=('ops/container/Dockerfile', None)).read())"
    )
    done = subprocess.run([programs / "python", "-c", code], cwd=ROOT, capture_output=True, check=True)
    directory = tmp_path_factory.mktemp("context")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as sent:
        sent.extractall(directory, filter="data")
    return directory


@pytest.fixture(scope="session")
def installation(
    fashion_mnist: DatasetRef, proofs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Up and deployed; real data. What `retrain` relies on was proved earlier."""
    root = tmp_path_factory.mktemp("installation")
    shutil.copytree(proofs, root / "artifacts" / "proofs")
    installation = start(root)
    try:
        deployed = installation.run("-m", "prefect", "--no-prompt", "deploy", "--all", cwd=ROOT)
        assert deployed.returncode == 0, deployed.stdout + deployed.stderr
        yield installation
    finally:
        assert installation.stop() == 0
