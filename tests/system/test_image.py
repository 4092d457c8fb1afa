"""What ops/container/Dockerfile promises of a container: each of its steps is executed, and what it starts is a worker.

In a clean Debian in the place of python:3.11-slim, without an engine. tests/system/image.py says how.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient

from flows import server
from hemline.storage.attempts import attempts
from ops.up import POOL, create_pool
from tests.hemline.storage.s3 import CREDENTIALS, new_bucket, s3_server
from tests.system import tiny
from tests.system.conftest import PATIENCE, ROOT, free_port, user, wait_until
from tests.system.image import Image, Machine, first_process, instructions, mirror

pytestmark = [pytest.mark.system, pytest.mark.slow]
COMMIT = "0123456789abcdef0123456789abcdef01234567-dirty"
USER = 1000
EPOCHS = 100


def test_comments_are_left_out_and_lines_joined() -> None:
    text = '# a comment\nRUN one \\\n # within\n && two "$X"\n\ncopy a b/\nENV A=1 \\\n    B=2\n'
    assert list(instructions(text)) == [("RUN", 'one  && two "$X"'), ("COPY", "a b/"), ("ENV", "A=1     B=2")]


def test_an_instruction_that_is_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AttributeError, match="_onbuild"):
        Image(Machine(tmp_path), tmp_path, {}).build("ONBUILD RUN true")


@pytest.fixture(scope="module")
def image(context: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Built as docs/team.md says, for a CPU."""
    site = mirror()
    with Machine(tmp_path_factory.mktemp("image")) as machine:
        machine.install(site)
        image = Image(machine, context, {"COMMIT": COMMIT})
        image.build((ROOT / "ops" / "container" / "Dockerfile").read_text())
        yield image


@dataclass
class Team:
    """A server that asks for no password, with everything deployed, and a store. environment: of who uses both."""

    environment: dict[str, str]
    root: Path  # HEMLINE_ROOT of another machine

    def client(self) -> SyncPrefectClient:
        return SyncPrefectClient(self.environment["PREFECT_API_URL"])

    def state(self, run: UUID) -> str:
        with self.client() as client:
            found = client.read_flow_run(run).state
        return found.type.value if found else ""

    def begin(self, epochs: int) -> UUID:
        with self.client() as client:
            deployment = client.read_deployment_by_name("retrain/smoke").id
            config = tiny.CONFIG | {"epochs": epochs, "force": True}
            return client.create_flow_run_from_deployment(deployment, parameters={"config": config}).id

    def settings(self) -> dict[str, str]:
        """What `docker run -e` is given."""
        names = ("PREFECT_API_URL", "HEMLINE_ARTIFACTS", "AWS_ENDPOINT_URL", *CREDENTIALS)
        return {name: self.environment[name] for name in names}


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    root, port = tmp_path_factory.mktemp("team"), free_port()
    tiny.prepare(root)
    with s3_server() as address, (root / "server.log").open("wb") as log:
        url = f"http://127.0.0.1:{port}/api"
        environment = user(root) | server.SERVER | CREDENTIALS | {"TFDS_DATA_DIR": str(root / "data")}
        environment |= {"PREFECT_API_URL": url, "AWS_ENDPOINT_URL": address, "HEMLINE_ARTIFACTS": new_bucket(address)}
        started = server.start(["prefect", "server", "start", "--port", str(port)], environment, log)
        try:
            server.wait_until_healthy(url, started)
            create_pool(environment)
            for words in (["prefect", "--no-prompt", "deploy", "--all"], ["ops.automations"]):
                subprocess.run([sys.executable, "-m", *words], cwd=ROOT, env=environment, check=True, stdout=log)
            yield Team(environment, root)
        finally:
            server.stop(started)


def test_what_runs_is_not_root_and_writes_to_its_volume_alone(image: Image) -> None:
    assert (image.user, image.volumes) == (str(USER), [image.environment["HEMLINE_ROOT"]])
    code = "import os; print(os.getuid(), *(os.access(place, os.W_OK) for place in ('/srv/hemline', '/opt/hemline')))"
    said = subprocess.check_output(image.words(["python", "-c", code], {}), text=True)
    assert said == f"{USER} True False\n"


def test_a_container_is_a_worker_until_it_is_stopped_and_its_run_goes_on_elsewhere(image: Image, team: Team) -> None:
    settings = team.settings() | {"PREFECT_WORKER_WEBSERVER_PORT": str(free_port())}  # the network is this machine's
    volume = image.machine.root / image.volumes[0].lstrip("/")
    tiny.prepare(volume)
    for path in (volume, *volume.rglob("*")):
        os.chown(path, USER, USER)

    def is_healthy() -> bool:
        return subprocess.run(image.words(image.health, settings), capture_output=True).returncode == 0

    with ExitStack() as stack:
        log = team.root / "container.log"
        container = image.start(image.command, settings, stack.enter_context(log.open("wb")))
        stack.callback(container.kill)
        assert not is_healthy()
        wait_until(is_healthy, "being healthy")

        run = team.begin(epochs=2)
        wait_until(lambda: team.state(run) not in ("SCHEDULED", "PENDING", "RUNNING"), "the end of a run")
        assert team.state(run) == "COMPLETED", log.read_text()
        (manifest,) = volume.glob("shared/*/models/mnist/1/manifest.json")
        assert json.loads(manifest.read_bytes())["git_commit"] == COMMIT

        run = team.begin(epochs=EPOCHS)
        epochs = f"shared/*/runs/*-{run.hex[:8]}/epochs.csv"
        wait_until(lambda: rows(volume, epochs) > 2, "two epochs")
        first_process(container).terminate()
        container.wait(PATIENCE)
        assert team.state(run) == "CRASHED", log.read_text()
        (table,) = volume.glob(epochs)
        assert attempts(table.parent)[0].ended  # by itself: it was not killed
        assert any((table.parent / "checkpoints").iterdir())

        words = ["prefect", "worker", "start", "--pool", POOL, "--type", "process"]
        elsewhere = server.start(words, team.environment | server.WORKER, stack.enter_context(log.open("ab")))
        stack.callback(server.stop, elsewhere)
        done = rows(volume, epochs)
        wait_until(lambda: rows(team.root, epochs) > done, "going on")
        wait_until(lambda: team.state(run) == "COMPLETED", "the end of the resumed run")
    (resumed,) = team.root.glob(epochs)
    assert len(resumed.read_text().splitlines()) == EPOCHS + 1
    assert resumed.read_text().startswith(table.read_text())
    first, second = attempts(resumed.parent)
    assert (first.owner, second.after) == (second.owner, "stopped by SIGTERM")


def rows(root: Path, table: str) -> int:
    """Lines of a table of one run, with that of its head; 0 if it is not there yet."""
    return sum(len(path.read_text().splitlines()) for path in root.glob(table))
