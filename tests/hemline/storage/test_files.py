"""A reader never sees half of a file, whatever happens to the writer."""

import errno
import hashlib
import json
import os
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from hemline.errors import StorageError
from hemline.storage import files
from hemline.storage.files import require_writable, sha256_of, whole_directory, whole_file, write_json


def names(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_a_file_appears_at_the_end_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.parquet"
    with whole_file(path) as temporary:
        assert temporary.suffix == ".parquet"  # writers choose the format by it
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert names(tmp_path) == ["new", "new/table.parquet"]


@pytest.mark.parametrize("written", ["", "half"])
def test_an_exception_leaves_the_old_file_and_no_temporary(tmp_path: Path, written: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), whole_file(path) as temporary:  # noqa: PT012
        if written:
            temporary.write_text(written)
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert names(tmp_path) == ["table.csv"]


def test_a_new_file_takes_the_place_of_the_old(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with whole_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_a_directory_appears_at_the_end_with_everything_in_it(tmp_path: Path) -> None:
    path = tmp_path / "models" / "1"
    with whole_directory(path) as temporary:
        (temporary / "charts").mkdir()
        (temporary / "charts" / "a.svg").write_text("a")
        assert not path.exists()
    assert names(path) == ["charts", "charts/a.svg"]
    assert names(path.parent) == ["1", "1/charts", "1/charts/a.svg"]


def test_a_directory_can_be_read_by_others(tmp_path: Path) -> None:
    # Regression: mkdtemp's 0700 hid a published model from the server that serves it.
    with whole_directory(tmp_path / "1"):
        pass
    assert (tmp_path / "1").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("replace", [False, True])
def test_an_exception_leaves_the_old_directory_and_no_temporary(tmp_path: Path, replace: bool) -> None:
    path = tmp_path / "data"
    path.mkdir()
    (path / "a").write_text("old")
    with pytest.raises(KeyboardInterrupt), whole_directory(path, replace=replace) as temporary:  # noqa: PT012
        (temporary / "a").write_text("new")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["data", "data/a"]
    assert (path / "a").read_text() == "old"


def test_a_taken_directory_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "1"
    with pytest.raises(files.Taken, match="1 was made by another writer"), whole_directory(path) as temporary:  # noqa: PT012
        (temporary / "a").write_text("mine")
        path.mkdir()
        (path / "a").write_text("theirs")
    assert names(tmp_path) == ["1", "1/a"]
    assert (path / "a").read_text() == "theirs"


def test_replace_makes_way(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.mkdir()
    (path / "old").touch()
    with whole_directory(path, replace=True) as temporary:
        (temporary / "new").touch()
        assert names(path) == ["old"]
    assert names(tmp_path) == ["data", "data/new"]


def test_json_is_for_people_and_has_no_nan(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": [1, 2.5]})
    assert json.loads(path.read_text()) == {"a": [1, 2.5]}
    assert path.read_text().endswith("}\n")
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, float("nan"))
    assert json.loads(path.read_text()) == {"a": [1, 2.5]}
    assert names(tmp_path) == ["a.json"]


def test_a_digest_is_of_the_files_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"hemline")
    assert sha256_of(path) == hashlib.sha256(b"hemline").hexdigest()


def test_a_writable_directory_is_made_and_left_empty(tmp_path: Path) -> None:
    require_writable(tmp_path / "a" / "b")
    assert names(tmp_path) == ["a", "a/b"]


def test_a_directory_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    directory = tmp_path / "file" / "artifacts"
    with pytest.raises(StorageError) as caught:
        require_writable(directory)
    message = str(caught.value)
    assert message.startswith("artifacts_dir must be writable.")
    assert f"Received: artifacts_dir={directory} (Not a directory)." in message
    assert message.endswith("Set artifacts_dir to a directory this user can write to.")


def test_a_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, files.NEEDED_BYTES - 1))
    with pytest.raises(StorageError) as caught:
        require_writable(tmp_path)
    assert str(caught.value) == (
        "artifacts_dir must have 67,108,864 bytes free. "
        f"Received: artifacts_dir={tmp_path} with 67,108,863. Make room, or set artifacts_dir to another disk."
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, files.NEEDED_BYTES))
    require_writable(tmp_path)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("writer", [whole_file, whole_directory])
def test_a_disk_that_fills_while_writing_is_a_sentence(writer: Any, code: int, tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match=f"room and permission to write .*{os.strerror(code)}"),
        writer(tmp_path / "a"),
    ):
        raise OSError(code, os.strerror(code))
    assert names(tmp_path) == []


@pytest.mark.parametrize("writer", [whole_file, whole_directory])
def test_an_error_of_tensorflows_own_is_one_too(writer: Any, tmp_path: Path) -> None:
    """Regression: a checkpoint on a full disk was 232 lines of traceback. TensorFlow and HDF5 have no errno."""
    for error in (
        tf.errors.ResourceExhaustedError(None, None, f"{tmp_path}/state.index; No space left on device"),
        OSError("Can't write data (file write failed: errno = 28, error message = 'No space left on device')"),
    ):
        with pytest.raises(StorageError, match=r"Received: No space left on device\. What was"), writer(tmp_path / "a"):
            raise error
    assert names(tmp_path) == []


def test_a_refusal_inside_stays_what_it_is(tmp_path: Path) -> None:
    inner = StorageError("Received: No space left on device")
    with pytest.raises(StorageError) as caught, whole_file(tmp_path / "a"):
        raise inner
    assert caught.value is inner


def test_another_error_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "a"):
        (tmp_path / "missing").read_text()
