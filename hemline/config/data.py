"""Which examples a run sees: DataConfig(dataset="mnist").data_path is HEMLINE_ROOT/data by default."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from hemline.config.fields import Choice, Strict
from hemline.config.names import BUILDER
from hemline.config.paths import root

PLACES = {"data_dir", "manual_dir"}  # they decide where data is, not what it holds
OF_A_FOLDER = {"unreadable"}  # fields that TFDS has no use for
OF_TFDS = {"image_key", "label_key"}


class DataConfig(Strict):
    """Which examples a run sees. The key of the cache of prepared data."""

    dataset: str = Field(
        "fashion_mnist",
        min_length=1,
        max_length=500,
        description="TFDS data set, as 'name' or 'name:version'; pictures of one's own, as 'folder:PATH', relative to "
        "HEMLINE_ROOT; or a TFDS builder of one's own, as 'package.module:Builder'",
    )
    data_dir: Path | None = Field(
        None, description="directory of prepared data, relative to HEMLINE_ROOT; null takes TFDS_DATA_DIR, or data/"
    )
    manual_dir: Path | None = Field(
        None, description="directory of files downloaded by hand; null takes downloads/manual under data_dir"
    )
    image_key: str = Field("image", min_length=1, max_length=100, description="the TFDS feature that is the image")
    label_key: str = Field("label", min_length=1, max_length=100, description="the TFDS feature that is the class")
    image_size: int | None = Field(
        None,
        ge=1,
        le=4096,
        title="Image size (pixels)",
        description="pixels of a side to which images are scaled; null: they must be of one size",
    )
    grayscale: Choice = Field(None, description="true makes images grey; otherwise they keep their channels")
    test_share: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of the examples that are the test split of data without one; null takes 0.2 of a folder, "
        "and refuses a TFDS data set without one",
    )
    split_seed: int = Field(
        0, ge=0, lt=2**31, description="which examples test_share takes; it is not the seed of training"
    )
    unreadable: Literal["refuse", "skip"] = Field(
        "refuse", description="a file of a folder that is no usable picture: 'skip' leaves it out and counts it"
    )

    @model_validator(mode="after")
    def _fields_are_of_use(self) -> Self:
        if self.dataset == "folder:":
            raise ValueError("a folder must have a path. Received: dataset='folder:'. Name it: folder:PATH.")
        useless, kind = (OF_A_FOLDER, "a folder") if self.folder is None else (OF_TFDS, "a TFDS data set")
        for name in sorted(useless):
            if (value := getattr(self, name)) != type(self).model_fields[name].default:
                raise ValueError(
                    f"{name} must be given for {kind} alone. Received: {name}={value!r} with dataset={self.dataset!r}. "
                    "Leave it out."
                )
        return self

    @property
    def folder(self) -> Path | None:
        """Absolute directory of the pictures; None if the data set is TFDS's."""
        kind, _, place = self.dataset.partition(":")
        return Path(os.path.normpath(root() / Path(place).expanduser())) if kind == "folder" else None

    @property
    def _found_anywhere(self) -> str:
        """`dataset`, a folder by its absolute path."""
        return f"folder:{self.folder}" if self.folder else self.dataset

    @property
    def converts(self) -> bool:
        """Whether images are scaled or made grey."""
        return self.image_size is not None or bool(self.grayscale)

    @property
    def has_own_builder(self) -> bool:
        """Whether `dataset` is a class: fashion_mnist:3.0.1 is a version, pets.builders:Pets is one."""
        return self.folder is None and BUILDER.fullmatch(self.dataset) is not None

    @property
    def short_name(self) -> str:
        """The data set's name for people: of a folder, without the way to it."""
        return (f"folder:{self.folder.name}" if self.folder else self.dataset)[:100]

    @property
    def data_path(self) -> Path:
        """Absolute directory of prepared data."""
        return root() / Path(self.data_dir or os.environ.get("TFDS_DATA_DIR") or "data").expanduser()

    @property
    def programs_path(self) -> Path:
        """Absolute directory of XLA's compiled programs."""
        return self.data_path / "xla-cache"

    @property
    def manual_path(self) -> Path:
        """Absolute directory of files downloaded by hand."""
        return root() / (self.manual_dir or self.data_path / "downloads" / "manual").expanduser()

    @property
    def data(self) -> "DataConfig":
        """The fields of data alone, paths absolute: what the cache of prepared data is keyed by."""
        fields = self.model_dump(include=set(DataConfig.model_fields))
        places = {"data_dir": self.data_path, "manual_dir": self.manual_path, "dataset": self._found_anywhere}
        return DataConfig(**fields | places)

    @property
    def decoded_path(self) -> Path:
        """Where the decoded arrays are; the name depends on every field but the places."""
        others = self.model_dump(mode="json", exclude=PLACES | {"dataset"}, exclude_defaults=True)
        if self.short_name != self.dataset:
            others["dataset"] = self._found_anywhere
        digest = "-" + hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()[:8] if others else ""
        # In ASCII a name of 100 characters is short enough for a directory, with what is put around it.
        return self.data_path / "decoded" / (re.sub(r"[^\w.+-]", "-", self.short_name, flags=re.ASCII) + digest)
