"""What looking at a shared store costs: nothing is listed twice, and what has ended is not asked for again."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hemline.config.retrain import RetrainConfig
from hemline.registry.catalogue import find, run_rows, version_rows
from hemline.registry.champion import Registry
from hemline.registry.index import write_index
from hemline.registry.status import statuses
from hemline.storage.shared import one_look, shared_at
from tests.hemline.registry.published import RECORD, make_version
from tests.hemline.registry.test_all_machines import trained, working
from tests.hemline.storage.faults import Proxy, unreliable
from tests.hemline.storage.s3 import use

RUNS, VERSIONS, DECISIONS = "runs", "published", "registry/shoes/ledger"


@pytest.fixture
def proxy(s3: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with unreliable(s3) as between:
        use(between.address, monkeypatch)
        yield between


@pytest.fixture
def copy(proxy: Proxy, copies: list[Path]) -> Path:
    """Of a machine that has looked before, at three runs and two versions of another one."""
    there, here = copies
    for number in range(3):
        trained(there, f"0000000{number}")
    shoes = RECORD.model_copy(update={"config": RetrainConfig(name="shoes", epochs=1)})
    make_version(there, record=shoes)
    Registry(there, "shoes").promote(make_version(there, record=shoes), by="ada@a", reason="the first")
    statuses(here, datetime.now(UTC))
    return here


LOOKS: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "status": (lambda copy: statuses(copy, datetime.now(UTC)), {RUNS, VERSIONS, DECISIONS}),
    "the morning page": (lambda copy: write_index(copy, datetime.now(UTC)), {RUNS, VERSIONS, DECISIONS}),
    "runs": (run_rows, {RUNS, VERSIONS}),
    "versions": (version_rows, {VERSIONS, DECISIONS}),
    "show of a run": (lambda copy: find(copy, "00000001"), {RUNS, VERSIONS}),
    "show of a version": (lambda copy: find(copy, "2"), {VERSIONS, DECISIONS}),
}


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_lists_what_it_shows_once_and_fetches_nothing(name: str, copy: Path, proxy: Proxy) -> None:
    """`hemline status` listed versions three times, and the morning page the ledger twice."""
    look, listed = LOOKS[name]
    look(copy)  # what it fetches is here now
    proxy.requests.clear()
    look(copy)
    assert Counter(request.listed("hemline/") for request in proxy.requests) == Counter(listed)


def test_a_run_that_has_not_ended_well_is_one_more(copy: Path, proxy: Proxy) -> None:
    for number in (7, 8):
        with working(copy, f"0000000{number}"):
            pass
    proxy.requests.clear()
    statuses(copy, datetime.now(UTC))
    assert Counter(request.listed("hemline/").partition("-")[0] for request in proxy.requests) == Counter(
        {RUNS: 1, VERSIONS: 1, DECISIONS: 1, "runs/2026": 2}
    )


def test_the_next_look_sees_what_has_come(copy: Path) -> None:
    shared = shared_at(copy)
    assert shared
    with one_look():
        assert list(shared.names("published/")) == ["shoes/1", "shoes/2"]
        shared.create("published/shoes/3", b"")
        assert list(shared.names("published/shoes/")) == ["1", "2"]
        with one_look():
            assert list(shared.names("published/shoes/")) == ["1", "2"]
        assert list(shared.names("published/shoes/")) == ["1", "2"]
    assert list(shared.names("published/shoes/")) == ["1", "2", "3"]
