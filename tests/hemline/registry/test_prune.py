"""Old things go, by count and age; what is in use, protected or young never does."""

import json
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hemline.errors import RegistryError
from hemline.registry.champion import Registry
from hemline.registry.prune import Removal, Retention, removable, remove, summary
from hemline.registry.versions import verify
from hemline.storage.files import is_temporary, size_of, whole_directory, whole_file
from hemline.storage.locks import locked
from hemline.storage.runs import lease
from tests.hemline.registry.published import make_version

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def age(path: Path, days: float) -> Path:
    """Makes everything in it as old as that."""
    moment = (NOW - timedelta(days=days)).timestamp()
    for inner in [*path.rglob("*"), path]:
        os.utime(inner, (moment, moment))
    return path


def write(path: Path, content: str = "content") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def make_run(artifacts: Path, name: str, days: float, finished: bool = True) -> Path:
    run = artifacts / "runs" / name
    write(run / "config.json")
    write(run / "run.lock", "")
    write(run / "checkpoints" / "epoch-00001-step-000000" / "state")
    if finished:
        write(run / "report.html")
    return age(run, days)


def found(artifacts: Path, retention: Retention) -> list[str]:
    """What would be removed, relative to artifacts."""
    return [str(removal.path.relative_to(artifacts)) for removal in removable(artifacts, None, retention, NOW)]


def removed(artifacts: Path, retention: Retention) -> list[str]:
    """What was removed, relative to artifacts."""
    removals = remove(removable(artifacts, None, retention, NOW), artifacts)
    return [str(removal.path.relative_to(artifacts)) for removal in removals]


def everything(directory: Path) -> dict[str, float]:
    return {str(path.relative_to(directory)): path.stat().st_mtime for path in directory.rglob("*")}


ONLY_VERSIONS = Retention(keep_versions=1, keep_days=30)


def test_versions_that_are_neither_new_nor_young_go(tmp_path: Path) -> None:
    for days in (100, 90, 31, 29, 50, 40):  # 4 is younger than its successors
        age(tmp_path / "models" / "tiny" / make_version(tmp_path), days)
    assert found(tmp_path, Retention(keep_versions=2)) == ["models/tiny/1", "models/tiny/2", "models/tiny/3"]
    assert found(tmp_path, Retention(keep_versions=2, keep_days=95)) == ["models/tiny/1"]
    assert found(tmp_path, Retention(keep_versions=6, keep_days=0)) == []


def test_looking_changes_nothing(tmp_path: Path) -> None:
    for _ in range(3):
        age(tmp_path / "models" / "tiny" / make_version(tmp_path), 90)
    make_run(tmp_path, "a", 90)
    before = everything(tmp_path)
    assert len(found(tmp_path, Retention(keep_versions=1, keep_runs=0))) == 3
    assert everything(tmp_path) == before


def test_deleting_removes_what_looking_said(tmp_path: Path) -> None:
    for _ in range(3):
        age(tmp_path / "models" / "tiny" / make_version(tmp_path), 90)
    make_run(tmp_path, "old", 90)
    make_run(tmp_path, "done", 10)
    write(tmp_path / "models" / "tiny" / ".9-abcdefgh" / "model.keras")
    age(tmp_path / "models" / "tiny" / ".9-abcdefgh", 2)
    retention = Retention(keep_versions=2, keep_runs=1)
    looked = removable(tmp_path, None, retention, NOW)
    assert [removal.kind for removal in looked] == ["version", "checkpoints", "run", "leftover"]
    before = size_of(tmp_path)
    deleted = remove(looked, tmp_path)
    assert deleted == looked
    lock = tmp_path / "registry" / "tiny" / "ledger.lock"
    assert lock.exists()  # an empty file
    assert size_of(tmp_path) == before - sum(removal.bytes for removal in deleted)
    assert not any(removal.path.exists() for removal in deleted)
    assert found(tmp_path, retention) == []
    assert sorted(path.name for path in (tmp_path / "models" / "tiny").iterdir()) == ["2", "3"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["done"]


def test_the_champion_its_predecessor_and_protected_versions_stay(tmp_path: Path) -> None:
    for _ in range(6):
        age(tmp_path / "models" / "tiny" / make_version(tmp_path), 90)
    registry = Registry(tmp_path, "tiny")
    for version in ("1", "2", "3"):
        registry.promote(version, by="a", reason="b")
    registry.protect("4", by="a", reason="b")
    assert found(tmp_path, ONLY_VERSIONS) == ["models/tiny/1", "models/tiny/5"]
    registry.unprotect("4", by="a", reason="b")
    registry.rollback(by="a", reason="b")  # to 2, before which there was 1
    assert removed(tmp_path, ONLY_VERSIONS) == ["models/tiny/3", "models/tiny/4", "models/tiny/5"]
    assert registry.verified(registry.champion() or "").version == "2"
    registry.rollback(by="a", reason="b")


def test_what_becomes_champion_meanwhile_stays(tmp_path: Path) -> None:
    for _ in range(3):
        age(tmp_path / "models" / "tiny" / make_version(tmp_path), 90)
    looked = removable(tmp_path, None, ONLY_VERSIONS, NOW)
    assert [removal.path.name for removal in looked] == ["1", "2"]
    Registry(tmp_path, "tiny").promote("1", by="a", reason="b")
    assert [removal.path.name for removal in remove(looked, tmp_path)] == ["2"]
    assert Registry(tmp_path, "tiny").verified("1")


def test_a_ledger_that_cannot_be_read_stops_everything(tmp_path: Path) -> None:
    for _ in range(3):
        age(tmp_path / "models" / "tiny" / make_version(tmp_path), 90)
    write(tmp_path / "registry" / "tiny" / "ledger.jsonl", "not an entry\n")
    with pytest.raises(RegistryError, match=r"line 1"):
        removable(tmp_path, None, ONLY_VERSIONS, NOW)
    assert Registry(tmp_path, "tiny").versions() == ["1", "2", "3"]


def test_runs_that_are_neither_new_nor_young_go(tmp_path: Path) -> None:
    for name, days in {"a": 5, "b": 60, "c": 40, "d": 31}.items():
        make_run(tmp_path, name, days, finished=False)
    assert found(tmp_path, Retention(keep_runs=2)) == ["runs/c", "runs/b"]
    assert found(tmp_path, Retention(keep_runs=0)) == ["runs/d", "runs/c", "runs/b"]
    assert found(tmp_path, Retention(keep_runs=0, keep_days=50)) == ["runs/b"]


def test_only_finished_runs_lose_their_checkpoints_before_they_go(tmp_path: Path) -> None:
    make_run(tmp_path, "done", 8)
    make_run(tmp_path, "young", 6)
    make_run(tmp_path, "killed", 8, finished=False)
    assert removed(tmp_path, Retention()) == ["runs/done/checkpoints"]
    assert sorted(path.name for path in (tmp_path / "runs" / "done").iterdir()) == [
        "config.json",
        "report.html",
        "run.lock",
    ]
    # And are no younger for it: the run goes when it would have gone.
    assert found(tmp_path, Retention(keep_runs=0, keep_days=7)) == ["runs/done", "runs/killed"]


def test_a_run_that_is_written_stays(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", 90)
    write(run / ".epochs-4711.csv")
    age(run, 90)
    retention = Retention(keep_runs=0)
    with lease(run):
        assert removed(tmp_path, retention) == []
    assert (run / ".epochs-4711.csv").exists()
    assert removed(tmp_path, retention) == ["runs/a"]


def test_a_run_that_is_started_meanwhile_stays(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", 90)
    (looked,) = removable(tmp_path, None, Retention(keep_runs=0), NOW)
    with lease(run):
        assert remove([looked], tmp_path) == []
    assert (run / "config.json").exists()
    assert remove([looked], tmp_path) == [looked]
    assert remove([looked], tmp_path) == []  # by another prune, before


def test_leftovers_of_killed_processes_go_after_a_day(tmp_path: Path) -> None:
    artifacts, data = tmp_path / "artifacts", tmp_path / "data"
    run = make_run(artifacts, "a", 3)
    left = [
        write(artifacts / "models" / "tiny" / ".1-x_0abcde" / "charts" / "a.svg").parents[1],
        write(artifacts / "registry" / "tiny" / ".champion-77.json"),
        write(run / ".model-123.keras"),
        write(run / ".saved_model-abcdefgh-old" / "saved_model.pb").parent,
        write(run / "checkpoints" / ".epoch-00002-step-000000-abcdefgh" / "state").parent,
        write(run / "iterations.parquet" / ".epoch-00001-12.parquet"),
        write(data / ".apt-abcdefgh" / "lists" / "a").parents[1],
        write(data / ".gzip-abcdefgh" / "train.gz").parent,
        write(data / "decoded" / ".fashion_mnist-abcdefgh" / "train-images.u8").parent,
    ]
    for other in (
        artifacts / "models" / "tiny" / ".gitkeep",
        artifacts / "models" / "tiny" / ".htaccess",
        data / ".hemline.lock",
        data / "downloads" / ".abc-12345678",  # made by TFDS
        run / ".hidden" / "file",
    ):
        write(other)
    age(tmp_path, 0.9)
    assert removable(artifacts, data, Retention(), NOW) == []
    age(tmp_path, 1.1)
    with lease(run), locked(data / ".hemline.lock"):
        assert {removal.path for removal in removable(artifacts, data, Retention(), NOW)} == set(left[:2])
    age(tmp_path, 1.1)
    removals = remove(removable(artifacts, data, Retention(), NOW), artifacts)
    assert {removal.path for removal in removals} == set(left)
    assert {removal.kind for removal in removals} == {"leftover"}
    assert not any(path.exists() for path in left)
    assert (data / "downloads" / ".abc-12345678").exists()


def test_a_snapshot_goes_when_nothing_that_stays_refers_to_it(tmp_path: Path) -> None:
    artifacts, decoded = tmp_path / "artifacts", tmp_path / "data" / "decoded"
    make_version(artifacts, "1")
    used = verify(artifacts / "models" / "tiny" / "1").fingerprint
    begun = make_run(artifacts, "begun", 99, finished=False)
    written = make_run(artifacts, "written", 99)
    finished = make_run(artifacts, "finished", 99)
    for run, fingerprint in ((begun, "b" * 64), (written, "c" * 64), (finished, "d" * 64)):
        write(run / "dataset.json", json.dumps({"fingerprint": fingerprint}))
    for fingerprint in (used, "b" * 64, "c" * 64, "d" * 64, "e" * 64):
        age(write(decoded / f"pets@{fingerprint[:16]}" / "train-images.u8").parent, 31)
    write(decoded / "pets" / "train-images.u8")
    age(decoded / "pets", 99)
    age(write(decoded / f"pets@{'f' * 16}" / "train-images.u8").parent, 29)
    with lease(written):
        removals = remove(removable(artifacts, tmp_path / "data", Retention(), NOW), artifacts)
    snapshots = [removal.path.name for removal in removals if removal.kind == "snapshot"]
    assert snapshots == [f"pets@{'d' * 16}", f"pets@{'e' * 16}"]
    left = {path.name for path in decoded.iterdir()}
    assert left == {"pets", *(f"pets@{each[:16]}" for each in (used, "b" * 16, "c" * 16, "f" * 16))}
    assert "2 snapshots of data" in summary(removals)


def test_a_leftover_in_which_something_was_touched_has_a_writer(tmp_path: Path) -> None:
    temporary = write(tmp_path / "models" / "tiny" / ".1-abcdefgh" / "saved_model" / "variables" / "data").parents[2]
    age(temporary, 50)
    assert len(removable(tmp_path, None, Retention(), NOW)) == 1
    age(temporary / "saved_model" / "variables" / "data", 0.5)
    assert removable(tmp_path, None, Retention(), NOW) == []


def test_what_a_killed_prune_began_is_finished_at_once(tmp_path: Path) -> None:
    age(write(tmp_path / "models" / "tiny" / ".1-deleted" / "rest").parent, 0)
    age(write(tmp_path / "runs" / ".a-deleted" / "rest").parent, 0)
    assert removed(tmp_path, Retention()) == ["models/tiny/.1-deleted", "runs/.a-deleted"]
    assert everything(tmp_path).keys() == {"models", "models/tiny", "runs"}


def test_a_run_of_the_same_name_as_one_half_deleted_goes_too(tmp_path: Path) -> None:
    write(tmp_path / "runs" / ".a-deleted" / "rest")
    make_run(tmp_path, "a", 90)
    (looked,) = [removal for removal in removable(tmp_path, None, Retention(keep_runs=0), NOW) if removal.kind == "run"]
    assert remove([looked], tmp_path) == [looked]
    assert everything(tmp_path).keys() == {"runs"}


def test_every_temporary_that_is_made_is_known_and_nothing_else(tmp_path: Path) -> None:
    with whole_file(tmp_path / "epochs.csv") as file, whole_directory(tmp_path / "1") as directory:
        file.touch()
        prefixes = [tempfile.mkdtemp(prefix=prefix, dir=tmp_path) for prefix in (".apt-", ".gzip-")]
        for path in (file, directory, *map(Path, prefixes)):
            assert is_temporary(path)
    for name in ("1", ".1", ".hemline.lock", "a-12345678", ".gitignore", ".a-toolongforit", ".a-short", ".-1"):
        assert not is_temporary(tmp_path / name), name


def test_a_summary_says_how_many_bytes(tmp_path: Path) -> None:
    removals = [
        Removal(kind="version", name="tiny", path=tmp_path, bytes=1_400_000, days=40),
        Removal(kind="leftover", name=None, path=tmp_path, bytes=34, days=2),
    ]
    assert (
        summary(removals)
        == "1 versions, 0 runs, 0 runs' checkpoints, 0 snapshots of data, 1 leftovers: 1,400,034 bytes"
    )


@settings(max_examples=40)
@given(
    ages=st.lists(st.integers(0, 100), min_size=1, max_size=8),
    keep=st.integers(1, 8),
    days=st.integers(0, 100),
)
def test_the_shape_of_retention(
    ages: list[int], keep: int, days: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    artifacts = tmp_path_factory.mktemp("artifacts")
    for number, old in enumerate(ages, start=1):
        age(write(artifacts / "models" / "tiny" / str(number) / "model.keras").parent, old)
    gone = {int(Path(name).name) for name in found(artifacts, Retention(keep_versions=keep, keep_days=days))}
    assert gone == {n for n, old in enumerate(ages, start=1) if n <= len(ages) - keep and old > days}
    assert len(ages) not in gone  # so that its number does not come back
