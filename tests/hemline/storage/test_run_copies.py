"""A run that was begun on one machine goes on on another, with all that its last attempt had left in the store."""

import shutil
from pathlib import Path
from threading import Event

import pytest

from hemline.errors import StorageError, SupersededError
from hemline.storage import run_copies
from hemline.storage.attempts import attempt, attempts, reached
from hemline.storage.files import whole_directory, whole_file
from hemline.storage.shared import shared_at

RUN = "runs/2026-11-29-shoes-5bcf73b6"


@pytest.fixture
def hosts(copies: list[Path]) -> list[Path]:
    runs = [copy / RUN for copy in copies]
    for run in runs:
        run.mkdir(parents=True)
        (run / "config.json").write_text("{}")
    return runs


def write(path: Path, content: str) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(content)


def checkpoint(run: Path, epoch: int) -> None:
    with whole_directory(run / "checkpoints" / f"epoch-{epoch:05d}-step-000000") as directory:
        (directory / "record.json").write_text(str(epoch))


class Killed(BaseException):
    """A process that ends so writes nothing more, but what it had sent is there."""


def killed(run: Path, *epochs: int) -> None:
    def work() -> None:
        with attempt(run, owner="5bcf73b6"):
            reached("train")
            for epoch in epochs:
                write(run / "epochs.csv", f"of epoch {epoch}")
                checkpoint(run, epoch)
            raise Killed

    with pytest.raises(Killed):
        work()


def test_another_machine_has_all_of_it(hosts: list[Path]) -> None:
    here, there = hosts
    killed(here, 1, 2)
    with attempt(there, owner="5bcf73b6") as second:
        assert second.number == 2
        assert (there / "epochs.csv").read_text() == "of epoch 2"
        assert (there / "checkpoints" / "epoch-00002-step-000000" / "record.json").read_text() == "2"
    assert [each.number for each in attempts(there)] == [1, 2]


def test_its_log_has_the_lines_of_both_machines(hosts: list[Path]) -> None:
    """It was opened before the other machine's took its place, so what was logged after that was nowhere."""
    here, there = hosts
    (here / "run.log").write_text("epoch 1\n")
    killed(here, 1)
    with (there / "run.log").open("a") as log, attempt(there, owner="5bcf73b6"):
        print("epoch 2", file=log, flush=True)
    killed(there)
    shared = shared_at(here)
    assert shared
    assert (there / "run.log").read_text() == shared.read("run.log").decode() == "epoch 1\nepoch 2\n"
    with (here / "run.log").open("a") as log, attempt(here, owner="5bcf73b6"):
        print("epoch 3", file=log, flush=True)
    assert (here / "run.log").read_text() == "epoch 1\nepoch 2\nepoch 3\n"


def test_back_on_the_first_machine_what_the_second_did_counts(hosts: list[Path]) -> None:
    here, there = hosts
    killed(here, 1)
    killed(there, 2, 3)
    with attempt(here, owner="5bcf73b6") as third:
        assert (third.number, (here / "epochs.csv").read_text()) == (3, "of epoch 3")


def test_on_the_same_machine_nothing_is_fetched(hosts: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    here, _ = hosts
    killed(here, 1)
    monkeypatch.setattr(run_copies, "fetch_run", lambda directory: pytest.fail("it has all of it"))
    with attempt(here, owner="5bcf73b6") as second:
        assert second.number == 2


def test_half_a_fetch_is_begun_anew(hosts: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = hosts
    killed(here, 1, 2)

    def dies(directory: Path) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(run_copies, "fetch_run", dies)
        with pytest.raises(Killed), attempt(there, owner="5bcf73b6"):
            pass
    with attempt(there, owner="5bcf73b6"):
        assert (there / "epochs.csv").read_text() == "of epoch 2"


def test_an_attempt_that_was_cut_off_writes_nothing_more(hosts: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no clock to go by: the store says that another one has begun."""
    here, there = hosts
    monkeypatch.setattr(run_copies, "LOOK_SECONDS", 0.0)

    def work() -> None:
        with attempt(here, owner="5bcf73b6"):
            checkpoint(here, 1)
            with attempt(there, owner="5bcf73b6"):
                pass
            for number in range(2, 1000):
                checkpoint(here, number)

    with pytest.raises(SupersededError, match=r"attempt 2 has taken over"):
        work()


def kept(run: Path) -> set[str]:
    shared = shared_at(run)
    assert shared
    return {name.split("/")[0] for name in shared.names("checkpoints/")}


def remove(run: Path, epoch: int) -> None:
    shutil.rmtree(run / "checkpoints" / f"epoch-{epoch:05d}-step-000000")


def test_an_old_checkpoint_goes_from_the_store_too(hosts: list[Path]) -> None:
    here, _ = hosts
    with attempt(here, owner="5bcf73b6"):
        for epoch in range(1, 5):
            checkpoint(here, epoch)
            if epoch > 2:
                remove(here, epoch - 2)
    assert kept(here) == {"epoch-00003-step-000000", "epoch-00004-step-000000"}


@pytest.mark.parametrize("goes_on_at", ["the same machine", "another machine"])
def test_so_does_one_of_an_earlier_attempt(hosts: list[Path], goes_on_at: str) -> None:
    """What an earlier attempt had sent stayed in the store for good."""
    here, there = hosts
    killed(here, 1, 2)
    second = here if goes_on_at == "the same machine" else there
    with attempt(second, owner="5bcf73b6"):
        checkpoint(second, 3)
        remove(second, 1)
    assert kept(here) == {"epoch-00002-step-000000", "epoch-00003-step-000000"}


def test_and_one_that_was_removed_as_its_process_was_killed(hosts: list[Path]) -> None:
    here, _ = hosts
    killed(here, 1, 2)
    remove(here, 1)
    with attempt(here, owner="5bcf73b6"):
        checkpoint(here, 3)
    assert kept(here) == {"epoch-00002-step-000000", "epoch-00003-step-000000"}


def test_the_end_waits_for_what_is_being_sent_and_not_for_a_store_that_is_away(
    hosts: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large snapshot on a slow line takes longer than the patience with a store that does not answer."""
    here, _ = hosts
    monkeypatch.setattr(run_copies, "PATIENCE", 0.0)
    sent: list[bool] = []

    def large() -> None:
        sent.append(Event().wait(0.3))

    with attempt(here, owner="5bcf73b6"):
        run_copies.send(large)
    assert len(sent) == 1

    back = Event()

    def away() -> None:
        if not back.is_set():
            raise StorageError("the shared store must be reachable")

    monkeypatch.setattr(run_copies, "AGAIN_SECONDS", 0.0)

    def work() -> None:
        with attempt(here, owner="5bcf73b6"):
            run_copies.send(away)

    with pytest.raises(StorageError, match="must be reachable"):
        work()
    back.set()
