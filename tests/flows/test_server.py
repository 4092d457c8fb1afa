"""How a terminal's processes end, and how a run finds the server of `make up`."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from prefect.settings import Settings

from flows.server import SERVER
from hemline.registry.prune import Retention
from hemline.storage.locks import is_locked
from ops.up import announced
from tests.system.conftest import ROOT, ignore_ctrl_c

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def ignore_and_block() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may themselves run under nohup
    ignore_ctrl_c()
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


def nohup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def listen(preexec_fn: Callable[[], None], *numbers: signal.Signals) -> str:
    """What a process prints that was started so and gets these signals: of itself, then of a child of its own."""
    send = "".join(f"os.kill(os.getpid(), {number.value}); " for number in numbers)
    code = (
        "import os, signal, subprocess, sys; from flows.server import end_on_signals; end_on_signals()\n"
        f"try: {send}print('on')\n"
        "except KeyboardInterrupt: print('interrupted')\n"
        f"child = [sys.executable, '-c', 'import os; {send}']\n"
        "print(-subprocess.run(child, stderr=subprocess.DEVNULL).returncode)"
    )
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=-1, text=True, preexec_fn=preexec_fn).stdout


@pytest.mark.parametrize("number", ENDING)
def test_signals_interrupt_whatever_was_inherited_and_children_have_the_default(number: signal.Signals) -> None:
    assert listen(ignore_and_block, number).split() == ["interrupted", str(number.value)]


def test_nohup_keeps_its_word() -> None:
    assert listen(nohup, signal.SIGHUP).split() == ["on", "0"]


@pytest.mark.parametrize("words", [["flows.command", "retrain"], ["flows.command", "verify"], ["ops.up"]])
def test_a_home_that_cannot_be_written_is_refused_before_prefect_is_imported(words: list[str], tmp_path: Path) -> None:
    """Regression: it took 2 minutes and 5,444 lines, the last of which gave wrong advice."""
    (tmp_path / "file").touch()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment["HOME"] = str(tmp_path / "file")
    if words == ["ops.up"]:
        words = ["ops.up", "--port", "0"]
    command = [sys.executable, "-X", "importtime", "-m", *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert said == [
        f"PREFECT_HOME must be writable. Received: PREFECT_HOME={tmp_path}/file/.prefect (Not a directory). "
        "Set PREFECT_HOME to a directory this user can write to."
    ]
    assert (done.returncode, done.stdout) == (1, "")
    assert " prefect\n" not in done.stderr


def test_one_server_at_a_time_says_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    with announced() as announce:
        announce("http://127.0.0.1:4200/api")
        with pytest.raises(SystemExit, match=r"One server at a time.*beside http://127.0.0.1:4200/api\. Use that"):
            announced().__enter__()
    with announced():  # the earlier one's address is not said any more
        (file,) = tmp_path.iterdir()
        assert file.read_text() == ""
    assert not is_locked(file)


def test_a_server_that_a_profile_of_prefects_names_is_reached_and_no_other_stays(tmp_path: Path) -> None:
    """What the profile says is known only once the temporary server has begun to start."""
    (tmp_path / "profiles.toml").write_text(
        'active = "far"\n[profiles.far]\nPREFECT_API_URL = "http://127.0.0.1:1/api"\n'
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"PREFECT_HOME": str(tmp_path), "PREFECT_CLIENT_MAX_RETRIES": "0"}
    code = (
        "import psutil; from flows.server import connect\n"
        "try: connect(meanwhile=lambda: print('started'))\n"
        "except SystemExit as end: print(end, psutil.Process().children())"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, stdout=-1, text=True
    ).stdout
    assert said.startswith("Prefect's API must answer. Received: PREFECT_API_URL=http://127.0.0.1:1/api (")
    assert said.endswith(" []\n")


def test_prefects_records_go_as_early_as_files_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVER.items():
        monkeypatch.setenv(name, value)
    vacuum = Settings().server.services.db_vacuum
    assert "flow_runs" in vacuum.enabled_vacuum_types
    assert vacuum.retention_period == timedelta(days=Retention().keep_days)


def test_units_give_a_server_the_same_settings() -> None:
    lines = (ROOT / "ops" / "systemd" / "hemline.env").read_text().splitlines()
    assert {f"{name}={value}" for name, value in SERVER.items()} <= set(lines)
