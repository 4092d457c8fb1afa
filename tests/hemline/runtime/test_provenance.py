"""Where a run comes from."""

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import keras
import pytest

from hemline.records.run import Record, TrainedRun
from hemline.runtime import provenance as module
from hemline.runtime.provenance import provenance
from tests.hemline.conftest import FinishedRun


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with one commit of one file."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "someone")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "someone@example.org")
    (tmp_path / "file").write_text("one")
    for command in (["init", "-q"], ["add", "file"], ["commit", "-q", "-m", "first"], ["tag", "v1"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def test_a_commit_is_its_whole_hash_whatever_tags_there_are(checkout: Path) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, check=True, capture_output=True, text=True)
    assert provenance(checkout)["git_commit"] == head.stdout.strip()


def test_a_changed_file_makes_it_dirty(checkout: Path) -> None:
    (checkout / "file").write_text("two")
    assert re.fullmatch(r"[0-9a-f]{40}-dirty", provenance(checkout)["git_commit"])


def test_there_is_no_commit_outside_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance(tmp_path)["git_commit"] is None
    assert provenance(tmp_path / "missing")["git_commit"] is None


def test_there_is_no_commit_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance(tmp_path)["git_commit"] is None


def test_an_image_says_of_which_commit_it_is_and_a_checkout_knows_better(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_checkout = provenance(checkout)["git_commit"]
    monkeypatch.setenv("HEMLINE_COMMIT", "0123abc-dirty")
    assert provenance(checkout / "missing")["git_commit"] == "0123abc-dirty"
    assert provenance(checkout)["git_commit"] == of_checkout
    monkeypatch.setenv("HEMLINE_COMMIT", "")  # as an image has it that was built without the argument
    assert provenance(checkout / "missing")["git_commit"] is None


def test_versions_are_those_that_are_imported(tmp_path: Path) -> None:
    versions = provenance(tmp_path)["packages"]
    assert versions["keras"] == keras.__version__
    assert set(versions) <= {"python", *module.PACKAGES}
    assert {"python", "tensorflow", "numpy", "hemline"} <= set(versions)


def test_the_time_is_utc(tmp_path: Path) -> None:
    created = provenance(tmp_path)["created"]
    assert created.utcoffset() == timedelta(0)
    assert created <= datetime.now(UTC)


def test_json_and_back_is_the_same_record(finished: FinishedRun) -> None:
    assert Record.model_validate_json(finished.record.model_dump_json()) == finished.record
    assert TrainedRun.model_validate_json(finished.trained.model_dump_json()) == finished.trained
