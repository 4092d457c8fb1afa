"""Files that appear whole or not at all.

    with whole_file(path) as temporary: frame.to_parquet(temporary)     # a sibling, renamed onto path at the end
    with whole_directory(path) as temporary: ...                        # likewise; must not exist yet

What was at `path` stays until the new content is on disk, and for good if writing fails. A killed writer leaves its
temporary behind, whose name `is_temporary` knows.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from hemline.errors import HemlineError, StorageError

FULL_OR_CLOSED = {code: os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)}
NEEDED_BYTES = 64 * 2**20  # a run of the default network writes about 4 MB
# What whole_file, tempfile's directories and `hide` call their temporaries; all are hidden.
_TEMPORARY = re.compile(r"\..+-(\d+(\.[\w-]+)?|[a-z0-9_]{8}(-old)?|deleted)")


# Held while something appears under its name. `hemline.storage.attempts` sets it: a process may lose that right.
permission: Callable[[], AbstractContextManager[None]] = nullcontext
# Told of each file and directory once it is there under its name. `hemline.storage.run_copies` sets it.
appeared: Callable[[Path], object] = Path


class Taken(Exception):
    """Another writer made the directory first."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary sibling of `path` with the same suffix, which becomes `path` on success."""
    # Parquet, Keras and matplotlib choose the format by the suffix.
    temporary = path.with_name(f".{path.stem}-{threading.get_native_id()}{path.suffix}")  # the process, or its thread
    try:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            sync(temporary)
            with permission():
                temporary.replace(path)
            sync(path.parent)
            appeared(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_directory(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """A temporary sibling directory, which becomes `path` on success. Raises Taken if there is one already.

    replace: an existing directory makes way instead; for a moment there is none.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        old = temporary.with_name(f"{temporary.name}-old")
        try:
            yield temporary
            for entry in [*temporary.rglob("*"), temporary]:
                if not entry.is_symlink():  # which may lead to what is not there; its directory has it
                    sync(entry)
            temporary.chmod(0o755)  # mkdtemp's 0700 would hide a model from the server that serves it
            with permission():
                if replace and path.exists():
                    path.rename(old)
                try:
                    temporary.rename(path)
                except OSError as error:
                    if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                        raise Taken(f"{path} was made by another writer") from error
                    raise
            sync(path.parent)
            appeared(path)
        finally:
            for leftover in (temporary, old):
                shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Raises StorageError for a disk that is full or cannot be written, which is no bug."""
    try:
        yield
    except HemlineError:
        raise
    except Exception as error:  # TensorFlow and HDF5 have errors of their own, with the system's words in their text
        number, text = getattr(error, "errno", None), str(error)
        problem = next((words for code, words in FULL_OR_CLOSED.items() if code == number or words in text), None)
        if problem is None:
            raise
        raise StorageError(
            f"there must be room and permission to write {path}. Received: {problem}. What was written "
            "before is whole; make room or choose another directory, and start the run again."
        ) from error


def sync(path: Path) -> None:
    """Waits until a file's content, or a directory's names, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hide(path: Path) -> Path:
    """Renames to a temporary's name, so that readers see all of it or nothing, and `delete` removes it."""
    if is_temporary(path):
        return path
    hidden = path.with_name(f".{path.name}-deleted")
    with storage_errors(path):
        if hidden.exists():  # left by a killed deletion of the same name
            delete(hidden)
        path.rename(hidden)
    return hidden


def delete(*paths: Path) -> None:
    """Removes files or directories, once they are hidden for good. A killed deletion leaves them to the next prune."""
    every = list(map(hide, paths))
    for directory in {path.parent for path in every}:  # a disk's wait for each directory, not for each path
        with suppress(FileNotFoundError):  # another prune has removed it, with all that was in it
            sync(directory)
    for hidden in every:
        if hidden.is_dir() and not hidden.is_symlink():
            shutil.rmtree(hidden, ignore_errors=True)
        else:
            hidden.unlink(missing_ok=True)


def is_temporary(path: Path) -> bool:
    """Whether the name is one that a killed writer may have left."""
    return _TEMPORARY.fullmatch(path.name) is not None


def write_json(path: Path, value: Any) -> None:
    """Indented JSON; refuses NaN, which JSON does not have."""
    with whole_file(path) as temporary:
        temporary.write_bytes(json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """What `write_json` writes."""
    return f"{json.dumps(value, indent=2, allow_nan=False)}\n".encode()


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a directory."""
    return sum(stat.st_size for _, stat in files_of(path))


def files_of(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Name and status of a file, or of each that is still there in a directory; a link is a file, and not followed."""
    if path.is_symlink() or not path.is_dir():
        yield path.name, path.lstat()
        return
    with suppress(FileNotFoundError), os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from files_of(Path(entry.path))
            else:
                with suppress(FileNotFoundError):  # a live process's temporary
                    yield entry.name, entry.stat(follow_symlinks=False)


def require_writable(directory: Path, field: str = "artifacts_dir") -> None:
    """Raises StorageError unless the directory can be made, written to, and has room for a run."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError as error:
        raise StorageError(
            f"{field} must be writable. Received: {field}={directory} ({error.strerror}). "
            f"Set {field} to a directory this user can write to."
        ) from error
    free = shutil.disk_usage(directory).free
    if free < NEEDED_BYTES:
        raise StorageError(
            f"{field} must have {NEEDED_BYTES:,} bytes free. Received: {field}={directory} with {free:,}. "
            f"Make room, or set {field} to another disk."
        )
