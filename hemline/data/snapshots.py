"""Snapshots of data in the store that machines share: what one has prepared, the others need not prepare again.

    send(ref, artifacts)                        # once for each content, after what the run has sent so far
    ref = found(ref, decoded, artifacts)        # the data that a record names, from here or from there; None: gone
    for ref in newest("mnist", artifacts): ...  # what there is of data/decoded/mnist

`snapshots/NAME/FINGERPRINT/` there is what `data/decoded/NAME@FINGERPRINT` is here. dataset.json comes last: a snapshot
is whole or invisible. What is fetched is held against the digests of its record. The list of a folder's files has the
times of its machine, so it is there under its own digest: equal pictures of two machines are sent once.
"""

import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from hemline.data.dataset import LOCK, RECORD, DatasetRef, require_whole
from hemline.data.folder import LISTING, listing_of
from hemline.errors import DatasetError
from hemline.storage import run_copies
from hemline.storage.files import Taken, json_bytes, whole_directory, write_json
from hemline.storage.locks import locked
from hemline.storage.shared import Shared, shared_at

log = logging.getLogger(__name__)

SNAPSHOTS = "snapshots"  # of a store


class Stored(NamedTuple):
    """A snapshot in the store."""

    path: Path  # in this machine's copy, where nothing is
    bytes: int
    changed: datetime
    whole: bool


def send(ref: DatasetRef, artifacts: Path) -> None:
    """Has it uploaded, unless it is there. Returns at once; the run does not end before it is done."""
    if shared := shared_at(_path(ref, artifacts)):
        run_copies.send(partial(_send, ref, shared, set()))


def _send(ref: DatasetRef, shared: Shared, sent: set[Path]) -> None:
    """sent: files that an earlier try has uploaded. Newer data may take the place of what is being sent, or is."""
    there = set(shared.names(""))
    try:
        if ref.listing and _listing(ref) not in there:
            shared.upload(listing_of(ref), _listing(ref))
        while RECORD not in there:
            directory = require_whole(ref)  # once more after the last of them
            if not (left := [path for name in _arrays(ref) if (path := directory / name) not in sent]):
                with suppress(Taken):  # another machine was faster, with the same
                    shared.create(RECORD, json_bytes(ref.record()))
                return
            with suppress(FileNotFoundError):  # newer data takes its place just now
                for path in left:
                    shared.upload(path, path.name)
                    sent.add(path)
    except DatasetError as error:
        log.warning("%s is not in the shared store, so no other machine can go on with this run: %s", ref.aside, error)


def found(ref: DatasetRef, decoded: Path, artifacts: Path) -> DatasetRef | None:
    """The same data on this machine, every byte as it was. decoded: the directory of what is decoded here."""
    here = ref.model_copy(update={"path": decoded / ref.path.name})
    if whole := _whole(ref) or _whole(here):
        return whole
    if shared_at(artifacts):
        decoded.mkdir(parents=True, exist_ok=True)
        with locked(decoded.parent / LOCK):
            return _whole(here) or (here if fetch(here, artifacts, to=here.aside) else None)
    return None


def fetch(ref: DatasetRef, artifacts: Path, to: Path) -> bool:
    """Whether it is in the store, whole; then it is here too. Needs LOCK. to: its directory, which is replaced."""
    if not (shared := shared_at(_path(ref, artifacts))):
        return False
    try:
        with whole_directory(to, replace=True) as directory:
            copy = ref.model_copy(update={"path": directory})
            for name in _arrays(ref):
                shared.download(name, directory / name)
            if ref.listing:
                shared.download(_listing(ref), directory / LISTING)
            _require_all(copy)
            write_json(directory / RECORD, ref.record())
    except FileNotFoundError:
        return False
    except DatasetError as error:
        log.warning("%s of the shared store is not used: %s", ref.aside.name, error)
        return False
    log.info("fetched %s from the shared store", ref.aside.name)
    return True


def newest(name: str, artifacts: Path) -> Iterator[DatasetRef]:
    """All of one name, newest first; their paths are those of the machines that made them."""
    if shared := shared_at(artifacts / SNAPSHOTS / name):
        whole = [each for each in shared.objects("") if each.name.endswith(f"/{RECORD}")]
        for each in sorted(whole, key=lambda each: each.changed, reverse=True):
            with suppress(FileNotFoundError, ValueError):  # pruned meanwhile; of another Hemline
                yield DatasetRef.model_validate_json(shared.read(each.name))


def replaced(artifacts: Path) -> list[Stored]:
    """All in the store but the newest whole one of each name."""
    stored, shared = list[Stored](), shared_at(artifacts / SNAPSHOTS)
    objects = shared.objects("") if shared else ()
    for directory, files in groupby(objects, key=lambda each: each.name.rpartition("/")[0]):
        names, sizes, times = zip(*files, strict=True)
        whole = f"{directory}/{RECORD}" in names
        stored.append(Stored(artifacts / SNAPSHOTS / directory, sum(sizes), max(times), whole))
    newest = {each.path.parent: each for each in sorted(stored, key=lambda each: each.changed) if each.whole}
    return [each for each in stored if each != newest.get(each.path.parent)]


def withdraw(path: Path) -> None:
    """Removes a snapshot from the store: first its record. path: as `replaced` has it."""
    if shared := shared_at(path):
        shared.delete([RECORD])
        shared.delete(list(shared.names("")))


def _path(ref: DatasetRef, artifacts: Path) -> Path:
    name, _, fingerprint = ref.aside.name.rpartition("@")
    return artifacts / SNAPSHOTS / name / fingerprint


def _arrays(ref: DatasetRef) -> list[str]:
    """A split whose name could lead out of the snapshot is left out: it is not whole then."""
    splits = filter(str.isidentifier, ref.splits)
    return [f"{split}-{kind}" for split in splits for kind in ("images.u8", "labels.i4")]


def _listing(ref: DatasetRef) -> str:
    return f"{(ref.listing or '')[:16]}-{LISTING}"


def _whole(ref: DatasetRef) -> DatasetRef | None:
    with suppress(DatasetError):
        _require_all(ref)
        return ref
    return None


def _require_all(ref: DatasetRef) -> None:
    """Raises DatasetError unless the arrays are as they were, and the list of the files that they were made of."""
    require_whole(ref)
    if ref.listing:
        listing_of(ref)
