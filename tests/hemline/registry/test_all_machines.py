"""The runs of all machines in one list: those of others by what they have left in the store."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hemline.errors import DatasetError
from hemline.registry.catalogue import find, run_rows
from hemline.registry.index import write_index
from hemline.registry.prune import Retention, removable, remove
from hemline.registry.status import statuses
from hemline.storage.attempts import attempt, reached
from hemline.storage.files import whole_file, write_json
from hemline.storage.remote import Object, Remote
from hemline.storage.runs import TRAINED
from hemline.storage.shared import shared_at
from tests.system.conftest import wait_until

EPOCHS = "epoch,val_accuracy\n1,0.5\n2,0.75\n"


@pytest.fixture
def hosts(copies: list[Path]) -> list[Path]:
    return copies


@contextmanager
def working(host: Path, name: str, place: str = "runs") -> Iterator[Path]:
    """A run that has trained two epochs."""
    run = host / place / f"2026-11-29-shoes-{name}"
    write_json(run / "config.json", {"name": "shoes", "epochs": 2})
    with attempt(run, owner=name):
        reached("train")
        write(run / "epochs.csv", EPOCHS)
        yield run


def write(path: Path, text: str) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(text)


def trained(host: Path, name: str) -> None:
    with working(host, name) as run:
        write_json(run / TRAINED, {"sentence": "validation accuracy 0.7500"})


def states(host: Path) -> list[tuple[str, str, float | None]]:
    return [(row.run[-8:], row.state, row.val_accuracy) for row in run_rows(host)]


def test_every_machine_lists_the_runs_of_all(hosts: list[Path]) -> None:
    """It listed its own alone, and called what was only to train unfinished."""
    here, there = hosts
    trained(here, "00000001")
    trained(there, "00000002")
    with pytest.raises(DatasetError), working(here, "00000003"):
        raise DatasetError("the data must be whole. Received: less.")
    told = [("00000001", "trained", 0.75), ("00000002", "trained", 0.75), ("00000003", "refused", 0.75)]
    assert sorted(states(here)) == sorted(states(there)) == told
    (status,) = statuses(there, datetime.now(UTC))
    sentences = {night.run[-8:]: (night.state, night.sentence) for night in status.nights}
    assert sentences["00000001"] == ("Trained", "validation accuracy 0.7500")
    assert sentences["00000003"] == ("Refused", "the data must be whole. Received: less.")
    write_index(there, datetime.now(UTC))
    assert "<strong>Refused</strong>" in (there / "index.html").read_text()
    assert find(there, "00000001").epochs[-1]["val_accuracy"] == 0.75


def test_a_run_that_another_machine_works_on_is_running_until_nothing_is_heard_of_it(hosts: list[Path]) -> None:
    here, there = hosts
    with working(here, "00000001") as run:
        shared = shared_at(run)
        assert shared
        wait_until(lambda: "epochs.csv" in set(shared.names("")), "sending")
        assert states(there) == [("00000001", "running", 0.75)]
        now = datetime.now(UTC)
        told = [statuses(there, at)[0].nights[0].state for at in (now, now + timedelta(hours=27))]
        assert told == ["Running", "Unfinished"]
    assert states(there) == states(here) == [("00000001", "unfinished", 0.75)]


def test_what_has_ended_is_fetched_once(hosts: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = hosts
    trained(here, "00000001")
    with working(here, "00000002"):
        pass
    before = states(there)
    monkeypatch.setattr(Remote, "download", lambda *of: pytest.fail("it is here"))
    assert states(there) == before
    lists: list[str] = []
    objects = Remote.objects

    def listing(self: Remote, prefix: str, after: str | None = None) -> Iterator[Object]:
        lists.append(prefix)
        return objects(self, prefix, after)

    monkeypatch.setattr(Remote, "objects", listing)
    states(there)
    assert [each for each in lists if each.startswith("runs/")] == ["runs/2026-11-29-shoes-00000002"]


def test_what_this_machine_knows_better_is_left_alone(hosts: list[Path]) -> None:
    """Its own run, of which the store lacks the last epoch since it was away."""
    here, _ = hosts
    with working(here, "00000001") as run:
        pass
    (run / "epochs.csv").write_text(f"{EPOCHS}3,0.875\n")
    assert states(here) == [("00000001", "unfinished", 0.875)]


def test_a_run_goes_on_where_it_was_listed(hosts: list[Path]) -> None:
    """What was fetched for the list is not taken for all of the run."""
    here, there = hosts
    with working(here, "00000001") as run:
        write(run / "checkpoints" / "epoch-00002-step-000000" / "record.json", "{}")
    states(there)
    copy = there / "runs" / run.name
    assert not (copy / "checkpoints").exists()
    with attempt(copy, owner="00000001"):
        assert (copy / "checkpoints" / "epoch-00002-step-000000" / "record.json").exists()
        write_json(copy / TRAINED, {"sentence": "validation accuracy 0.7500"})
    assert states(here) == states(there) == [("00000001", "trained", 0.75)]


def test_a_run_that_is_pruned_goes_from_the_store_too(hosts: list[Path]) -> None:
    """Or the next list would fetch it again."""
    here, there = hosts
    trained(here, "00000001")
    assert states(there)
    later = datetime.now(UTC) + timedelta(days=40)
    removed = remove(removable(there, None, Retention(keep_runs=0), later), there)
    assert [each.kind for each in removed] == ["run"]
    assert states(there) == []
    shared = shared_at(here / "runs")
    assert shared
    assert list(shared.names("")) == []


def test_so_does_a_member_of_a_cluster_whose_machine_is_gone(hosts: list[Path]) -> None:
    """Only where it had worked it was found, and what a container had sent stayed for good."""
    here, there = hosts
    with working(here, "00000001", place="clusters"):
        pass
    shutil.rmtree(here)
    later = datetime.now(UTC) + timedelta(days=40)
    removed = remove(removable(there, None, Retention(keep_runs=0), later), there)
    assert [str(each.path.relative_to(there)) for each in removed] == ["clusters/2026-11-29-shoes-00000001"]
    shared = shared_at(there)
    assert shared
    assert not [name for name in shared.names("") if "shoes" in name]


def test_the_time_of_a_run_is_that_at_which_it_began(hosts: list[Path]) -> None:
    here, there = hosts
    trained(here, "00000001")
    (run,) = (here / "runs").iterdir()
    day = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
    os.utime(run / "config.json", (day, day))
    shared = shared_at(run)
    assert shared
    (there_since,) = [each.changed for each in shared.objects("") if each.name == "config.json"]
    assert run_rows(here)[0].started == datetime(2026, 11, 1, tzinfo=UTC)
    assert abs(run_rows(there)[0].started - there_since) < timedelta(milliseconds=1)
