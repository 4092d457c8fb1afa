"""What a person who is asleep need not do: runs come back by themselves, wait for one another, and are told of.

On a machine of its own, which is stopped and started again; tiny data. `make chaos` does the same at random, and more.
"""

import json
import os
import platform
import signal
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import psutil
import pytest
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolUpdate
from prefect.client.schemas.filters import ArtifactFilter
from prefect.client.schemas.objects import FlowRun
from prefect.states import Scheduled

from hemline.registry import versions
from hemline.storage.attempts import attempts
from hemline.storage.files import write_json
from hemline.storage.locks import locked
from ops.automations import wanted
from ops.up import runs_of
from tests.hemline.conftest import write_dataset
from tests.system.conftest import ROOT, Installation, start, wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]
CONFIG = {"dataset": "mnist", "epochs": 150, "batch_size": 32, "validation": 60, "device": "cpu", "data_dir": "data"}
CONFIG |= {"force": True}  # the same night again and again
MESSAGE = "notices.jsonl"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Installation]]:
    """Up and deployed, with data that trains in seconds. A list, since a test replaces it by the next start of it."""
    root = tmp_path_factory.mktemp("machine")
    decoded = root / "data" / "decoded" / "mnist"
    write_json(decoded / "dataset.json", write_dataset(decoded, {"train": 300, "test": 70}, "mnist/3.0.1").record())
    up = [start(root)]
    for words in (["prefect", "--no-prompt", "deploy", "--all"], ["ops.automations"]):
        done = up[0].run("-m", *words, cwd=ROOT)
        assert done.returncode == 0, done.stdout + done.stderr
    yield up
    if up[0].up.poll() is None:
        assert up[0].stop(signal.SIGTERM) == 0


def begin(machine: Installation, deployment: str = "smoke", **state: Any) -> FlowRun:
    with machine.client() as client:
        found = client.read_deployment_by_name(f"retrain/{deployment}")
        return client.create_flow_run_from_deployment(found.id, parameters={"config": CONFIG}, **state)


def look(machine: Installation, run: FlowRun) -> FlowRun:
    with machine.client() as client:
        return client.read_flow_run(run.id)


def name(machine: Installation, run: FlowRun) -> str:
    return look(machine, run).state_name or ""


def directory(machine: Installation, flow_run: UUID) -> Path:
    (found,) = (machine.root / "artifacts" / "runs").glob(f"*-{flow_run.hex[:8]}")
    return found


def wait_until_trained(machine: Installation, run: FlowRun, epochs: int) -> None:
    runs = machine.root / "artifacts" / "runs"
    first = f"*-{run.id.hex[:8]}/iterations.parquet/epoch-{epochs:05d}.parquet"
    wait_until(lambda: any(runs.glob(first)), f"epoch {epochs}")


def process_of(machine: Installation, run: FlowRun) -> psutil.Process:
    (found,) = [
        each for each in runs_of(f"{machine.address}/api") if each.environ()["PREFECT__FLOW_RUN_ID"] == str(run.id)
    ]
    return found


def model_of(machine: Installation, run: FlowRun) -> list[np.ndarray]:
    (found,) = [
        path
        for path in (machine.root / "artifacts" / "models" / "mnist").iterdir()
        if versions.verify(path).flow_run.id == str(run.id)
    ]
    weights: list[np.ndarray] = versions.load(found)[0].get_weights()
    return weights


def messages(machine: Installation, about: str) -> list[str]:
    file = machine.root / "artifacts" / MESSAGE
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [line["body"] for line in lines if line["subject"].startswith(about)]


def test_what_is_killed_comes_back_and_ends_with_the_same_bits(machine: list[Installation]) -> None:
    """Nothing came back by itself. And two runs shared two cores: now the second waits, and says for whom."""
    (up,) = machine
    lock = up.root / "data" / f".cpu-0-{platform.node()}.lock"
    with locked(lock):
        lock.write_text("somebody's run")
        first = begin(up)
        wait_until(lambda: name(up, first) == "Waiting", "waiting for the device")
        assert look(up, first).state.message == "for the CPU: somebody's run trains on it"  # type: ignore[union-attr]
    wait_until_trained(up, first, 3)
    process_of(up, first).kill()
    second = begin(up)
    wait_until(lambda: {name(up, first), name(up, second)} <= {"Promoted", "Kept"}, "coming back and ending")
    one, two = attempts(directory(up, first.id))
    assert not one.ended
    assert (two.after, two.crashed.split(",")[0], two.ended) == ("killed by SIGKILL", "train", True)
    log = (directory(up, first.id) / "run.log").read_text()
    assert "(attempt 2) after: killed by SIGKILL" in log
    assert len(attempts(directory(up, second.id))) == 1
    for ours, theirs in zip(model_of(up, first), model_of(up, second), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_promotion_is_told_once_with_its_sentence_link_and_command(machine: list[Installation]) -> None:
    (up,) = machine
    wait_until(lambda: bool(messages(up, "promoted")), "a message")
    (message,) = messages(up, "promoted")
    sentence, link, command = message.splitlines()
    assert sentence.startswith("promoted mnist 1: there was no champion")
    assert link.startswith(f"{up.address}/runs/flow-run/")
    assert command == ".venv/bin/hemline rollback --name NAME --reason '...' takes it back"


def test_what_is_applied_twice_changes_nothing_and_what_is_not_wanted_any_more_goes(
    machine: list[Installation],
) -> None:
    (up,) = machine
    with up.client() as client:
        before = {each.name: each.id for each in client.read_automations()}
        extra = next(wanted(UUID(int=1))).model_copy(update={"name": "hemline: of yesterday"})
        client.create_automation(extra)
        client.create_automation(extra.model_copy(update={"name": "somebody's own"}))
    done = up.run("-m", "ops.automations", cwd=ROOT)
    assert done.stdout == "removed: hemline: of yesterday\n", done.stdout + done.stderr
    with up.client() as client:
        after = {each.name: each.id for each in client.read_automations()}
    assert after.pop("somebody's own")
    assert after == before


def test_of_several_late_nights_one_run_happens(machine: list[Installation]) -> None:
    """A worker that came back ran all of them, one after the other."""
    (up,) = machine
    with up.client() as client:
        nightly = client.read_deployment_by_name("retrain/nightly")
        client.update_deployment(nightly.id, DeploymentUpdate(parameters={"config": CONFIG}))
        client.update_work_pool("gpu", WorkPoolUpdate(is_paused=True))
    nights = []
    for days in (3, 2, 1):
        run = begin(up, "nightly", state=Scheduled(scheduled_time=datetime.now(UTC) - timedelta(days=days)))
        nights.append(run)
    with sqlite3.connect(up.root / "prefect" / "prefect.db") as database:  # as those that Prefect's scheduler makes
        database.executemany("UPDATE flow_run SET auto_scheduled = 1 WHERE id = ?", [(str(run.id),) for run in nights])
    with up.client() as client:
        assert all(client.read_flow_run(run.id).auto_scheduled for run in nights)
        client.update_work_pool("gpu", WorkPoolUpdate(is_paused=False))
    wait_until(lambda: all(look(up, run).state.is_final() for run in nights), "ending")  # type: ignore[union-attr]
    names = sorted(name(up, run) for run in nights)
    assert names.count("Kept") + names.count("Promoted") == 1, names
    assert set(names) <= {"Kept", "Promoted", "Skipped", "Cancelled"}


def test_a_machine_that_stops_leaves_no_run_running_and_goes_on_when_it_starts(machine: list[Installation]) -> None:
    """The run said Running for ever and held its deployment's slot: every later night was cancelled."""
    (up,) = machine
    run = begin(up)
    wait_until_trained(up, run, 3)
    process = process_of(up, run)
    assert up.stop(signal.SIGHUP) == 0
    assert not process.is_running()
    (attempt,) = attempts(directory(up, run.id))
    assert attempt.ended
    machine[0] = again = start(up.root)
    assert "was Crashed when the server stopped; it is looked after" in again.log.read_text()
    wait_until(lambda: name(again, run) in ("Promoted", "Kept"), "coming back and ending")
    assert [each.after for each in attempts(directory(again, run.id))] == ["", "stopped by SIGTERM"]


def test_a_run_whose_worker_is_gone_can_be_cancelled_and_the_worker_comes_back(machine: list[Installation]) -> None:
    """It was Cancelling for ever."""
    (up,) = machine
    run = begin(up)
    wait_until_trained(up, run, 3)
    process = process_of(up, run)
    worker = process.parent()
    assert worker
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    assert up.run("-m", "prefect", "flow-run", "cancel", str(run.id)).returncode == 0
    wait_until(lambda: not process.is_running(), "ending of the process")
    wait_until(lambda: name(up, run) == "Cancelled", "cancelling")
    assert list((directory(up, run.id) / "checkpoints").glob("epoch-*"))
    assert "The worker ended by itself (exit code -9); it is started again." in up.log.read_text()
    assert up.run("-m", "prefect", "flow-run", "retry", str(run.id)).returncode == 0
    wait_until(lambda: name(up, run) in ("Promoted", "Kept"), "going on")


def test_the_morning_page_tells_of_a_crash_and_of_a_cancel(machine: list[Installation]) -> None:
    """By hooks, since no process of the run is left to do it."""
    (up,) = machine
    page = up.root / "artifacts" / "index.html"

    def told() -> bool:
        return page.exists() and "<strong>Unfinished</strong>" in page.read_text()

    run = begin(up)
    wait_until_trained(up, run, 3)
    page.unlink(missing_ok=True)
    process_of(up, run).kill()
    wait_until(told, "a page after a crash")
    wait_until(lambda: len(attempts(directory(up, run.id))) == 2, "coming back")
    page.unlink()
    assert up.run("-m", "prefect", "flow-run", "cancel", str(run.id)).returncode == 0
    wait_until(lambda: name(up, run) == "Cancelled", "cancelling")
    wait_until(told, "a page after a cancel")
    newest = ArtifactFilter.model_validate({"key": {"any_": ["production-mnist"]}})
    with up.client() as client:
        said = {artifact.description for artifact in client.read_artifacts(artifact_filter=newest)}
    assert any(str(sentence).startswith("1 thing needs you. Unfinished ") for sentence in said)
