"""Which examples a run sees: DataConfig(dataset="mnist").data_path is HEMLINE_ROOT/data by default."""

import hashlib
import json
import os
import re
from pathlib import Path

from pydantic import Field

from hemline.config.fields import Strict
from hemline.config.paths import root

PLACES = {"data_dir", "manual_dir"}  # they decide where data is, not what it holds


class DataConfig(Strict):
    """Which examples a run sees. The key of the cache of prepared data."""

    dataset: str = Field(
        "fashion_mnist",
        min_length=1,
        max_length=100,  # of a directory's name
        description="TFDS data set with 'image' and 'label', as 'name' or 'name:version'",
    )
    data_dir: Path | None = Field(
        None, description="directory of prepared data, relative to HEMLINE_ROOT; null takes TFDS_DATA_DIR, or data/"
    )
    manual_dir: Path | None = Field(
        None, description="directory of files downloaded by hand; null takes downloads/manual under data_dir"
    )

    @property
    def data_path(self) -> Path:
        """Absolute directory of prepared data."""
        return root() / Path(self.data_dir or os.environ.get("TFDS_DATA_DIR") or "data").expanduser()

    @property
    def manual_path(self) -> Path:
        """Absolute directory of files downloaded by hand."""
        return root() / (self.manual_dir or self.data_path / "downloads" / "manual").expanduser()

    @property
    def data(self) -> "DataConfig":
        """The fields of data alone, paths absolute: what the cache of prepared data is keyed by."""
        fields = self.model_dump(include=set(DataConfig.model_fields))
        return DataConfig(**fields | {"data_dir": self.data_path, "manual_dir": self.manual_path})

    @property
    def decoded_path(self) -> Path:
        """Where the decoded arrays are; the name depends on every field but the places."""
        others = self.model_dump(mode="json", exclude=PLACES | {"dataset"}, exclude_defaults=True)
        digest = "-" + hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()[:8] if others else ""
        return self.data_path / "decoded" / (re.sub("[:/]", "-", self.dataset) + digest)
