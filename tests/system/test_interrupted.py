"""What is interrupted ends and leaves whole files and no process; a run and a server beside it are apart."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import psutil
import pytest

from hemline.storage.locks import is_locked
from tests.system import tiny
from tests.system.conftest import PATIENCE, ROOT, ignore_ctrl_c, start, user, wait_until

pytestmark = pytest.mark.system
# Of tiny data, which keeps one processor busy and not all of them.
RETRAIN = ["--dataset", "mnist", "--batch-size", "32", "--validation", "60", "--epochs", "10000"]


@pytest.fixture(scope="module")
def root(proofs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of all tests: the second finds the first one's databases and its work pool."""
    root = tmp_path_factory.mktemp("root")
    shutil.copytree(proofs, root / "artifacts" / "proofs")
    tiny.prepare(root)
    return root


def begin(root: Path, log: Path) -> subprocess.Popen[bytes]:
    """`hemline retrain` for a very long time, as a script starts it in the background."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.command", "retrain", *RETRAIN],
            cwd=ROOT,
            env=user(root) | {"TFDS_DATA_DIR": str(root / "data")},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=ignore_ctrl_c,
        )


def server_of(run: psutil.Process) -> psutil.Process:
    """Its temporary server, once it is there."""
    wait_until(lambda: bool(run.children()), "starting a server")
    return run.children()[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_and_so_do_its_temporary_server_and_the_server_that_was_started_beside_it(
    number: signal.Signals, root: Path
) -> None:
    """Both were started with SIGINT ignored, as `command &` in a script does, and ended for no signal.

    A terminal, `timeout`, systemd and containers signal the whole group; when Prefect's temporary server ended first,
    the flow hung for minutes. And both servers wrote to one SQLite file, locked each other out, and each showed the
    other's runs.
    """
    log, runs = root / f"{number.name}.log", root / "artifacts" / "runs"
    earlier = set(runs.glob("*"))
    run = begin(root, log)
    with ExitStack() as stack:
        stack.callback(run.kill)
        wait_until(lambda: run.poll() is not None or "epoch 2/10000  train_loss" in log.read_text(), "two epochs")
        beside = start(root, preexec_fn=ignore_ctrl_c)
        stack.callback(beside.up.terminate)
        with beside.client() as client:
            assert client.read_flow_runs() == []
        assert beside.stop(number) == 0
        assert run.poll() is None
        children = psutil.Process(run.pid).children(recursive=True)
        assert any("flows.temporary_server" in child.cmdline() for child in children)
        os.killpg(run.pid, number)
        assert run.wait(PATIENCE) == 1, log.read_text()
        assert psutil.wait_procs(children, PATIENCE)[1] == []
    assert "Interrupted." in log.read_text()
    assert "database is locked" not in log.read_text() + beside.log.read_text()
    (directory,) = set(runs.iterdir()) - earlier
    assert list(pd.read_csv(directory / "epochs.csv")["epoch"])[:2] == [1, 2]
    assert [path.name for path in directory.rglob(".*")] == []


def test_the_temporary_server_of_a_killed_run_ends_too(root: Path) -> None:
    """It stayed for ever. And two runs at once shared its database."""
    with ExitStack() as stack:
        runs = [begin(root, root / f"{name}.log") for name in ("one", "other")]
        for run in runs:
            stack.callback(run.kill)
        servers = [server_of(psutil.Process(run.pid)) for run in runs]
        locks = [root / "prefect" / f"terminal-{number}.lock" for number in (1, 2)]
        wait_until(lambda: all(map(is_locked, locks)), "taking a database each")
        for run in runs:
            run.kill()
        assert psutil.wait_procs(servers, PATIENCE)[1] == []
        assert not any(map(is_locked, locks))
