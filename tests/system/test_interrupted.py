"""A run from a terminal that is interrupted ends in seconds, leaves whole files and no process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from hemline.config.data import DataConfig
from hemline.data.dataset import DatasetRef
from tests.system.conftest import ROOT, wait_until

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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_and_so_does_its_temporary_server(
    number: signal.Signals, fashion_mnist: DatasetRef, tmp_path: Path
) -> None:
    """A terminal sends Ctrl-C to Prefect's temporary server too; without it the flow hung for minutes."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | {
        "HEMLINE_ROOT": str(tmp_path),
        "TFDS_DATA_DIR": str(DataConfig().data_path),
        "PREFECT_HOME": str(tmp_path / "prefect"),
    }
    log = tmp_path / "terminal.log"
    with log.open("wb") as output:
        run = subprocess.Popen(
            [sys.executable, "-m", "flows.retrain", "--epochs", "10000"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(lambda: run.poll() is not None or "epoch 2/10000  train_loss" in log.read_text(), "two epochs")
        if number == signal.SIGINT:
            os.killpg(run.pid, number)
        else:
            run.send_signal(number)
        assert run.wait(60) in (1, 128 + signal.SIGTERM), log.read_text()
        wait_until(lambda: group(run.pid) == [], "ending of every process of the run")
    finally:
        if group(run.pid):
            os.killpg(run.pid, signal.SIGKILL)
    assert ("Interrupted." in log.read_text()) == (number == signal.SIGINT)
    (directory,) = (tmp_path / "artifacts" / "runs").iterdir()
    assert list(pd.read_csv(directory / "epochs.csv")["epoch"])[:2] == [1, 2]
    assert [path.name for path in directory.rglob(".*")] == []
