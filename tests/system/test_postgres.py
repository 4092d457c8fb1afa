"""PostgreSQL instead of SQLite by one setting: what `make up` starts keeps everything there, and nothing in a file."""

import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prefect.client.schemas.filters import FlowRunFilter

from bench.postgres import postgres, programs
from tests.system import tiny
from tests.system.conftest import ROOT, start, user

pytestmark = pytest.mark.system


@pytest.mark.slow
def test_a_server_on_postgresql_runs_a_flow_and_has_no_file_of_sqlites(tmp_path: Path) -> None:
    if programs() is None:
        pytest.skip("no PostgreSQL on this machine (Debian: apt-get install postgresql)")
    tiny.prepare(tmp_path)
    with postgres() as url:
        installation = start(tmp_path, PREFECT_SERVER_DATABASE_CONNECTION_URL=url, TFDS_DATA_DIR=str(tmp_path / "data"))
        try:
            for words in (
                ("prefect", "--no-prompt", "deploy", "--all"),
                ("ops.automations",),
                ("prefect", "deployment", "run", "retrain/smoke", "--params", tiny.PARAMETERS, "--watch"),
            ):
                done = installation.run("-m", *words, cwd=ROOT)
                assert done.returncode == 0, done.stdout + done.stderr
            with installation.client() as client:
                ended = FlowRunFilter.model_validate({"state": {"type": {"any_": ["COMPLETED"]}}})
                (run,) = client.read_flow_runs(flow_run_filter=ended)
            parts = urlsplit(url)
            rows = count_runs(parts.port or 0, parts.password or "", tmp_path)
            assert rows[str(run.id)] == "COMPLETED"
        finally:
            assert installation.stop() == 0
    assert not list((tmp_path / "prefect").glob("*.db"))
    assert (tmp_path / "artifacts" / "models" / "mnist" / "1" / "manifest.json").exists()
    assert "database is locked" not in installation.log.read_text()
    # Its password is in the address.
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if (parts.password or "").encode() in path.read_bytes()] == []


def count_runs(port: int, password: str, root: Path) -> dict[str, str]:
    """The state of every flow run, asked of the database itself."""
    where = programs()
    assert where
    query = "SELECT id || ' ' || state_type FROM flow_run"
    words = [str(where / "psql"), "-h", "127.0.0.1", "-p", str(port), "-U", "hemline", "-d", "postgres", "-Atc", query]
    done = subprocess.run(words, env=user(root) | {"PGPASSWORD": password}, capture_output=True, text=True, check=True)
    return dict(line.split(" ") for line in done.stdout.splitlines())
