"""A server that asks for a password: who knows it works with it, who does not is refused, and nothing writes it down.

Nor any other secret of the environment: a whole run is made with some planted, and every file is searched for them.
"""

import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from prefect.client.orchestration import SyncPrefectClient

from tests.system import tiny
from tests.system.conftest import ROOT, Installation, at_a_terminal, start, user, wait_until

pytestmark = pytest.mark.system

SECRET = "Hunter2-of-the-tests"
PASSWORD = f"ada:{SECRET}"
PLANTED = {
    "PREFECT_SERVER_API_AUTH_STRING": PASSWORD,
    "HTTP_PROXY": f"http://ada:{SECRET}-proxy@127.0.0.1:9",
    "HTTPS_PROXY": f"http://ada:{SECRET}-proxy@127.0.0.1:9",
    "NO_PROXY": "127.0.0.1",
    "AWS_ACCESS_KEY_ID": f"{SECRET}-aws",
    "AWS_SECRET_ACCESS_KEY": f"{SECRET}-aws",
    "MLFLOW_TRACKING_URI": f"http://ada:{SECRET}-mlflow@mlflow.invalid:5000",  # cannot be reached, which is logged
    "MLFLOW_TRACKING_PASSWORD": f"{SECRET}-mlflow",
    "HEMLINE_WEBHOOK": f"https://hooks.invalid/{SECRET}-hook",
}
KNOWS = {"PREFECT_API_AUTH_STRING": PASSWORD}
CONNECT = "from flows.server import connect; connect()"  # what `make deploy` and `make worker` begin with


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    root = tmp_path_factory.mktemp("guarded")
    tiny.prepare(root)
    installation = start(root, at_a_terminal, **PLANTED, TFDS_DATA_DIR=str(root / "data"))
    try:
        yield installation
    finally:
        assert installation.stop() == 0


def status(address: str, password: str | None = None) -> int:
    headers = {"Authorization": f"Basic {b64encode(password.encode()).decode()}"} if password else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def command(
    installation: Installation, *words: str, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return installation.run(*words, cwd=ROOT, environment={**installation.environment, **environment})


def test_without_the_password_there_are_only_health_and_a_page_that_asks_for_it(guarded: Installation) -> None:
    api = f"{guarded.address}/api"
    assert [status(f"{api}/{path}") for path in ("health", "ready")] == [200, 200]
    paths = ("hello", "metrics", "admin/version", "admin/settings", "flows/count", "docs", "openapi.json")
    assert {path: status(f"{api}/{path}") for path in paths} == dict.fromkeys(paths, 401)
    assert status(f"{api}/hello", "ada:wrong") == 401
    assert [status(f"{api}/{path}", PASSWORD) for path in ("hello", "metrics", "admin/version")] == [200, 200, 200]


def test_the_worker_says_that_it_is_well(guarded: Installation) -> None:
    wait_until(lambda: is_open(guarded.port + 1), "the worker's health")
    assert status(f"http://127.0.0.1:{guarded.port + 1}/health") == 200


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_all_listen_on_loopback_alone(guarded: Installation) -> None:
    """Prefect's own default for a worker's health is every address."""
    processes = psutil.Process(guarded.up.pid).children(recursive=True)
    listening = {c.laddr.ip for each in processes for c in each.net_connections("tcp") if c.status == "LISTEN"}
    assert listening == {"127.0.0.1"}


def test_the_file_that_says_where_the_server_is_has_no_password_and_is_its_users_alone(guarded: Installation) -> None:
    file = guarded.root / "prefect" / "hemline-server"
    assert file.read_text() == f"{guarded.address}/api"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "words",
    [("-c", CONNECT), ("-m", "flows.command", "retrain", "--epochs", "1")],
    ids=["deploy and worker", "retrain"],
)
@pytest.mark.parametrize("wrong", [{}, {"PREFECT_API_AUTH_STRING": "ada:wrong"}], ids=["none", "wrong"])
def test_who_does_not_know_it_is_told_what_to_set(
    guarded: Installation, words: tuple[str, ...], wrong: dict[str, str]
) -> None:
    done = command(guarded, *words, environment=wrong)
    assert done.returncode == 1
    assert "401 Unauthorized" in done.stderr
    assert "set PREFECT_API_AUTH_STRING if it asks for a password" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_that_does_not_know_it_ends(guarded: Installation) -> None:
    done = command(guarded, "-m", "prefect", "worker", "start", "--pool", "gpu", "--type", "process", environment={})
    assert done.returncode == 1
    assert "401 Unauthorized" in done.stdout + done.stderr


@pytest.mark.slow
def test_who_knows_it_deploys_and_runs_and_no_file_has_a_secret_in_it(guarded: Installation) -> None:
    said = ""
    # Regression: a webhook's address, a secret, was plain in the database, and in the server's log when it had refused
    # a message for good.
    for words in (
        ("-c", CONNECT),
        ("-m", "prefect", "--no-prompt", "deploy", "--all"),
        ("-m", "ops.automations", "--url", f"{guarded.address}/{SECRET}-hook"),  # which answers 404
        ("-m", "prefect", "deployment", "run", "retrain/smoke", "--params", tiny.PARAMETERS, "--watch"),
        (
            "-m",
            "flows.command",
            "retrain",
            "--dataset",
            "mnist",
            "--epochs",
            "3",
            "--batch-size",
            "32",
            "--validation",
            "60",
        ),
    ):
        environment = dict(KNOWS)
        if "flows.command" in words:  # it finds the server by itself
            environment["PREFECT_API_URL"] = ""
        done = command(guarded, *words, environment=environment)
        said += done.stdout + done.stderr
        assert done.returncode == 0, done.stdout + done.stderr
    with SyncPrefectClient(f"{guarded.address}/api", auth_string=PASSWORD) as client:
        runs = client.read_flow_runs()
    assert sorted(run.state.type.value for run in runs if run.state and run.deployment_id is None) == ["COMPLETED"]
    assert "is not, or not all, in MLflow" in "".join(
        log.read_text() for log in guarded.root.glob("artifacts/runs/*/run.log")
    )

    wait_until(lambda: "a message did not arrive: HTTPStatusError" in guarded.log.read_text(), "giving up")

    assert SECRET not in said
    files = [path for path in guarded.root.rglob("*") if path.is_file()]
    assert guarded.log in files
    assert guarded.root / "prefect" / "prefect.db" in files
    assert guarded.root / "artifacts" / "models" / "mnist" / "2" / "manifest.json" in files
    for secret in (SECRET.encode(), b64encode(PASSWORD.encode())[:-4]):
        assert [str(path) for path in files if secret in path.read_bytes()] == []
    # The search finds what it looks for.
    (guarded.root / "planted").write_bytes(b"\0" + SECRET.encode())
    assert SECRET.encode() in (guarded.root / "planted").read_bytes()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org"])
def test_a_server_for_other_machines_without_a_password_is_refused(host: str, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "ops.up", "--host", host]
    done = subprocess.run(words, cwd=ROOT, env=user(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"Received: --host {host} without PREFECT_SERVER_API_AUTH_STRING." in done.stderr
    assert done.stdout == ""
