"""A store that answers late, twice, with an error after it has done what was asked, or not at all."""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hemline.errors import StorageError
from hemline.storage import remote, run_copies
from hemline.storage.attempts import attempt
from hemline.storage.files import Taken, whole_file
from hemline.storage.remote import Remote, Stale
from hemline.storage.shared import shared_at
from tests.hemline.storage.faults import Proxy, Request, first, unreliable
from tests.hemline.storage.s3 import machine, new_bucket, use

FAULTS = ("busy", "conflict", "lost", "half", "silent")


@pytest.fixture
def proxy(s3: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setattr(remote, "TIMEOUT", timedelta(seconds=2))
    monkeypatch.setattr(remote, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(remote, "TRIES", 3)
    monkeypatch.setattr(run_copies, "AGAIN_SECONDS", 0.01)
    with unreliable(s3) as between:
        use(between.address, monkeypatch)
        yield between


@pytest.fixture
def url(s3: str) -> str:
    return new_bucket(s3)


def writes(request: Request) -> bool:
    return request.method in ("PUT", "POST")


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_fails_once_is_done_once(proxy: Proxy, url: str, tmp_path: Path, fault: str) -> None:
    """Regression: after a time-out, or a 409 to one of two who wrote at once, a write of its own was an error."""
    store = Remote(url)
    proxy.fault = first(1, fault, writes)
    store.create("ledger/1", b"mine")
    content, tag = store.read("ledger/1")
    proxy.fault = first(1, fault, writes)
    store.replace("ledger/1", b"newer", tag)
    (tmp_path / "file").write_bytes(content * 1000)
    proxy.fault = first(1, fault, writes)
    store.upload(tmp_path / "file", "file")
    store.download("file", tmp_path / "again")
    assert (store.read("ledger/1")[0], (tmp_path / "again").read_bytes()) == (b"newer", content * 1000)
    proxy.fault = first(1, fault, writes)
    store.delete("file")
    assert [each.name for each in store.objects("")] == ["ledger/1"]


@pytest.mark.parametrize("fault", FAULTS)
def test_who_comes_second_hears_of_it_however_the_answer_is_lost(proxy: Proxy, url: str, fault: str) -> None:
    store = Remote(url)
    store.create("line", b"theirs")
    proxy.fault = first(1, fault, writes)
    with pytest.raises(Taken):
        store.create("line", b"mine")
    _, tag = store.read("line")
    store.replace("line", b"theirs, newer", tag)
    proxy.fault = first(1, fault, writes)
    with pytest.raises(Stale):
        store.replace("line", b"mine", tag)
    assert store.read("line")[0] == b"theirs, newer"


@pytest.mark.parametrize("fault", [*FAULTS, "short"])
def test_a_large_file_is_whole_or_not_there(proxy: Proxy, url: str, tmp_path: Path, fault: str) -> None:
    """In pieces, of which some fail; the end of an upload may be carried out without an answer."""
    store, large, seen = Remote(url), tmp_path / "large", list[Request]()
    large.write_bytes(os.urandom(3 * remote.PIECE + 1))
    for number in (0, 2, 5):  # of the requests that it takes: its beginning, a piece, its end
        seen.clear()

        def fails(request: Request, number: int = number) -> str:
            seen.append(request)
            return fault if len(seen) == number + 1 and (writes(request) or fault == "short") else ""

        proxy.fault = fails
        store.upload(large, f"large-{number}")
        seen.clear()
        store.download(f"large-{number}", tmp_path / "again")
        assert (tmp_path / "again").read_bytes() == large.read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_half_an_upload_is_invisible(proxy: Proxy, url: str, tmp_path: Path) -> None:
    """The store is away from the second piece on."""
    store, large = Remote(url), tmp_path / "large"
    large.write_bytes(bytes(2 * remote.PIECE))
    proxy.fault = lambda request: "half" if "partNumber=2" in request.query else ""
    with pytest.raises(StorageError, match=rf"the shared store must be reachable. Received: {url}/large: "):
        store.upload(large, "large")
    assert list(store.objects("")) == []
    with pytest.raises(FileNotFoundError):
        store.download("large", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_what_is_replaced_while_it_is_fetched_is_no_mixture(proxy: Proxy, url: str, tmp_path: Path) -> None:
    store, large = Remote(url), tmp_path / "large"
    large.write_bytes(b"a" * (2 * remote.PIECE))
    store.upload(large, "large")
    large.write_bytes(b"b" * (2 * remote.PIECE))
    gets: list[Request] = []

    def replaced(request: Request) -> str:
        gets.extend([request] * (request.method == "GET"))
        if len(gets) == 3:  # of the second piece
            proxy.fault = lambda request: ""
            Remote(url).upload(large, "large")
        return ""

    proxy.fault = replaced
    with pytest.raises(StorageError):
        store.download("large", tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("fault", ["busy", "silent"])
def test_a_store_that_stays_away_is_named_in_a_sentence(
    proxy: Proxy, url: str, tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "TIMEOUT", timedelta(seconds=0.2))
    store, file = Remote(url), tmp_path / "file"
    file.write_bytes(b"1")
    proxy.fault = lambda request: fault
    asked: list[Callable[[], object]] = [
        lambda: store.create("a", b"1"),
        lambda: store.read("a"),
        lambda: store.replace("a", b"1", "tag"),
        lambda: store.upload(file, "a"),
        lambda: store.download("a", file),
        lambda: list(store.objects("a")),
        lambda: store.delete("a"),
    ]
    for ask in asked:
        with pytest.raises(StorageError, match=rf"must be reachable. Received: {url}/a: .*look at its address"):
            ask()
    assert file.read_bytes() == b"1"


def test_a_bucket_that_is_not_there_is_named_in_a_sentence(proxy: Proxy, tmp_path: Path) -> None:
    """Regression: a FileNotFoundError of a key, and files of a run that were silently not sent."""
    store = Remote("s3://no-such-bucket/hemline")
    (tmp_path / "file").write_bytes(b"1")
    with pytest.raises(StorageError, match="s3://no-such-bucket/hemline/a: "):
        store.create("a", b"1")
    with pytest.raises(StorageError, match="s3://no-such-bucket/hemline/a: "):
        store.upload(tmp_path / "file", "a")
    with pytest.raises(StorageError, match=r"s3://no-such-bucket/hemline/\.probe"):
        store.require_conditional_writes()


def test_what_a_run_could_not_send_stays_and_is_sent_the_next_time(
    proxy: Proxy, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: only what the next attempt wrote was sent, so a third one on another machine lacked the rest."""
    monkeypatch.setattr(run_copies, "PATIENCE", 0.5)
    run = machine(tmp_path / "host", url, monkeypatch) / "runs" / "2026-11-29-shoes-5bcf73b6"
    run.mkdir(parents=True)
    (run / "config.json").write_text("{}")

    def work() -> None:
        with attempt(run, owner="5bcf73b6"):
            proxy.fault = lambda request: "busy"
            for name in ("dataset.json", "iterations.parquet/epoch-00001.parquet", "epochs.csv"):
                with whole_file(run / name) as temporary:
                    temporary.write_text(f"content of {name}")

    with pytest.raises(StorageError, match="must be reachable"):
        work()
    assert (run / "epochs.csv").read_text() == "content of epochs.csv"
    proxy.fault = lambda request: ""
    monkeypatch.setattr(run_copies, "PATIENCE", 60.0)
    before = len(proxy.requests)
    with attempt(run, owner="5bcf73b6"):
        pass
    shared = shared_at(run)
    assert shared
    assert {"config.json", "dataset.json", "epochs.csv", "iterations.parquet/epoch-00001.parquet"} < set(
        shared.names("")
    )
    sent = [request.path.rpartition("/")[2] for request in proxy.requests[before:] if request.writes()]
    assert sent.index("dataset.json") < sent.index("epoch-00001.parquet") < sent.index("epochs.csv")
