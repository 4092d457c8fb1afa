"""What TFDS's own builder makes of a data set's files: stored for TFDS, or read and nothing else.

    prepare_from(builder, config, directory)            # Absent: try another source
    arrays = read_from(builder, config, directory)      # {"train": (images, labels), "test": ...}

It checks the SHA-256 of each file.
"""

import io
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import requests
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError
from tensorflow_datasets.core.hashing import Hasher

from hemline.config.data import DataConfig
from hemline.data.dataset import Arrays
from hemline.errors import DatasetError
from hemline.storage.files import whole_file

log = logging.getLogger(__name__)


class Absent(Exception):
    """This source does not have the data; the text says why."""


def prepare_from(builder: tfds.core.DatasetBuilder, config: DataConfig, directory: Path | None) -> None:
    """Runs TFDS's builder on the files of a directory, or on what it downloads."""
    with _downloading(directory) as download:
        builder.download_and_prepare(
            download_dir=config.data_path / "downloads", download_config=download, file_format="tfrecord"
        )


def read_from(builder: tfds.core.DatasetBuilder, config: DataConfig, directory: Path | None) -> dict[str, Arrays]:
    """Runs the half of TFDS's builder that reads the files of a directory, or what it downloads.

    The other half writes PNGs, which would be decoded again: 14 s for the 70,000 images of Fashion-MNIST.
    """
    with _downloading(directory) as download:
        manager = builder._make_download_manager(config.data_path / "downloads", download)
        found = {}
        for split in builder._split_generators(manager):
            salted = Hasher(str(split.name))  # TFDS stores a split by the digests of its keys, salted with its name
            read = builder._generate_examples(**split.gen_kwargs)
            digests, examples = zip(*((salted.hash_key(key), example) for key, example in read), strict=True)
            stored = [examples[number] for number in sorted(range(len(digests)), key=digests.__getitem__)]
            images = np.stack([example[config.image_key] for example in stored])
            found[str(split.name)] = images, np.array([example[config.label_key] for example in stored], np.int32)
        for url, info in builder.url_infos.items():  # for a time without a network
            if not (kept := config.manual_path / info.filename).exists():
                with whole_file(kept) as path:
                    shutil.copyfile(manager.download(url), path)
    return found


@contextmanager
def _downloading(directory: Path | None) -> Iterator[tfds.download.DownloadConfig]:
    """What TFDS prints is logged, and what it raises is one of ours. directory: of the files, or None."""
    tfds.disable_progress_bar()
    try:
        with redirect_stdout(io.StringIO()) as said:
            yield tfds.download.DownloadConfig(manual_dir=directory, try_download_gcs=False)
        if text := said.getvalue().strip():
            log.info(text)
    except NonMatchingChecksumError as error:
        raise DatasetError(
            f"a downloaded file must have the SHA-256 that TFDS registers. Received: {short(error)}. "
            "Upstream's file was changed or damaged on its way: try again, or set manual_dir."
        ) from error
    except requests.RequestException as error:
        raise Absent(short(error)) from error


def short(error: Exception) -> str:
    """An error in one line."""
    return " ".join(str(error).split())
