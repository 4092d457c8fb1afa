"""One registry for several machines: copies of a bucket on a real S3 server, which agree."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from hemline.errors import ChampionChangedError, StorageError, VersionError
from hemline.records.run import Decision
from hemline.registry.champion import Registry, names
from hemline.registry.exchange import Published
from hemline.registry.prune import Retention, removable, remove
from hemline.registry.status import statuses
from hemline.registry.versions import verify
from hemline.storage.shared import Shared, shared_at
from tests.hemline.registry.published import make_version
from tests.hemline.storage.faults import unreliable
from tests.hemline.storage.s3 import machine, use

HOSTS = 4


@pytest.fixture
def hosts(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    return [machine(tmp_path / f"host-{number}", bucket, monkeypatch) for number in range(HOSTS)]


def registries(hosts: list[Path]) -> list[Registry]:
    return [Registry(host, "tiny") for host in hosts]


def test_a_version_that_one_publishes_all_have(hosts: list[Path]) -> None:
    here, there, *_ = hosts
    assert [make_version(here), make_version(there)] == ["1", "2"]
    for registry in registries(hosts):
        assert registry.versions() == ["1", "2"]
        assert registry.verified("1").version == "1"
    assert names(hosts[3]) == ["tiny"]
    assert (there / "models" / "tiny" / "1" / "model.keras").read_bytes() == b"weights of tiny 1"


def test_files_are_fetched_when_they_are_used(hosts: list[Path]) -> None:
    make_version(hosts[0])
    path = registries(hosts)[1].path("1")
    assert {each.name for each in path.iterdir()} == {"manifest.json", "manifest.sha256"}
    verify(path)
    assert (path / "variables" / "variables.index").read_bytes() == b"index"


def test_what_was_changed_in_the_store_is_refused(hosts: list[Path]) -> None:
    make_version(hosts[0])
    shared = shared_at(hosts[0])
    assert shared
    content, tag = shared.remote.read(key := shared.key("models/tiny/1/model.keras"))
    shared.remote.replace(key, content[::-1], tag)
    with pytest.raises(VersionError, match=r"model.keras was changed"):
        registries(hosts)[1].verified("1")


def make_half(host: Path, request: str, name: str, flow_run: str = "") -> None:
    """Its process ends before this request of `Shared`, for an object of whose name this is a part."""
    whole = getattr(Shared, request)

    def killed(shared: Shared, *given: object) -> None:
        if any(isinstance(each, str) and name in each for each in given):
            raise KeyboardInterrupt
        whole(shared, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shared, request, killed)
        with pytest.raises(KeyboardInterrupt):
            make_version(host, flow_run=flow_run)


def test_half_a_version_is_invisible(hosts: list[Path]) -> None:
    """Its writer ends before the last of its files is in the store."""
    make_half(hosts[0], "upload", "model.keras")
    assert [registry.versions() for registry in registries(hosts)] == [[]] * HOSTS
    assert make_version(hosts[1]) == "2"


def test_a_flow_run_that_goes_on_elsewhere_makes_one_version(
    hosts: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: one that was cut off before its version was seen, and woke up, made a second one."""
    create = Shared.create

    def asleep(shared: Shared, name: str, content: bytes) -> None:
        """The other machine publishes before this one says whose the version is."""
        if name.startswith("flow-runs/"):
            monkeypatch.setattr(Shared, "create", create)
            assert make_version(hosts[1], flow_run="5bcf73b6") == "2"
        create(shared, name, content)

    monkeypatch.setattr(Shared, "create", asleep)
    with pytest.raises(Published, match="tiny 2 is the version of the flow run 5bcf73b6"):
        make_version(hosts[0], flow_run="5bcf73b6")
    assert [registry.versions() for registry in registries(hosts)] == [["2"]] * HOSTS


def test_a_version_whose_process_ended_before_it_was_seen_is_its_flow_runs(hosts: list[Path]) -> None:
    """All of it is in the store: who goes on with the flow run shows it, and makes no other."""
    make_half(hosts[0], "create", "published/", flow_run="5bcf73b6")
    assert [registry.versions() for registry in registries(hosts)] == [[]] * HOSTS
    with pytest.raises(Published):
        make_version(hosts[1], flow_run="5bcf73b6")
    assert [registry.versions() for registry in registries(hosts)] == [["1"]] * HOSTS
    assert registries(hosts)[2].verified("1").version == "1"


def test_a_flow_run_whose_version_was_pruned_may_make_another(hosts: list[Path]) -> None:
    for flow_run in ("5bcf73b6", "0c1d2e3f"):
        make_version(hosts[0], flow_run=flow_run)
    registries(hosts)[0].promote("2", by="ada@a", reason="the best")
    later = datetime.now(UTC) + timedelta(days=60)
    remove(removable(hosts[0], None, Retention(keep_versions=1), later), hosts[0])
    assert make_version(hosts[1], flow_run="5bcf73b6") == "3"
    assert registries(hosts)[0].versions() == ["2", "3"]


def test_a_decision_of_one_is_that_of_all(hosts: list[Path]) -> None:
    for host in hosts[:2]:
        make_version(host)
    one, other, third, _ = registries(hosts)
    one.promote("1", by="ada@a", reason="the first")
    other.promote("2", by="bob@b", reason="better")
    assert [registry.champion() for registry in registries(hosts)] == ["2"] * HOSTS
    third.rollback(by="eve@c", reason="worse")
    assert [registry.champion() for registry in registries(hosts)] == ["1"] * HOSTS
    contents = {registry.ledger.path.read_bytes() for registry in registries(hosts)}
    assert len(contents) == 1
    for host in hosts:  # what a model server reads is whole everywhere
        assert (host / "serving" / "tiny" / "1" / "model.keras").exists()


def test_a_champion_whose_files_were_not_fetched_yet_is_whole(hosts: list[Path]) -> None:
    """Regression: the morning page of another machine said that it must be restored, or rolled back."""
    make_version(hosts[0])
    registries(hosts)[0].promote("1", by="ada@a", reason="the first")
    (status,) = statuses(hosts[1], datetime.now(UTC))
    assert status.champion
    assert (status.champion.version, status.champion.problem, status.needs) == ("1", "", [])


def test_a_decision_against_an_old_champion_is_refused(hosts: list[Path]) -> None:
    for host in hosts[:2]:
        make_version(host)
    one, other, *_ = registries(hosts)
    one.promote("1", by="ada@a", reason="the first")
    old = Decision(verdict="promoted", champion=None, challenger="2", sentence="promoted tiny 2: the first")
    with pytest.raises(ChampionChangedError):
        other.record(old, by="a run")


def killing(*arguments: object) -> dict[str, Any]:
    """What tests.hemline.registry.killing_shared saw, in a process that may fork."""
    command = [sys.executable, "-m", "tests.hemline.registry.killing_shared", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_twenty_processes_that_promote_at_once_leave_twenty_lines(
    s3: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On 4 machines, and a store that fails at every seventh write, in turn before and after it was carried out."""
    with unreliable(s3) as proxy:
        use(proxy.address, monkeypatch)
        faults = (fault for turn in count() for fault in [*[""] * 6, ("lost", "busy", "conflict", "half")[turn % 4]])
        proxy.fault = lambda request: next(faults) if request.writes() else ""
        seen = killing("promoters", tmp_path, bucket, 20)
    assert seen["exit_codes"] == [0] * 21
    use(s3, monkeypatch)
    copies = [Registry(machine(tmp_path / f"{number}", bucket, monkeypatch), "tiny") for number in range(4)]
    ledgers = [registry.entries() for registry in copies]
    assert all(ledger == ledgers[0] for ledger in ledgers)
    assert sorted(entry.by for entry in ledgers[0]) == sorted(f"{number}@host" for number in range(1, 21))
    assert [entry.at for entry in ledgers[0]] == sorted(entry.at for entry in ledgers[0])
    shared = shared_at(copies[0].directory)
    assert shared
    last = ledgers[0][-1].version
    assert json.loads(shared.read("champion.json"))["version"] == last
    assert [registry.champion() for registry in copies] == [last] * 4


@pytest.mark.slow
@pytest.mark.parametrize("operation", ["publish", "promote"])
def test_whenever_its_writer_is_killed_the_store_is_whole(bucket: str, tmp_path: Path, operation: str) -> None:
    """Before and after each request, by SIGKILL: the machine itself goes on, and so does another."""
    seen = killing("every", tmp_path, bucket, operation)
    assert seen["problems"] == []
    assert seen["kills"] > 6


def test_a_decision_stands_while_the_store_is_away_and_its_alias_follows(
    hosts: list[Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: it was an error, so a person took it for not made; and nobody brought the store's alias there."""
    make_version(hosts[0])
    here, there, *_ = registries(hosts)

    def away(*of: object) -> None:
        raise StorageError("the shared store must be reachable")

    with monkeypatch.context() as patch:
        patch.setattr(Shared, "put_newer", away)
        assert here.promote("1", by="ada@a", reason="the first").champion_after == "1"
    assert "what is decided is in the ledger" in caplog.text
    shared = shared_at(hosts[0])
    assert shared
    assert "registry/tiny/champion.json" not in set(shared.names(""))
    assert there.champion() == "1"
    assert json.loads(shared.read("registry/tiny/champion.json"))["version"] == "1"
    assert here.champion() == "1"
    assert here.served.is_at("1")


def test_what_one_prunes_is_gone_everywhere(hosts: list[Path]) -> None:
    for _ in range(3):
        make_version(hosts[0])
    registries(hosts)[1].promote("3", by="ada@a", reason="the best")
    assert all(registry.versions() == ["1", "2", "3"] for registry in registries(hosts))
    later = datetime.now(UTC) + timedelta(days=60)
    remove(removable(hosts[2], None, Retention(keep_versions=1), later), hosts[2])
    assert [registry.versions() for registry in registries(hosts)] == [["3"]] * HOSTS
    assert make_version(hosts[1]) == "4"
    shared = shared_at(hosts[0])
    assert shared
    assert not [name for name in shared.names("models/tiny/") if name.startswith(("1/", "2/"))]


def test_a_copy_may_be_removed(hosts: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    make_version(hosts[0])
    registries(hosts)[0].promote("1", by="ada@a", reason="the first")
    for part in ("models", "registry", "serving"):
        shutil.rmtree(hosts[0] / part)
    assert registries(hosts)[0].champion() == "1"
    assert registries(hosts)[0].verified("1")


def test_a_store_without_conditional_writes_is_refused(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import obstore

    put = obstore.put
    monkeypatch.setattr(obstore, "put", lambda store, key, content, **of: put(store, key, content))
    with pytest.raises(StorageError, match=r"must have conditional writes.*a second writer created what was there"):
        make_version(machine(tmp_path, bucket, monkeypatch))
