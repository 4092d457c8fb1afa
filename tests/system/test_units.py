"""The systemd units: systemd accepts them, and what they start, stopped as systemd stops it, is resumed."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
from prefect.client.orchestration import SyncPrefectClient

from tests.system import tiny
from tests.system.conftest import PATIENCE, ROOT, free_port, user, wait_until

pytestmark = pytest.mark.system
UNITS = ROOT / "ops" / "systemd"
PYTHON = "/opt/hemline/.venv/bin/python"


def values(name: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", (UNITS / name).read_text(), re.MULTILINE)


def command(name: str, key: str = "ExecStart") -> list[str]:
    """What a unit starts, with this Python in the place of the installed one."""
    (line,) = values(name, key)
    return [sys.executable if word == PYTHON else word for word in shlex.split(line)]


def settings() -> dict[str, str]:
    """Of hemline.env."""
    lines = (UNITS / "hemline.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd on this machine (Debian: apt-get install systemd)")
    for unit in UNITS.glob("*.service"):  # where it is not installed there are neither its programs nor its user
        (tmp_path / unit.name).write_text(unit.read_text().replace(PYTHON, "/bin/true"))
    paths = [str(path) for path in sorted(tmp_path.iterdir())]
    assert len(paths) == 2
    done = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    broken = tmp_path / "hemline-worker.service"
    broken.write_text(broken.read_text().replace("KillMode=control-group", "KillMode=everyone"))
    assert "everyone" in subprocess.run(["systemd-analyze", "verify", broken], capture_output=True, text=True).stderr


def test_the_server_is_on_loopback_unless_the_person_who_installs_it_says_otherwise() -> None:
    assert settings()["PREFECT_SERVER_API_HOST"] == settings()["PREFECT_WORKER_WEBSERVER_HOST"] == "127.0.0.1"
    refuse = command("hemline-server.service", "ExecStartPre")
    for host, code in (("127.0.0.1", 0), ("0.0.0.0", 1)):
        environment = os.environ | {"PREFECT_SERVER_API_HOST": host}
        environment.pop("PREFECT_SERVER_API_AUTH_STRING", None)
        done = subprocess.run(refuse, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert ("must ask for a password" in done.stderr) == bool(code)


def test_stopping_a_worker_reaches_its_runs_and_leaves_them_time() -> None:
    assert values("hemline-worker.service", "KillMode") == ["control-group"]
    assert values("hemline-worker.service", "KillSignal") == ["SIGTERM"]
    assert values("hemline-worker.service", "TimeoutStopSec") == ["60"]
    assert values("hemline-worker.service", "Restart") == values("hemline-server.service", "Restart") == ["always"]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A server as its unit starts it, with everything deployed; and the environment of its machine."""
    root, port = tmp_path_factory.mktemp("machine"), free_port()
    tiny.prepare(root)
    environment = user(root) | settings()
    environment |= {
        "HEMLINE_ROOT": str(root),
        "PREFECT_HOME": str(root / "prefect"),
        "TFDS_DATA_DIR": str(root / "data"),
    }
    environment |= {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api", "PREFECT_SERVER_API_PORT": str(port)}
    environment |= {"PREFECT_WORKER_WEBSERVER_PORT": str(free_port())}
    with (root / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command("hemline-server.service"), cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        after = command("hemline-server.service", "ExecStartPost")
        after = ["/usr/bin/timeout", *[word.replace(PYTHON, shlex.quote(sys.executable)) for word in after[1:]]]
        assert subprocess.run(after, cwd=ROOT, env=environment, check=False).returncode == 0
        for words in (
            ("prefect", "work-pool", "create", "gpu", "--type", "process"),
            ("prefect", "--no-prompt", "deploy", "--all"),
            ("ops.automations",),
        ):
            done = subprocess.run(
                [sys.executable, "-m", *words], cwd=ROOT, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout + done.stderr
        yield root, environment
    finally:
        server.terminate()
        server.wait(PATIENCE)


@pytest.mark.slow
def test_a_run_whose_worker_is_stopped_is_resumed_by_the_next_one(machine: tuple[Path, dict[str, str]]) -> None:
    root, environment = machine
    client = SyncPrefectClient(environment["PREFECT_API_URL"]).__enter__()
    config = tiny.CONFIG | {"epochs": 400}
    run = client.create_flow_run_from_deployment(
        client.read_deployment_by_name("retrain/smoke").id, parameters={"config": config}
    )

    def state() -> str:
        found = client.read_flow_run(run.id).state
        return found.type.value if found else ""

    def start() -> psutil.Process:
        with (root / "worker.log").open("ab") as log:
            words = command("hemline-worker.service")
            started = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
        return psutil.Process(started.pid)

    def stop(worker: psutil.Process) -> None:
        """ExecStop, then as KillMode=control-group does: SIGTERM to all that is left, and SIGKILL after a while."""
        if not worker.is_running():
            return
        end = command("hemline-worker.service", "ExecStop")
        subprocess.run(end, cwd=ROOT, env=environment, check=True)
        group = [worker, *worker.children(recursive=True)]
        for process in group:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGTERM)
        _, left = psutil.wait_procs(group, float(values("hemline-worker.service", "TimeoutStopSec")[0]))
        for process in left:
            process.kill()
        psutil.wait_procs(left, PATIENCE)

    with ExitStack() as stack:
        stack.push(client)
        first = start()
        stack.callback(stop, first)
        epochs = f"artifacts/runs/*-{run.id.hex[:8]}/epochs.csv"
        wait_until(lambda: any(len(path.read_text().splitlines()) > 2 for path in root.glob(epochs)), "two epochs")
        stop(first)
        assert state() != "COMPLETED"
        second = start()
        stack.callback(stop, second)
        wait_until(lambda: state() == "COMPLETED", "the end of the resumed run")
        assert client.read_flow_run(run.id).run_count == 2
    (table,) = root.glob(epochs)
    assert [line.partition(",")[0] for line in table.read_text().splitlines()[1:]] == [str(n) for n in range(1, 401)]
    assert [path.name for path in (root / "artifacts" / "models" / "mnist").iterdir()] == ["1"]
