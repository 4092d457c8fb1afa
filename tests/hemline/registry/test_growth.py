"""What many nights cost, counted in files that are opened: as much as is asked for, however many there are."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from hemline.config.gate import Gate
from hemline.data.dataset import DatasetRef
from hemline.errors import RegistryError
from hemline.gate.judging import judge
from hemline.records.run import FlowRun
from hemline.registry import champion, ledger, prune, versions
from hemline.registry.catalogue import decision_rows, find, run_rows, version_rows
from hemline.registry.champion import Registry
from hemline.registry.prune import Retention, removable, remove
from hemline.storage import files
from hemline.storage.attempts import attempt
from hemline.storage.files import write_json
from hemline.storage.locks import is_locked
from tests.hemline.conftest import write_dataset
from tests.hemline.registry.published import RECORD, make_version

_counting: list[Counter[Path]] = []


def _on_event(event: str, arguments: tuple[object, ...]) -> None:
    if _counting and event == "open" and isinstance(path := arguments[0], str | os.PathLike):
        _counting[-1][Path(path)] += 1


sys.addaudithook(_on_event)  # for good; it counts only while somebody asks


@contextmanager
def opened() -> Iterator[Counter[Path]]:
    """How often each file is opened while the block runs."""
    _counting.append(Counter())
    try:
        yield _counting[-1]
    finally:
        _counting.pop()


def of(name: str, found: Counter[Path]) -> int:
    return sum(number for path, number in found.items() if path.name == name)


@pytest.fixture(scope="module", params=[4, 24])
def nights(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Versions of as many runs, each the champion after the one before it. Tests only look at it."""
    return make_nights(tmp_path_factory.mktemp("artifacts"), request.param)


def make_nights(artifacts: Path, number: int) -> Registry:
    registry = Registry(artifacts, "tiny")
    for night in range(1, number + 1):
        flow_run = FlowRun(id=f"{night:08}-0000", name="nightly")
        record = RECORD.model_copy(update={"flow_run": flow_run, "identity": f"identity {night}."})
        registry.promote(make_version(artifacts, record=record), by=flow_run.name, reason="better")
        run = artifacts / "runs" / f"2026-01-01-nightly-{flow_run.id[:8]}"
        write_json(run / "config.json", record.config.model_dump(mode="json"))
        (run / "model.keras").write_bytes(b"weights")
        with attempt(run, flow_run.id):
            pass
    return registry


@pytest.mark.parametrize(
    ("look", "times"),
    [
        (lambda artifacts: run_rows(artifacts), 0),
        (lambda artifacts: version_rows(artifacts), 1),
        (lambda artifacts: decision_rows(artifacts), 1),
        (lambda artifacts: find(artifacts, "champion"), 2),
        (lambda artifacts: find(artifacts, "nightly-00000002"), 1),
        (lambda artifacts: removable(artifacts, None, Retention(keep_versions=1, keep_days=0), datetime.now(UTC)), 1),
        (lambda artifacts: versions.next_version(artifacts, "tiny"), 1),
    ],
)
def test_looking_reads_the_ledger_so_often(look: Callable[[Path], object], times: int, nights: Registry) -> None:
    with opened() as found:
        assert look(nights.artifacts)
    assert of("ledger.jsonl", found) == times


def test_lists_read_no_model_and_each_manifest_once(nights: Registry) -> None:
    number = len(nights.versions())
    with opened() as found:
        assert [row.versions for row in run_rows(nights.artifacts)] == [[str(n)] for n in range(1, number + 1)]
    assert (of("model.keras", found), of(versions.MANIFEST, found), of("config.json", found)) == (0, number, number)
    with opened() as found:
        assert len(version_rows(nights.artifacts)) == number
    assert (of("model.keras", found), of(versions.MANIFEST, found)) == (0, number)


def test_showing_a_version_verifies_that_one_alone(nights: Registry) -> None:
    with opened() as found:
        find(nights.artifacts, "2")
    touched = {path.relative_to(nights.models).parts[0] for path in found if path.is_relative_to(nights.models)}
    assert touched == {"2"}


def test_what_a_run_has_published_is_found_without_hashing_the_others(nights: Registry, tmp_path: Path) -> None:
    number = len(nights.versions())
    with opened() as found:
        assert versions.published_by(nights.artifacts, "tiny", tmp_path, "nobody's") is None
        assert list(versions.made_from(nights.artifacts, "tiny", "identity 0.")) == []
    assert {path.name for path in found} == {versions.MANIFEST}
    assert of(versions.MANIFEST, found) == 2 * number
    with opened() as found:
        made = versions.published_by(nights.artifacts, "tiny", tmp_path, "00000003-0000")
        (same,) = versions.made_from(nights.artifacts, "tiny", "identity 3.")
    assert made
    assert made.version == same.version == "3"
    assert of("model.keras", found) == 2


def test_of_many_versions_of_one_identity_only_what_is_asked_for_is_verified(tmp_path: Path) -> None:
    """Regression: all of them were, each night, to say that nothing had changed."""
    for _ in range(5):
        make_version(tmp_path, record=RECORD.model_copy(update={"identity": "the same"}))
    with opened() as found:
        assert next(versions.made_from(tmp_path, "tiny", "the same")).version == "5"
    assert of("model.keras", found) == 1


def test_a_digits_mention_elsewhere_is_no_match(nights: Registry, tmp_path: Path) -> None:
    """The text of a manifest may have another's digits in it; its fields decide."""
    assert versions.published_by(nights.artifacts, "tiny", tmp_path, "nightly") is None
    assert list(versions.made_from(nights.artifacts, "tiny", "tiny")) == []


@pytest.mark.parametrize("number", [3, 12])
def test_a_decision_reads_the_ledger_once_and_appends_to_what_it_read(number: int, tmp_path: Path) -> None:
    registry = make_nights(tmp_path, number)
    with opened() as found:
        registry.promote("1", by="ada", reason="as before")
    assert of("ledger.jsonl", found) == 2  # read, appended
    assert of("model.keras", found) == 1
    with opened() as found:
        registry.rollback(by="ada", reason="not as before")
    assert of("ledger.jsonl", found) == 3  # and read for the champion before
    assert of("model.keras", found) == 1


@pytest.mark.parametrize("number", [2, 9])
def test_a_judgement_verifies_each_of_its_two_versions_once(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = write_dataset(tmp_path / "data", {"test": 200, "train": 300})
    registry = Registry(tmp_path, "tiny")
    record = RECORD.model_copy(update={"dataset": dataset, "fingerprint": dataset.fingerprint})
    for _ in range(number):
        registry.promote(make_version(tmp_path, record=record), by="a", reason="b")
    challenger, verified = make_version(tmp_path, record=record), list[str]()
    verify = champion.verify

    def noted(path: Path) -> versions.Manifest:
        verified.append(path.name)
        return verify(path)

    monkeypatch.setattr(champion, "verify", noted)
    with opened() as found:
        decision = judge(registry, challenger, dataset, Gate(), "night", same_answers(dataset))
    assert decision.verdict == "kept"
    assert verified == [challenger, str(number), challenger]  # the last time by the ledger, whose line has its digest
    assert of("ledger.jsonl", found) == 3  # read, and read and appended under the lock


def same_answers(dataset: DatasetRef) -> Callable[[Path, np.ndarray], np.ndarray]:
    return lambda path, images: np.zeros((len(images), len(dataset.class_names)))


# --- prune


@pytest.fixture(params=[4, 54])
def pruned(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Registry, list[prune.Removal]]:
    """Versions and runs of which all but the newest few may go."""
    registry = make_nights(tmp_path, 3)
    for night in range(request.param):
        make_version(tmp_path)
        (tmp_path / "runs" / f"night-{night}").mkdir()
    looked = removable(
        tmp_path, None, Retention(keep_versions=1, keep_runs=0, keep_days=0), datetime.now(UTC) + timedelta(1)
    )
    assert len(looked) == 2 * request.param + 3
    return registry, looked


def test_pruning_reads_the_ledger_once_for_all_versions(pruned: tuple[Registry, list[prune.Removal]]) -> None:
    registry, looked = pruned
    with opened() as found:
        assert remove(looked, registry.artifacts) == looked
    assert of("ledger.jsonl", found) == 1
    assert of(ledger.LOCK, found) == 1
    assert len(registry.versions()) == 3  # champion, predecessor, newest


def test_pruning_waits_for_the_disk_once_for_each_directory(
    pruned: tuple[Registry, list[prune.Removal]], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, looked = pruned
    waited: list[Path] = []
    monkeypatch.setattr(files, "sync", waited.append)
    remove(looked, registry.artifacts)
    assert sorted(waited) == [registry.models, registry.artifacts / "runs"]


def test_what_goes_is_hidden_for_good_before_any_of_it_is_removed_and_nobody_is_kept_waiting(
    pruned: tuple[Registry, list[prune.Removal]], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, looked = pruned
    waited, removed = list[Path](), list[Path]()
    monkeypatch.setattr(files, "sync", waited.append)

    def rmtree(path: Path, ignore_errors: bool) -> None:
        assert len(waited) == 2
        assert not any(removal.path.exists() for removal in looked)
        assert not is_locked(registry.directory / ledger.LOCK)
        removed.append(path)

    monkeypatch.setattr("shutil.rmtree", rmtree)
    remove(looked, registry.artifacts)
    assert len(removed) == len(looked)


# --- the line that is appended


def test_a_ledger_that_has_changed_since_it_was_read_takes_no_line(tmp_path: Path) -> None:
    """Whoever appends says to what: so a line that was not read, and is cut off with its end, cannot get lost."""
    registry = make_nights(tmp_path, 2)
    before = registry.decisions()
    registry.protect("1", by="ada", reason="in the paper")
    now = registry.ledger.path.read_bytes()
    with registry.ledger.locked(), pytest.raises(RegistryError, match=r"must stay as it was read .* Decide again"):
        registry.ledger.append(before.entries[-1], after=before)
    assert registry.ledger.path.read_bytes() == now
    read = registry.decisions()
    registry.ledger.path.write_bytes(cut := now[: now.rindex(b"\n", 0, -1) + 1])
    with registry.ledger.locked(), pytest.raises(RegistryError, match=r"must stay as it was read"):
        registry.ledger.append(before.entries[-1], after=read)
    assert registry.ledger.path.read_bytes() == cut


def test_a_line_follows_only_what_was_verified(tmp_path: Path) -> None:
    """Regression: its digest was made of the file as it was by then, which made a change in that moment right."""
    registry = make_nights(tmp_path, 2)
    read = registry.decisions()
    changed = registry.ledger.path.read_bytes().replace(b"better", b"bitter")
    registry.ledger.path.write_bytes(changed)
    again = read.entries[-1].model_copy(update={"reason": "again"})
    with registry.ledger.locked(), pytest.raises(RegistryError, match=r"must stay as it was read"):
        registry.ledger.append(again, after=read)
    with pytest.raises(RegistryError, match=r"line 1: "):
        registry.decisions()


def test_what_is_returned_is_what_is_read(tmp_path: Path) -> None:
    registry = make_nights(tmp_path, 3)
    read = registry.decisions()
    with registry.ledger.locked():
        after = registry.ledger.append(read.entries[-1].model_copy(update={"champion_before": "3"}), after=read)
    assert after == registry.decisions()
