"""Lines that two machines write for one sweep: in one order, by one of them at a time."""

from pathlib import Path

import pytest

from hemline.errors import SupersededError
from hemline.storage.attempts import attempt
from hemline.storage.shared import Shared, shared_at
from hemline.sweeps.journal import SharedJournal

SWEEP = "sweeps/2026-11-29-sweep-5bcf73b6"


@pytest.fixture
def hosts(copies: list[Path]) -> list[Path]:
    sweeps = [copy / SWEEP for copy in copies]
    for sweep in sweeps:
        sweep.mkdir(parents=True)
    return sweeps


@pytest.fixture
def stores(hosts: list[Path]) -> list[Shared]:
    found = [shared_at(host) for host in hosts]
    return [each for each in found if each]


def test_another_machine_reads_all_in_their_order(stores: list[Shared]) -> None:
    lines = [{"op_code": number, "user_attr": {"flow_run": "é"}} for number in range(12)]
    here = SharedJournal(stores[0])
    for line in lines[:10]:
        here.append_logs([line])
    here.append_logs(lines[10:])
    there = SharedJournal(stores[1])
    assert list(there.read_logs(0)) == list(here.read_logs(0)) == lines
    assert list(there.read_logs(11)) == lines[11:]
    assert list(there.read_logs(12)) == []


def test_whoever_was_there_before_writes_nothing_more(stores: list[Shared]) -> None:
    """A machine that was cut off for a while would draw trials beside the one that has taken over."""
    here, there = map(SharedJournal, stores)
    here.append_logs([{"by": "a"}])  # the last line before it was cut off, and the other has not seen it
    there.append_logs([{"by": "b"}])
    with pytest.raises(SupersededError, match=r"line 2 of .*/trials/, which another process has written"):
        here.append_logs([{"by": "a, again"}])
    there.append_logs([{"by": "b, again"}])
    lines = [{"by": "a"}, {"by": "b"}, {"by": "b, again"}]
    assert list(there.read_logs(0)) == list(SharedJournal(stores[0]).read_logs(0)) == lines


def test_they_stay_in_the_store_while_the_sweep_is_taken_up_here_and_there(
    hosts: list[Path], stores: list[Shared]
) -> None:
    """They are no files of the sweep's directory: what is not there goes from the store, and what is comes from it."""
    for number, host in enumerate([hosts[0], hosts[0], hosts[1], hosts[1]]):
        with attempt(host, owner="5bcf73b6"):
            SharedJournal(stores[hosts.index(host)]).append_logs([{"number": number}])
            assert not (host / "trials").exists()
    assert [line["number"] for line in SharedJournal(stores[0]).read_logs(0)] == [0, 1, 2, 3]
