"""Pictures in directories that are named after their classes.

    PATH/train/CLASS/*.png, PATH/test/CLASS/*.png       or one of them alone is PATH/train/CLASS/*.png
    PATH/CLASS/*.png                                    a share of them becomes the test split

    examples = FolderExamples(DataConfig(dataset="folder:PATH", image_size=32))     # lists, and refuses what cannot be
    examples.prepare()                                                              # reads every file for its digest
    for images, labels in examples.batches("train"): ...                            # holds a few pictures at a time

TFDS's ImageFolder reads the same layouts, but names no file that it cannot read, and orders examples by their number.
Here the order is a hash of each file's content, so that the classes are mixed and a new name changes nothing.
"""

import csv
import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from hemline.config.data import DataConfig
from hemline.data.dataset import DatasetRef
from hemline.data.pictures import SUFFIXES, opened, pixels
from hemline.data.splitting import DEFAULT_SHARE, in_test, listed, place, require_every_class
from hemline.errors import DatasetError, PictureError
from hemline.storage.files import sha256_of

log = logging.getLogger(__name__)

LISTING = "files.csv"  # beside the decoded arrays: what the folder held when they were decoded
HELD = 64  # pictures that are read at a time
NAMED = 20  # files left out that the log names; the listing has them all


class File(NamedTuple):
    """A file of a class, as the folder was when it was listed."""

    name: str  # relative to the folder
    size: int
    mtime_ns: int
    split: str  # the directory it lies in; the digest may move it from train to test
    label: int


class FolderExamples:
    """The examples of a folder. Raises DatasetError if its layout is none of those above."""

    def __init__(self, config: DataConfig):
        assert config.folder
        self.config, self.full_name = config, config.short_name
        self.root = config.folder.resolve()
        places = _places(self.root)
        self.class_names = _classes(self.root, places)
        self.files = [
            File(name, status.st_size, status.st_mtime_ns, split, label)
            for split, directory in places.items()
            for label, class_name in enumerate(self.class_names)
            for name, status in _files(self.root, directory / class_name)
        ]
        if "test" in places and config.test_share is not None:
            raise DatasetError(
                "test_share must be for data without a test split. Received: test_share="
                f"{config.test_share:g} and {self.root / 'test'}. Leave test_share out."
            )
        self.share = None if "test" in places else config.test_share or DEFAULT_SHARE
        self.digests: dict[str, bytes] = {}  # SHA-256 by name, of the files that are used
        self.splits: dict[str, list[File]] = {}  # these files, in the order of their hashes
        self.left_out: dict[str, str] = {}  # why, by name
        for file in self.files:
            if not file.name.lower().endswith(SUFFIXES):
                self._leave_out(file, "which is no PNG or JPEG by its name")
        self._require_every_class({split: [file for file in self._used() if file.split == split] for split in places})
        self.channels = 1 if config.grayscale else 3
        self.image_shape = self._first_shape()

    def prepare(self) -> None:
        """Reads every file for its digest, which decides its split and its place. Refuses an empty class."""
        for file in list(self._used()):
            try:
                self.digests[file.name] = bytes.fromhex(sha256_of(self.root / file.name))
            except OSError as error:
                self._leave_out(file, f"({error.strerror})")
        self.splits, seed = {"train": [], "test": []}, self.config.split_seed
        for file in sorted(self._used(), key=lambda file: (place(self.digests[file.name], seed), file.name)):
            self.splits[self._split_of(file)].append(file)
        self._require_every_class(self.splits)

    def batches(self, split: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Images (B, H, W, C) uint8 and labels (B,) of a split, in the order of their hashes."""
        files, taken = self.splits[split], []
        with ThreadPoolExecutor() as pool:  # Pillow decodes without Python's lock
            for start in range(0, len(files), HELD):
                held = files[start : start + HELD]
                for file, image in zip(held, pool.map(self._pixels, held), strict=True):
                    if isinstance(image, PictureError):
                        self._leave_out(file, error=image)
                        continue
                    if image.shape != self.image_shape:
                        self._refuse_size(file, image.shape)
                    taken.append(file)
                    yield image[None], np.array([file.label])
        self._require_every_class({split: taken})  # again: some may have been left out

    def leave(self, directory: Path) -> dict[str, Any]:
        """Writes the listing beside the arrays; what their record says of it."""
        for problem in [*self.left_out.values()][:NAMED]:
            log.warning("left out: %s", problem)
        used = {file.name: split for split, files in self.splits.items() for file in files}
        used |= dict.fromkeys(self.left_out, "left out")
        with (directory / LISTING).open("w", newline="", errors="surrogateescape") as stream:
            rows = csv.writer(stream)
            for file in self.files:
                digest = self.digests.get(file.name, b"").hex()
                rows.writerow((file.name, file.size, file.mtime_ns, used[file.name], digest))
        return {"left_out": len(self.left_out), "listing": sha256_of(directory / LISTING)}

    def were(self, ref: DatasetRef) -> bool:
        """Whether the folder holds the files, sizes and times that it held when the arrays were made."""
        path = ref.path / LISTING
        if not path.exists() or sha256_of(path) != ref.listing:
            return False
        with path.open(newline="", errors="surrogateescape") as stream:
            before = (row[:3] for row in csv.reader(stream))
            now = ([file.name, str(file.size), str(file.mtime_ns)] for file in self.files)
            return all(one == other for one, other in zip_longest(before, now))

    def _used(self) -> Iterator[File]:
        return (file for file in self.files if file.name not in self.left_out)

    def _split_of(self, file: File) -> str:
        if self.share is None:
            return file.split
        return "test" if in_test(self.digests[file.name], self.config.split_seed, self.share) else "train"

    def _pixels(self, file: File) -> np.ndarray | PictureError:
        path = self.root / file.name
        try:
            content, status = path.read_bytes(), path.stat()
        except OSError as error:
            raise _changed(path) from error
        as_before = (status.st_size, status.st_mtime_ns) == (file.size, file.mtime_ns)
        if not as_before or hashlib.sha256(content).digest() != self.digests.get(file.name):
            raise _changed(path)
        try:
            return pixels(opened(path, content), self.channels, self.config.image_size)
        except PictureError as error:
            return error

    def _first_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of every image, by the first one that can be read."""
        if size := self.config.image_size:
            return size, size, self.channels
        for file in list(self._used()):
            path = self.root / file.name
            try:
                image = opened(path, path.read_bytes())
            except PictureError as error:
                self._leave_out(file, error=error)
            except OSError as error:
                self._leave_out(file, f"({error.strerror})")
            else:
                return image.height, image.width, self.channels
        raise DatasetError(f"a folder must have pictures. Received: {self.root} without a readable one. Add some.")

    def _leave_out(self, file: File, reason: str = "", error: PictureError | None = None) -> None:
        problem = f"a file of a class must be a picture. Received: {self.root / file.name} {reason}. Remove it."
        if self.config.unreadable == "refuse":
            raise DatasetError(f"{error or problem} Or leave such files out: set unreadable to 'skip'.") from error
        self.left_out[file.name] = str(error or problem)

    def _refuse_size(self, file: File, shape: tuple[int, ...]) -> NoReturn:
        height, width, _ = self.image_shape
        raise DatasetError(
            f"pictures must be of one size, or image_size be given. Received: {self.root / file.name} of {shape[1]} x "
            f"{shape[0]}, others of {width} x {height}. Set image_size, e.g. 32."
        )

    def _require_every_class(self, files: dict[str, list[File]]) -> None:
        counts = {split: Counter(file.label for file in found) for split, found in files.items()}
        labels = range(len(self.class_names))
        in_order = {split: [count[label] for label in labels] for split, count in counts.items()}
        require_every_class(str(self.root), in_order, self.class_names)


def names(ref: DatasetRef, split: str, split_seed: int) -> list[str]:
    """The file of each example of a split, in the order of the arrays. Bytes that are no text are shown as \\xNN."""
    with listing_of(ref).open(newline="", errors="surrogateescape") as stream:
        rows = [(place(bytes.fromhex(row[4]), split_seed), row[0]) for row in csv.reader(stream) if row[3] == split]
    return [os.fsencode(name).decode(errors="backslashreplace") for _, name in sorted(rows)]


def listing_of(ref: DatasetRef) -> Path:
    """The list of the files that the arrays were made of. Raises DatasetError if it was changed."""
    for path in (directory / LISTING for directory in (ref.path, ref.aside)):
        if path.exists() and sha256_of(path) == ref.listing:
            return path
    raise DatasetError(
        f"the list of a folder's files must be as it was written. Received: {ref.path / LISTING}, which was changed. "
        "Delete it and run again."
    )


def _places(root: Path) -> dict[str, Path]:
    """The directory that holds the classes of each split."""
    if not root.is_dir():
        what = "which is a file" if root.exists() else "which is not there"
        raise DatasetError(f"a folder must be a directory. Received: {root}, {what}. Name another.")
    found = _directories(root, root)
    if not any(name in found and _directories(root, root / name) for name in ("train", "test")):
        return {"train": root}  # where a class may be called train
    if others := [name for name in found if name not in ("train", "test")]:
        raise DatasetError(
            f"beside train and test there must be no other directory. Received: {root} with {listed(others)}. Move it "
            "elsewhere, or its pictures into train."
        )
    if "train" not in found:
        raise DatasetError(
            f"a folder with test must have train. Received: {root} with test alone. Add the directory train."
        )
    return {name: root / name for name in ("train", "test") if name in found}


def _classes(root: Path, places: dict[str, Path]) -> list[str]:
    """Names of the classes, sorted."""
    for directory in {root, *places.values()}:
        stray = [entry.path for entry in _entries(root, directory) if entry.is_file()]
        if pictures := [path for path in stray if path.lower().endswith(SUFFIXES)]:
            raise DatasetError(
                f"a picture must lie in the directory of its class. Received: {listed(pictures)}. Move it into one."
            )
    classes = {split: _directories(root, directory) for split, directory in places.items()}
    names = classes["train"]
    for one, other in (("train", "test"), ("test", "train")) if "test" in places else ():
        if alone := sorted(set(classes[one]) - set(classes[other])):
            raise DatasetError(
                f"train and test must have the same classes. Received: {root} with {listed(alone)} in {one} alone. "
                f"Add the class to {other}, or remove it."
            )
    if garbled := [ascii(name) for name in names if name.encode(errors="ignore").decode() != name]:
        raise DatasetError(
            f"the name of a class must be text in UTF-8. Received: {listed(garbled)} in {root}. Rename the directory."
        )
    if len(names) < 2:
        raise DatasetError(
            f"there must be two classes or more, each a directory of its own. Received: {root} with "
            f"{listed(names) or 'none'}. Add a directory for each class."
        )
    return names


def _entries(root: Path, directory: Path) -> Iterator[os.DirEntry[str]]:
    """What lies in a directory, but hidden files, sorted by name."""
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except OSError as error:
        raise DatasetError(
            f"a folder must be readable. Received: {directory} ({error.strerror}). Check who owns it."
        ) from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_symlink() and not (target := Path(entry.path).resolve()).is_relative_to(root):
            raise DatasetError(
                f"a link must lead to a place in the folder. Received: {entry.path}, which leads to {target}. "
                "Put a copy there instead."
            )
        yield entry


def _directories(root: Path, directory: Path) -> list[str]:
    """Names of the directories in a directory; none in what is no directory."""
    return [entry.name for entry in _entries(root, directory) if entry.is_dir()]


def _files(root: Path, directory: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Each file of a class: its name relative to the folder, and its size and time."""
    within = directory.relative_to(root)
    for entry in _entries(root, directory):
        if not entry.is_file():
            raise DatasetError(
                f"a class must hold files alone. Received: {entry.path}, which is none. Move it elsewhere."
            )
        yield f"{within}/{entry.name}", entry.stat()


def _changed(path: Path) -> DatasetError:
    return DatasetError(
        f"a file must stay as it is while it is read. Received: {path}, which changed. "
        "Run again when nobody writes there."
    )
