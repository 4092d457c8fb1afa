"""Decodes a data set once, into raw arrays; TFDS would decode PNGs at 5 s an epoch.

    ref = prepare(DataConfig(), artifacts)      # seconds the first time, then milliseconds
    examples = examples_of(config)              # a TFDS data set or a folder: refused here if it cannot be used

It holds a batch at a time. Decoded arrays are used again only while every byte has its SHA-256 and their source is what
it was: a folder, while it lists the same files, sizes and times; a TFDS data set, while its version is theirs. What
changed is decoded anew, and set aside if its content did: hemline.data.dataset. A machine that has nothing of a TFDS
data set takes it from the store that it shares, if another has sent that version there: hemline.data.snapshots.
"""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hemline.config.data import DataConfig
from hemline.data import snapshots
from hemline.data.dataset import AGAIN, LOCK, RECORD, DatasetRef, require_whole, write_split
from hemline.data.folder import FolderExamples
from hemline.errors import DatasetError
from hemline.storage.files import require_writable, whole_directory, write_json
from hemline.storage.locks import locked

log = logging.getLogger(__name__)

# What upstream's files decode to: a prepared TFDS directory has no checksums of its own.
KNOWN_FINGERPRINTS = {"fashion_mnist/3.0.1": "7fb9c19b5a4fd2abc97e9033ba0cce9d9ad1b559f825309c75ab1ae0f6191faf"}


class Examples(Protocol):
    """What is decoded, whatever it comes from."""

    full_name: str
    class_names: list[str]
    image_shape: tuple[int, int, int]

    def prepare(self) -> None:
        """Gets ready to be read; takes long only once."""

    def batches(self, split: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Images (B, H, W, C) uint8 and labels (B,) of a split, always in the same order."""

    def leave(self, directory: Path) -> dict[str, Any]:
        """Writes what is to lie beside the arrays; further fields of their record."""

    def were(self, ref: DatasetRef) -> bool:
        """Whether what was decoded is what there is now."""


def examples_of(config: DataConfig) -> Examples:
    """The data set's examples, before anything is read or fetched. Raises DatasetError if they cannot be used."""
    if config.folder:
        return FolderExamples(config)
    from hemline.data.tfds_examples import TfdsExamples  # TFDS and TensorFlow take seconds to import

    return TfdsExamples(config)


def prepare(config: DataConfig, artifacts: Path | None = None) -> DatasetRef:
    """Decoded arrays of the data set, made now or by an earlier run; where artifacts are shared, of any machine."""
    if ref := verified(config):
        return ref
    require_writable(config.data_path, "data_dir")
    with locked(config.data_path / LOCK):
        # Another run may have done it meanwhile.
        return verified(config) or (artifacts and _shared(config, artifacts)) or decode(config)


def verified(config: DataConfig) -> DatasetRef | None:
    """What an earlier run decoded, if every byte is as it was."""
    record = config.decoded_path / RECORD
    if not record.exists():
        return None
    try:
        written = json.loads(record.read_bytes())
        ref = DatasetRef.model_validate(written | {"path": record.parent})  # wherever it was copied to
        if written.get("fingerprint") != ref.fingerprint:
            raise DatasetError(f"{record} must have the fingerprint of its content. {AGAIN}")
        _require_known(config, ref, ref.path)
        if not examples_of(config).were(ref):
            log.info("%s has changed since it was decoded", config.dataset)
            return None
        require_whole(ref)
    except (TypeError, ValueError, DatasetError) as error:
        log.warning("%s is not used: %s", record.parent, error)
        return None
    return ref


def _shared(config: DataConfig, artifacts: Path) -> DatasetRef | None:
    """What another machine has decoded, where this one has nothing that it would replace.

    A folder, and what a builder of one's own reads, may be another on each machine: there this one's own is the source.
    """
    if config.folder or config.has_own_builder or config.decoded_path.exists():
        return None
    for ref in snapshots.newest(config.decoded_path.name, artifacts):
        known = KNOWN_FINGERPRINTS.get(ref.full_name) if not config.converts else None
        if examples_of(config).were(ref) and known in (None, ref.fingerprint):
            here = ref.model_copy(update={"path": config.decoded_path})
            if snapshots.fetch(here, artifacts, to=here.path):
                return here
    return None


def _require_known(config: DataConfig, ref: DatasetRef, source: Path) -> None:
    known = KNOWN_FINGERPRINTS.get(ref.full_name)
    if known and not config.converts and ref.fingerprint != known:
        raise DatasetError(
            f"{ref.full_name} must have the fingerprint {known}. Received: {ref.fingerprint} from {source}. "
            f"It was changed: delete {source} and run again."
        )


def decode(config: DataConfig) -> DatasetRef:
    """Decodes anew."""
    examples, before = examples_of(config), _written(config)
    examples.prepare()
    with whole_directory(config.decoded_path, replace=True) as temporary:
        splits = {name: write_split(temporary, name, examples.batches(name)) for name in ("train", "test")}
        ref = DatasetRef(
            full_name=examples.full_name,
            path=config.decoded_path,
            image_shape=examples.image_shape,
            class_names=examples.class_names,
            splits=splits,
            **examples.leave(temporary),
        )
        _require_known(config, ref, config.folder or config.data_path / examples.full_name)
        write_json(temporary / RECORD, ref.record())
        if before and before.fingerprint != ref.fingerprint and not before.aside.exists():
            before.path.rename(before.aside)
    return ref


def _written(config: DataConfig) -> DatasetRef | None:
    """What is there now, whether or not it is whole; None if it cannot be known."""
    try:
        written = json.loads((config.decoded_path / RECORD).read_bytes())
        return DatasetRef.model_validate(written | {"path": config.decoded_path})
    except (OSError, TypeError, ValueError):
        return None
