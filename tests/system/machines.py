"""Other machines on this one: a network namespace each, with a cable to here. For tests, not a test.

with network("10.213.7.1", "10.213.7.2") as name:   # here, and there
    subprocess.Popen(["ip", "netns", "exec", name, ...])
with address("10.213.8.9"): ...                     # of this one, for several others
host = Host("east", ("10.213.8.1", "10.213.8.2"), root, environment)
host.kill()                                         # and all that runs there
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest

from tests.system import tiny
from tests.system.conftest import ROOT

# Two workers, each of which is started again. The end of this process is the end of all of them, and of their runs.
FIRST_PROCESS = 'hostname "$0"; for each in 1 2; do while :; do "$@"; sleep 1; done & done; wait'
PREFECT = [sys.executable, "-m", "prefect", "--no-prompt"]
WORK = [*PREFECT, "worker", "start", "--pool", "gpu", "--type", "process", "--limit", "1"]
_number = count()


def ip(words: str) -> None:
    """Runs a command of iproute2's."""
    subprocess.run(["ip", *words.split()], check=True, capture_output=True, text=True)


@contextmanager
def address(here: str) -> Iterator[None]:
    """One that this machine has as long as the block lasts, whatever becomes of the others."""
    require_ip()
    ip(f"address add {here}/32 dev lo")
    try:
        yield
    finally:
        ip(f"address del {here}/32 dev lo")


def require_ip() -> None:
    """Skips the test where there cannot be another machine."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("a network namespace needs root and ip (Debian: apt-get install iproute2)")


@contextmanager
def network(here: str, there: str) -> Iterator[str]:
    """The name of another machine's network. It has the address `there`, reaches this one, and nothing else."""
    require_ip()
    suffix = f"{os.getpid()}-{next(_number)}"
    name, near, far = f"hemline{suffix}", f"hn{suffix}", f"hf{suffix}"
    try:
        ip(f"netns add {name}")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespace can be made here: {error.stderr}")
    try:
        ip(f"link add {near} type veth peer name {far} netns {name}")
        ip(f"address add {here}/30 dev {near}")
        ip(f"link set {near} up")
        ip(f"-n {name} address add {there}/30 dev {far}")
        ip(f"-n {name} link set {far} up")
        ip(f"-n {name} link set lo up")
        ip(f"-n {name} route add default via {here}")
        yield name
    finally:
        ip(f"netns del {name}")


class Host:
    """One with two workers, from its start to its death. root: its HEMLINE_ROOT, with prepared data alone."""

    def __init__(self, name: str, cable: tuple[str, str], root: Path, environment: dict[str, str]):
        self.name, self.root = name, root
        root.mkdir()
        tiny.prepare(root)
        own = {"HEMLINE_ROOT": str(root), "TFDS_DATA_DIR": str(root / "data"), "PREFECT_HOME": str(root / "prefect")}
        self.environment = environment | own
        with ExitStack() as stack:
            network_of = stack.enter_context(network(*cable))
            self.inside = ["ip", "netns", "exec", network_of]
            apart = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts"]
            with (root / "workers.log").open("wb") as log:
                command = [*self.inside, *apart, "sh", "-c", FIRST_PROCESS, name, *WORK]
                self._first = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)
            self._network = stack.pop_all()

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self._first.pid).children(recursive=True)

    def runs(self) -> dict[UUID, psutil.Process]:
        """By flow run."""
        found = {}
        for process in self.processes():
            with suppress(psutil.Error):
                if flow_run := process.environ().get("PREFECT__FLOW_RUN_ID"):
                    found[UUID(flow_run)] = process
        return found

    def kill(self) -> None:
        """All at once, as a loss of power, and nobody can reach it any more."""
        left = self.processes()
        self._first.kill()
        self._first.wait()
        assert not psutil.wait_procs(left, 60)[1]
        self._network.close()

    def hemline(self, *words: str) -> Any:
        """What a person's command says there, as JSON."""
        command = [*self.inside, sys.executable, "-m", "flows.command", *words, "--json"]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)
