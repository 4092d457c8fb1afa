"""Versions between this machine's copy and the store that machines share. Nothing is done where there is no store.

    claim(artifacts, "shoes", "8")                      # Taken, if another machine makes that number
    push(directory, artifacts, "shoes", "8", flow_run)  # all its files, and its line in the index last
    pull(artifacts, "shoes")                            # the manifests of all in the index; what is not there goes
    fetch(artifacts / "models" / "shoes" / "8", names)  # files of its manifest that are not here yet
    withdraw(artifacts / "models" / "shoes" / "8")      # the other way round

The index has an object for each version, `published/<name>/<number>`: a version is in it and whole, or invisible. What
is fetched is verified like everything else: by the checksums of the manifest. Before that a flow run says which number
is its version's, `flow-runs/<name>/<id>`: one that was cut off and goes on elsewhere makes no second one.
"""

import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TypeVar
from uuid import uuid4

from hemline.registry.signatures import SIGNATURE
from hemline.storage.files import Taken, delete, whole_directory
from hemline.storage.runs import MODELS
from hemline.storage.shared import Shared, shared_at

MANIFEST = "manifest.json"
DIGEST = "manifest.sha256"  # in the format of `sha256sum -c`
T = TypeVar("T")
INDEX, CLAIMS, OWNERS = "published", "claims", "flow-runs"


class Published(Exception):
    """Another process of the same flow run has made its version."""


def claimed(artifacts: Path, name: str) -> list[str] | None:
    """Every number that some machine has begun to make a version of; None where there is no store."""
    shared = shared_at(artifacts)
    return list(shared.names(f"{CLAIMS}/{name}/")) if shared else None


def claim(artifacts: Path, name: str, version: str) -> None:
    """Raises Taken if another writer makes that version. A claim stays, so a number does not come back."""
    if shared := shared_at(artifacts):
        shared.create(f"{CLAIMS}/{name}/{version}", uuid4().hex.encode())


def push(directory: Path, artifacts: Path, name: str, version: str, flow_run: str) -> None:
    """Makes a version visible to all, from a directory that holds it. Raises Published: the flow run has another."""
    if shared := shared_at(artifacts):
        paths = [path for path in directory.rglob("*") if path.is_file()]
        _each(lambda path: shared.upload(path, _key(name, version, path.relative_to(directory).as_posix())), paths)
        owner = f"{OWNERS}/{name}/{flow_run}"
        with suppress(Taken, FileNotFoundError):  # FileNotFoundError: that version was pruned
            try:
                shared.create(owner, version.encode())
            except Taken:
                earlier = shared.read(owner).decode()
                # All its files were there before; its process may have ended before it was in the index.
                digest = shared.read(_key(name, earlier, DIGEST))
                shared.create(f"{INDEX}/{name}/{earlier}", digest)
                raise Published(f"{name} {earlier} is the version of the flow run {flow_run}") from None
        shared.create(f"{INDEX}/{name}/{version}", (directory / DIGEST).read_bytes())


def pull(artifacts: Path, name: str | None = None) -> None:
    """Brings the directories of versions, of one name or of all, to where the index is. Files are fetched when used."""
    if not (shared := shared_at(artifacts)):
        return
    # First what is here: a version that is made meanwhile is in the index before it is here.
    here = {f"{path.parent.name}/{path.name}" for path in (artifacts / MODELS).glob(f"{name or '*'}/[1-9]*")}
    of = f"{name}/" if name else ""
    there = {of + version for version in shared.names(f"{INDEX}/{of}")}
    _each(lambda version: _pull_manifest(shared, artifacts / MODELS / version), there - here)
    delete(*(artifacts / MODELS / version for version in here - there))


def _pull_manifest(shared: Shared, path: Path) -> None:
    with suppress(Taken), whole_directory(path) as directory:  # Taken: by another process of this machine
        for name in (MANIFEST, DIGEST, SIGNATURE):
            with suppress(FileNotFoundError):  # not every version is signed
                shared.download(_key(path.parent.name, path.name, name), directory / name)


def fetch(path: Path, names: Iterable[str]) -> bool:
    """Files of a version that are not here; whether it is shared. A name that leads out of it is left out."""
    if shared := shared_at(path):
        inside = [name for name in names if not {"..", "/"} & {*PurePosixPath(name).parts}]
        # Beside the version: another process that verifies it meanwhile finds no file that is not in its manifest.
        with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as scratch:
            _each(lambda name: shared.download(name, Path(scratch) / name), inside)
            for name in inside:
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(scratch) / name).replace(path / name)
    return shared is not None


def withdraw(path: Path) -> None:
    """Removes a version from the store: first from the index."""
    if shared := shared_at(path.parents[2]):
        name, version = path.parent.name, path.name
        shared.delete([f"{INDEX}/{name}/{version}"])
        shared.delete([_key(name, version, file) for file in shared.names(_key(name, version, ""))])


def _key(name: str, version: str, file: str) -> str:
    return f"{MODELS}/{name}/{version}/{file}"


def _each(do: Callable[[T], None], these: Iterable[T]) -> None:
    """A store takes as long for one as for several at once."""
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(do, these))
