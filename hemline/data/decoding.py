"""Decodes a data set once, into raw arrays beside the prepared data; TFDS would decode PNGs at 5 s an epoch.

    ref = prepare(DataConfig())         # seconds the first time, then milliseconds

It holds a batch at a time. Decoded arrays are used again only while every byte has its SHA-256.
"""

import json
import logging
from pathlib import Path

from hemline.config.data import DataConfig
from hemline.data.dataset import AGAIN, DatasetRef, for_run, load_split, write_split
from hemline.errors import DatasetError
from hemline.storage.files import require_writable, whole_directory, write_json
from hemline.storage.locks import locked

log = logging.getLogger(__name__)

LOCK = ".hemline.lock"  # runs that start together on a new machine share the first one's work
# What upstream's files decode to: a prepared TFDS directory has no checksums of its own.
KNOWN_FINGERPRINTS = {"fashion_mnist/3.0.1": "7fb9c19b5a4fd2abc97e9033ba0cce9d9ad1b559f825309c75ab1ae0f6191faf"}


def prepare(config: DataConfig) -> DatasetRef:
    """Decoded arrays of the data set, made now or by an earlier run."""
    if ref := verified(config):
        return ref
    require_writable(config.data_path, "data_dir")
    with locked(config.data_path / LOCK):
        return verified(config) or decode(config)  # another run may have done it meanwhile


def verified(config: DataConfig) -> DatasetRef | None:
    """What an earlier run decoded, if every byte is as it was."""
    record = config.decoded_path / "dataset.json"
    if not record.exists():
        return None
    try:
        written = json.loads(record.read_bytes())
        ref = DatasetRef.model_validate(written | {"path": record.parent})  # wherever it was copied to
        if written.get("fingerprint") != ref.fingerprint:
            raise DatasetError(f"{record} must have the fingerprint of its content. {AGAIN}")
        _require_known(ref, ref.path)
        for name in ref.splits:
            load_split(for_run(ref, streaming=True), name)  # reads the files for their digests alone
    except (TypeError, ValueError, DatasetError) as error:
        log.warning("%s is not used: %s", record.parent, error)
        return None
    return ref


def _require_known(ref: DatasetRef, source: Path) -> None:
    known = KNOWN_FINGERPRINTS.get(ref.full_name, ref.fingerprint)
    if ref.fingerprint != known:
        raise DatasetError(
            f"{ref.full_name} must have the fingerprint {known}. Received: {ref.fingerprint} from {source}. "
            f"It was changed: delete {source} and run again."
        )


def decode(config: DataConfig) -> DatasetRef:
    """Decodes anew. Imports TFDS and TensorFlow, which take seconds and are not needed while the arrays are whole."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    from hemline.data.sources import check_known, prepare_files, unreadable

    builder, shape, class_names = check_known(config)
    prepare_files(builder, config)
    splits = {}
    with whole_directory(config.decoded_path, replace=True) as temporary:
        for name in ("train", "test"):
            if builder.info.splits and name not in builder.info.splits:
                continue
            try:
                batches = tfds.as_numpy(builder.as_dataset(split=name, batch_size=1000, shuffle_files=False))
                splits[name] = write_split(temporary, name, ((batch["image"], batch["label"]) for batch in batches))
            except (tf.errors.OpError, KeyError, RuntimeError) as error:
                raise unreadable(builder.data_path, error) from error
        name, path = builder.info.full_name, config.decoded_path
        ref = DatasetRef(full_name=name, path=path, image_shape=shape, class_names=class_names, splits=splits)
        _require_known(ref, builder.data_path)
        write_json(temporary / "dataset.json", ref.record())
    return ref
