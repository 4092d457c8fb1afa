"""Where a TFDS data set's files come from: a chain that works without its upstream host.

    builder, image_shape, class_names = check_known(config)     # has no data yet
    prepare_files(builder, config)                  # TFDS stores what it has read
    arrays = read_files(builder, config)            # or they are read, and nothing but the files is kept

Tried in this order, each for every data set unless it says otherwise:

    prepared    a TFDS directory prepared before
    manual      files downloaded by hand, in manual_dir
    debian      Debian's package dataset-fashion-mnist, installed (Fashion-MNIST)
    upstream    the network, if a probe of seconds says it is there; TFDS alone tries for 204 s
    apt         the same Debian package, fetched by apt-get without installing (Fashion-MNIST)

Whatever the source, TFDS's own builder reads the files and checks the SHA-256 registered for each. A source without
the files is passed over; one with corrupt files stops the chain.
"""

import difflib
import inspect
import logging
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import TypeVar

import numpy as np
import requests
import tensorflow_datasets as tfds

from hemline.config.data import DataConfig
from hemline.data.dataset import Arrays
from hemline.data.tfds_files import Absent, prepare_from, read_from, short
from hemline.errors import DatasetError, DatasetUnavailableError
from hemline.storage.files import sha256_of, storage_errors

log = logging.getLogger(__name__)
T = TypeVar("T")

DEBIAN_PACKAGE = "dataset-fashion-mnist"
DEBIAN_DIR = Path("/usr/share/datasets/fashion-mnist")
PROBE_SECONDS = 5.0
APT_SECONDS = 300.0


def find_builder(config: DataConfig) -> tfds.core.DatasetBuilder:
    """The data set's builder, prepared or not. Raises DatasetError if TFDS does not know it."""
    if config.has_own_builder:
        return _own_builder(config)
    try:
        return tfds.builder(config.dataset, data_dir=config.data_path)
    except (tfds.core.DatasetNotFoundError, ValueError, AssertionError) as error:
        known = tfds.list_builders(with_community_datasets=False)
        close = difflib.get_close_matches(config.dataset.partition(":")[0], known, n=3)
        hint = f"Did you mean {' or '.join(close)}?" if close else "See tensorflow.org/datasets/catalog."
        reason = str(error).partition("\n")[0]
        raise DatasetError(
            f"dataset must be a name in the TFDS catalogue. Received: dataset={config.dataset!r} ({reason}). {hint}"
        ) from error
    except Exception as error:  # TFDS reads the metadata of prepared data here and does not check it
        raise unreadable(config.data_path / config.dataset.partition(":")[0], error) from error


def _own_builder(config: DataConfig) -> tfds.core.DatasetBuilder:
    """Of the class package.module:Builder."""
    name = config.dataset
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except Exception as error:  # whatever the module does when it is imported
        raise DatasetError(
            f"a builder must be importable where the run is. Received: dataset={name!r} ({type(error).__name__}: "
            f"{short(error)}). Install its package, or set PYTHONPATH."
        ) from error
    is_builder = inspect.isclass(found) and issubclass(found, tfds.core.DatasetBuilder)
    if not is_builder or inspect.isabstract(found):
        raise DatasetError(
            "a builder must be a class derived from tfds.core.DatasetBuilder, with all its methods. "
            f"Received: dataset={name!r}, {found!r}. Derive it from tfds.core.GeneratorBasedBuilder."
        )
    try:
        return found(data_dir=config.data_path)
    except Exception as error:  # its own, or TFDS's of the metadata of what it has prepared
        raise unreadable(config.data_path / found.name, error) from error


def check_known(config: DataConfig) -> tuple[tfds.core.DatasetBuilder, tuple[int, int, int], list[str]]:
    """Builder, image shape (H, W, C) and class names. Raises DatasetError unless it has images with labels."""
    builder = find_builder(config)
    features = builder.info.features
    named = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    image, label = named.get(config.image_key), named.get(config.label_key)
    if not isinstance(label, tfds.features.ClassLabel) or not isinstance(image, tfds.features.Image):
        raise DatasetError(
            f"the data set must have the features {config.image_key!r} and {config.label_key!r} (a ClassLabel). "
            f"Received: {builder.info.full_name} with {features}. Choose an image-classification data set, or name its "
            "features with image_key and label_key."
        )
    shape = _shape(config, image.shape)
    if None in shape or image.np_dtype != np.uint8 or (config.converts and image.shape[-1] not in (1, 3)):
        raise DatasetError(
            "images must be uint8 and all of one size. "
            f"Received: {builder.info.full_name} with shape {image.shape}, {np.dtype(image.np_dtype)}. "
            "Set image_size, which takes 1 or 3 channels of any size, or choose another data set."
        )
    return builder, shape, list(label.names)


def _shape(config: DataConfig, stored: tuple[int | None, ...]) -> tuple[int, int, int]:
    """(H, W, C) of the images that a run sees; None where TFDS does not know it."""
    height, width, channels = stored
    size = config.image_size
    return size or height, size or width, 1 if config.grayscale else channels  # type: ignore[return-value]


def unreadable(prepared: Path, error: Exception) -> DatasetError:
    """The refusal of prepared data that TFDS fails on, in whatever way."""
    return DatasetError(
        f"prepared data must be readable. Received: {prepared}: {short(error)}. "
        f"It is corrupt: delete {prepared} and run again."
    )


def prepare_files(builder: tfds.core.DatasetBuilder, config: DataConfig) -> None:
    """Prepares the builder's data under `config.data_path`, unless it is. Raises DatasetError where that fails."""
    if not builder.is_prepared():
        _from_a_source(builder, config, prepare_from)


def read_files(builder: tfds.core.DatasetBuilder, config: DataConfig) -> dict[str, Arrays]:
    """Images and labels of each split, in the order in which TFDS would store them. The files stay in manual_path."""
    return _from_a_source(builder, config, read_from)


def _from_a_source(
    builder: tfds.core.DatasetBuilder,
    config: DataConfig,
    use: Callable[[tfds.core.DatasetBuilder, DataConfig, Path | None], T],
) -> T:
    """What comes of the first source that has the files."""
    tried = []
    log.info("getting %s, which is done once", builder.info.full_name)
    with storage_errors(config.data_path), ExitStack() as stack:
        config.data_path.mkdir(parents=True, exist_ok=True)
        for name, source in SOURCES.items():
            try:
                made = use(builder, config, source(builder, config, stack))
            except Absent as reason:
                tried.append(f"{name}: {reason}")
                continue
            log.info("prepared %s from %s", builder.info.full_name, name)
            return made
    raise DatasetUnavailableError(
        f"the files of {builder.info.full_name} must be in one of the sources. "
        f"Received: none of them has it ({'; '.join(tried)}). "
        f"Put its files into {config.manual_path}, or set manual_dir, or connect to the network."
    )


def _manual(builder: tfds.core.DatasetBuilder, config: DataConfig, stack: ExitStack) -> Path | None:
    return _with_files_of(builder, config.manual_path, shown_as=str(config.manual_path))


def _debian(builder: tfds.core.DatasetBuilder, config: DataConfig, stack: ExitStack) -> Path | None:
    if builder.name != "fashion_mnist":
        raise Absent("has only fashion_mnist")
    return _with_files_of(builder, restored_files(DEBIAN_DIR, config, stack), shown_as=str(DEBIAN_DIR))


def _upstream(builder: tfds.core.DatasetBuilder, config: DataConfig, stack: ExitStack) -> Path | None:
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        raise Absent("its licence asks for a download by hand: " + builder.MANUAL_DOWNLOAD_INSTRUCTIONS.strip())
    for url in list(builder.url_infos or {})[:1]:  # one file speaks for its host; TFDS reports the others
        try:
            requests.head(url, timeout=PROBE_SECONDS, allow_redirects=True).raise_for_status()
        except requests.RequestException as error:
            raise Absent(f"no answer from {url} ({short(error)})") from error
    return None


def _apt(builder: tfds.core.DatasetBuilder, config: DataConfig, stack: ExitStack) -> Path | None:
    if builder.name != "fashion_mnist":
        raise Absent("has only fashion_mnist")
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise Absent("apt-get and dpkg are not on this machine")
    package = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=config.data_path, prefix=".apt-")))
    # Package lists of its own: needs no root, works where the machine's lists are missing, changes nothing.
    (package / "lists" / "partial").mkdir(parents=True)
    own = (f"-oDir::State::lists={package}/lists", f"-oDir::Cache={package}/cache", "-oAPT::Sandbox::User=")
    run_command("apt-get", *own, "-qq", "update", cwd=package)
    run_command("apt-get", *own, "-qq", "download", DEBIAN_PACKAGE, cwd=package)
    run_command("dpkg", "-x", *(str(deb) for deb in package.glob("*.deb")), "unpacked", cwd=package)
    files = restored_files(package / "unpacked" / DEBIAN_DIR.relative_to("/"), config, stack)
    return _with_files_of(builder, files, shown_as=f"apt-get's {DEBIAN_PACKAGE}")


# Returns a directory for TFDS's manual_dir, None for the network, or raises Absent.
Source = Callable[[tfds.core.DatasetBuilder, DataConfig, ExitStack], Path | None]
SOURCES: dict[str, Source] = {
    "manual": _manual,
    "debian": _debian,
    "upstream": _upstream,
    "apt": _apt,
}


def _with_files_of(builder: tfds.core.DatasetBuilder, directory: Path, shown_as: str) -> Path:
    """The directory, if it has every file of the data set with its registered SHA-256."""
    # TFDS checks too, but later, and would go to the network for a missing file.
    if not directory.is_dir():
        raise Absent(f"no directory {directory}")
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:  # what lies there is the builder's own business
        return directory
    registered = {info.filename: info.checksum for info in (builder.url_infos or {}).values() if info.filename}
    if not registered:
        raise Absent(f"TFDS registers no file names for {builder.name}")
    if missing := [name for name in registered if not (directory / name).is_file()]:
        raise Absent(f"{shown_as} lacks {', '.join(missing)}")
    for name, expected in registered.items():
        if (received := sha256_of(directory / name)) != expected:
            raise DatasetError(
                f"{shown_as}/{name} must have the SHA-256 {expected}, which TFDS registers. Received: {received}. "
                "The file is corrupt: fetch it again."
            )
    return directory


def restored_files(directory: Path, config: DataConfig, stack: ExitStack) -> Path:
    """A copy of Debian's Fashion-MNIST files with upstream's gzip headers, which makes them upstream's to the bit."""
    # Debian packs the same deflate streams with a ten-byte header free of names and times (RFC 1952).
    if not directory.is_dir():
        raise Absent(f"no directory {directory}")
    restored = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=config.data_path, prefix=".gzip-")))
    for source in directory.glob("*.gz"):
        mtime = 1504176606 if source.name.startswith("train-") else 1504176627
        header = b"\x1f\x8b\x08\x08" + mtime.to_bytes(4, "little") + b"\x00\x03" + source.stem.encode() + b"\x00"
        (restored / source.name).write_bytes(header + source.read_bytes()[10:])
    return restored


def run_command(*words: str, cwd: Path) -> None:
    """Runs it, or raises Absent with the last line that it said."""
    try:
        done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=APT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise Absent(f"{words[0]} took more than {APT_SECONDS:.0f} s") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Absent(f"{' '.join(words[:1] + words[-2:])}: {lines[-1]}")
