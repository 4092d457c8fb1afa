"""Prepared data in the store that machines share: sent once, whole or invisible, verified where it is fetched."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hemline.config.data import DataConfig
from hemline.data import decoding, snapshots
from hemline.data.dataset import DatasetRef, load_split, require_whole
from hemline.data.folder import names
from hemline.errors import DatasetError, StorageError
from hemline.registry.prune import Retention, removable, remove
from hemline.storage.attempts import attempt
from hemline.storage.files import write_json
from hemline.storage.remote import Object, Remote
from hemline.storage.shared import Shared, shared_at
from tests.hemline.conftest import write_dataset
from tests.hemline.data.albums import write_album
from tests.hemline.registry.published import RECORD, make_version
from tests.hemline.storage.faults import Proxy, unreliable
from tests.hemline.storage.s3 import machine, use


class Host:
    """A machine with this root, which shares the bucket."""

    def __init__(self, root: Path, bucket: str, patch: pytest.MonkeyPatch):
        self.root, self.artifacts, self.decoded = root, machine(root, bucket, patch), root / "data" / "decoded"

    def dataset(self, examples: int = 300, name: str = "mnist") -> DatasetRef:
        """As it is decoded here."""
        ref = write_dataset(self.decoded / name, {"train": examples, "test": 70}, "mnist/3.0.1")
        write_json(ref.path / "dataset.json", ref.record())
        return ref

    def stored(self) -> list[str]:
        shared = shared_at(self.artifacts / "snapshots")
        assert shared
        return sorted(shared.names(""))


@pytest.fixture
def hosts(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Host]:
    return [Host(tmp_path / name, bucket, monkeypatch) for name in ("a", "b")]


@pytest.fixture
def proxy(s3: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with unreliable(s3) as between:
        use(between.address, monkeypatch)
        yield between


def test_what_one_sends_another_finds(hosts: list[Host]) -> None:
    here, there = hosts
    ref = here.dataset()
    snapshots.send(ref, here.artifacts)
    snapshot = f"mnist/{ref.fingerprint[:16]}"
    files = ("dataset.json", "test-images.u8", "test-labels.i4", "train-images.u8", "train-labels.i4")
    assert here.stored() == [f"{snapshot}/{name}" for name in files]
    shutil.rmtree(here.decoded)  # as if it were of another machine
    found = snapshots.found(ref, there.decoded, there.artifacts)
    assert found
    assert (found.path, found.fingerprint) == (there.decoded / "mnist", ref.fingerprint)
    assert require_whole(found) == there.decoded / f"mnist@{ref.fingerprint[:16]}"
    assert len(load_split(found, "train")[0]) == 300


def test_who_has_it_or_finds_it_there_sends_and_fetches_nothing(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = hosts
    snapshots.send(here.dataset(), here.artifacts)
    shared_at(there.artifacts)  # which tries its store the first time
    monkeypatch.setattr(Remote, "upload", lambda *of: pytest.fail("it is there"))
    monkeypatch.setattr(Remote, "create", lambda *of: pytest.fail("it is there"))
    monkeypatch.setattr(Remote, "download", lambda *of: pytest.fail("it is here"))
    same = there.dataset()
    snapshots.send(same, there.artifacts)
    assert snapshots.found(here.dataset(), there.decoded, there.artifacts)
    newer = there.dataset(examples=301)
    assert snapshots.found(newer, there.decoded, there.artifacts) == newer


def test_where_artifacts_are_not_shared_nothing_is_done(tmp_path: Path) -> None:
    ref = write_dataset(tmp_path / "decoded" / "mnist", {"train": 300, "test": 70})
    snapshots.send(ref, tmp_path / "artifacts")
    assert list(snapshots.newest("mnist", tmp_path / "artifacts")) == snapshots.replaced(tmp_path) == []
    assert snapshots.found(ref, tmp_path / "decoded", tmp_path / "artifacts") == ref
    (ref.path / "train-labels.i4").write_bytes(b"")
    assert snapshots.found(ref, tmp_path / "decoded", tmp_path / "artifacts") is None


def test_an_upload_that_is_cut_off_is_invisible_and_the_next_one_makes_it_whole(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is cut off."""
    here, there = hosts
    ref, upload, sent = here.dataset(), Shared.upload, list[str]()

    def cut_off(self: Shared, path: Path, name: str) -> None:
        if len(sent) == stop:
            raise StorageError("the shared store must be reachable")
        sent.append(name)
        upload(self, path, name)

    for stop in range(4):
        sent.clear()
        with monkeypatch.context() as patch:
            patch.setattr(Shared, "upload", cut_off)
            with pytest.raises(StorageError):
                snapshots.send(ref, here.artifacts)
        assert len(here.stored()) == stop
        assert list(snapshots.newest("mnist", there.artifacts)) == []
    snapshots.send(ref, here.artifacts)
    assert [each.fingerprint for each in snapshots.newest("mnist", there.artifacts)] == [ref.fingerprint]


def test_what_newer_data_replaces_while_it_is_sent_is_sent_as_it_was(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or there would be newer pixels under the fingerprint of older ones."""
    here, there = hosts
    ref, upload = here.dataset(), Shared.upload

    def replaced(self: Shared, path: Path, name: str) -> None:
        if not ref.aside.exists():
            ref.path.rename(ref.aside)
            here.dataset(examples=301)
        upload(self, path, name)

    monkeypatch.setattr(Shared, "upload", replaced)
    snapshots.send(ref, here.artifacts)
    assert len(here.stored()) == 5
    shutil.rmtree(here.decoded)
    found = snapshots.found(ref, there.decoded, there.artifacts)
    assert found
    assert len(load_split(found, "train")[0]) == 300


def test_what_is_gone_here_is_not_sent_and_the_run_goes_on(hosts: list[Host], caplog: pytest.LogCaptureFixture) -> None:
    here, _ = hosts
    ref = here.dataset()
    (ref.path / "train-labels.i4").write_bytes(b"")
    snapshots.send(ref, here.artifacts)
    assert here.stored() == []
    assert f"{ref.aside} is not in the shared store, so no other machine can go on with this run" in caplog.text


def test_what_was_changed_in_the_store_is_not_used(hosts: list[Host], caplog: pytest.LogCaptureFixture) -> None:
    here, there = hosts
    snapshots.send(ref := here.dataset(), here.artifacts)
    shared = shared_at(here.artifacts)
    assert shared
    content, tag = shared.remote.read(key := shared.key(f"snapshots/mnist/{ref.fingerprint[:16]}/test-labels.i4"))
    shared.remote.replace(key, content[::-1], tag)
    shutil.rmtree(here.decoded)
    assert snapshots.found(ref, there.decoded, there.artifacts) is None
    assert "test-labels.i4 must have the SHA-256" in caplog.text
    assert list(there.decoded.iterdir()) == []


def test_a_record_leads_nowhere_else(hosts: list[Host]) -> None:
    """Whoever can write to the store could name a file of this machine."""
    here, there = hosts
    ref = here.dataset()
    snapshots.send(ref, here.artifacts)
    shared = shared_at(here.artifacts)
    assert shared
    shared.create("snapshots/mnist/stray-images.u8", b"1")
    lying = ref.model_copy(update={"splits": ref.splits | {"../stray": ref.split("test")}})
    assert snapshots.fetch(lying, there.artifacts, there.decoded / "mnist") is False
    assert not list(there.root.rglob("*stray*"))


def test_a_run_does_not_wait_but_for_its_end(hosts: list[Host], proxy: Proxy) -> None:
    """What it sends lies before its checkpoints: who finds one of those finds the data."""
    here, _ = hosts
    run, ref = here.artifacts / "runs" / "2026-11-29-shoes-5bcf73b6", here.dataset()
    run.mkdir(parents=True)
    (run / "config.json").write_text("{}")
    with attempt(run, owner="5bcf73b6"):
        away = [True]
        proxy.fault = lambda request: "busy" if away[0] else ""
        snapshots.send(ref, here.artifacts)  # returns
        write_json(run / "checkpoints" / "epoch-00001-step-000000" / "record.json", {})
        away[0] = False
    sent = [request.path.rpartition("/")[2] for request in proxy.requests if request.writes()]
    assert sent.index("train-images.u8") < sent.index("dataset.json") < sent.index("record.json")
    assert len(here.stored()) == 5


def test_a_new_machine_takes_a_data_set_of_tfds_from_the_store(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here, there = hosts
    ref = here.dataset()
    snapshots.send(ref, here.artifacts)
    other = ref.model_copy(update={"full_name": "mnist/2.0.0"})  # sent last, by a machine with another TFDS
    snapshots.send(other, here.artifacts)
    monkeypatch.setattr(decoding, "decode", lambda config: pytest.fail("it is there"))
    config = DataConfig(dataset="mnist", data_dir=there.root / "data")
    found = decoding.prepare(config, there.artifacts)
    assert (found.fingerprint, found.path) == (ref.fingerprint, there.decoded / "mnist")
    assert decoding.verified(config) == found
    assert json.loads((found.path / "dataset.json").read_bytes())["fingerprint"] == ref.fingerprint


@pytest.mark.parametrize("dataset", ["another version", "a folder", "a builder", "a known fingerprint"])
def test_what_the_store_cannot_vouch_for_is_made_here(
    hosts: list[Host], dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = hosts
    folder = write_album(there.root / "pets", {"": 20})
    name, version = {
        "another version": ("mnist", "mnist/2.0.0"),
        "a folder": (f"folder:{folder}", "folder:pets"),
        "a builder": ("tests.hemline.data.builders:Sketches", "sketches/1.2.0"),
        "a known fingerprint": ("fashion_mnist", "fashion_mnist/3.0.1"),
    }[dataset]
    config = DataConfig(dataset=name, data_dir=there.root / "data")
    ref = here.dataset(name=config.decoded_path.name).model_copy(update={"full_name": version})
    snapshots.send(ref, here.artifacts)
    made: list[DataConfig] = []

    def decode(config: DataConfig) -> DatasetRef:
        made.append(config)
        return ref

    monkeypatch.setattr(decoding, "decode", decode)
    decoding.prepare(config, there.artifacts)
    assert made == [config]


def test_pictures_of_a_folder_keep_their_names(hosts: list[Host]) -> None:
    """Two machines have the same pictures with other times: their arrays are there once, and both lists."""
    refs = []
    for host in hosts:
        folder = write_album(host.root / "pets", {"": 20})
        config = DataConfig(dataset=f"folder:{folder}", data_dir=host.root / "data")
        ref = decoding.prepare(config, host.artifacts)
        named = host.decoded / "pets"  # where a folder lies is part of the name
        ref.path.rename(named)
        refs.append(ref.model_copy(update={"path": named}))
        snapshots.send(refs[-1], host.artifacts)
    first, second = refs
    assert first.fingerprint == second.fingerprint
    assert first.listing != second.listing
    before = [[names(ref, split, 0) for split in ("train", "test")] for ref in refs]
    assert len(hosts[0].stored()) == 5 + 2
    for ref in refs:
        shutil.rmtree(ref.path)
    for host, ref, expected in zip(hosts, reversed(refs), reversed(before), strict=True):
        found = snapshots.found(ref, host.decoded, host.artifacts)
        assert found
        assert [names(found, split, 0) for split in ("train", "test")] == expected


def test_a_list_of_files_that_was_changed_names_nothing(hosts: list[Host]) -> None:
    here, _ = hosts
    folder = write_album(here.root / "pets", {"": 20})
    ref = decoding.prepare(DataConfig(dataset=f"folder:{folder}", data_dir=here.root / "data"))
    (ref.path / "files.csv").write_text("")
    with pytest.raises(DatasetError, match=r"must be as it was written. Received: .*files.csv"):
        names(ref, "train", 0)


def test_prune_removes_what_nothing_needs(hosts: list[Host], monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest of each name, what a version was trained on, and what a run anywhere may go on with stay."""
    here, there = hosts
    refs = [here.dataset(examples) for examples in (301, 302, 303, 304, 305)]
    for examples, ref in zip((301, 302, 303, 304, 305), refs, strict=True):
        assert here.dataset(examples) == ref
        snapshots.send(ref, here.artifacts)
    of_version, of_run, of_ended_run, of_nothing, newest = refs
    make_version(here.artifacts, record=RECORD.model_copy(update={"fingerprint": of_version.fingerprint}))
    for number, ref in enumerate((of_run, of_ended_run)):
        run = here.artifacts / "runs" / f"2026-11-29-shoes-0000000{number}"
        write_json(run / "config.json", {"name": "shoes"})
        with attempt(run, owner=str(number)):
            write_json(run / "dataset.json", ref.record())
            if ref is of_ended_run:
                write_json(run / "trained.json", {"sentence": "validation accuracy 0.7500"})

    objects = Remote.objects

    def in_their_order(self: Remote, prefix: str, after: str | None = None) -> Iterator[Object]:
        """All are there since the same second, which is as much as the server says."""
        for each in objects(self, prefix, after):
            number = next((number for number, ref in enumerate(refs) if ref.fingerprint[:16] in each.name), 0)
            yield each._replace(changed=each.changed + timedelta(seconds=number))

    monkeypatch.setattr(Remote, "objects", in_their_order)

    def kept() -> list[DatasetRef]:
        there_is = {each.split("/")[1] for each in there.stored()}
        return [ref for ref in refs if ref.fingerprint[:16] in there_is]

    now = datetime.now(UTC)
    assert [each.kind for each in removable(there.artifacts, None, Retention(), now)] == []
    later = now + timedelta(days=40)
    removed = remove(removable(there.artifacts, None, Retention(), later), there.artifacts)
    assert {each.path.name for each in removed if each.kind == "snapshot"} == {
        ref.fingerprint[:16] for ref in (of_ended_run, of_nothing)
    }
    assert all(each.bytes > 303 * 16 for each in removed if each.kind == "snapshot")
    assert kept() == [of_version, of_run, newest]
