"""What is interrupted ends and leaves whole files and no process; a run and a server beside it are apart."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pytest

from hemline.data.dataset import DatasetRef
from tests.system.conftest import PATIENCE, ROOT, ignore_ctrl_c, start, user, wait_until

pytestmark = pytest.mark.system


def group(leader: int) -> list[str]:
    """Processes of the group that are still there."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[2]) == leader and fields[0] != "Z":
            found.append(stat.parent.name)
    return found


def kill(leader: int) -> None:
    if group(leader):
        os.killpg(leader, signal.SIGKILL)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of both tests: the second takes the first one's proofs and finds its databases and its work pool."""
    return tmp_path_factory.mktemp("root")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_and_so_do_its_temporary_server_and_the_server_that_was_started_beside_it(
    number: signal.Signals, fashion_mnist: DatasetRef, root: Path
) -> None:
    """Both were started with SIGINT ignored, as `command &` in a script does, and ended for no signal.

    A terminal sends Ctrl-C to Prefect's temporary server too; when that ended first, the flow hung for minutes. And
    both servers wrote to one SQLite file, locked each other out, and each showed the other's runs.
    """
    log, runs = root / f"{number.name}.log", root / "artifacts" / "runs"
    earlier = set(runs.glob("*"))
    with log.open("wb") as output:
        run = subprocess.Popen(
            [sys.executable, "-m", "flows.command", "retrain", "--epochs", "10000"],
            cwd=ROOT,
            env=user(root),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=ignore_ctrl_c,
        )
    with ExitStack() as stack:
        stack.callback(kill, run.pid)
        wait_until(lambda: run.poll() is not None or "epoch 2/10000  train_loss" in log.read_text(), "two epochs")
        beside = start(root, preexec_fn=ignore_ctrl_c)
        stack.callback(beside.up.terminate)
        with beside.client() as client:
            assert client.read_flow_runs() == []
        assert beside.stop(number) == 0
        assert run.poll() is None
        if number == signal.SIGINT:
            os.killpg(run.pid, number)
        else:
            run.send_signal(number)
        assert run.wait(PATIENCE) == 1, log.read_text()
        wait_until(lambda: group(run.pid) == [], "ending of every process of the run")
    assert "Interrupted." in log.read_text()
    assert "database is locked" not in log.read_text() + beside.log.read_text()
    (directory,) = set(runs.iterdir()) - earlier
    assert list(pd.read_csv(directory / "epochs.csv")["epoch"])[:2] == [1, 2]
    assert [path.name for path in directory.rglob(".*")] == []
