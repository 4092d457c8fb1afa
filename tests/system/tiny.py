"""A data set that trains in a second, where a worker's run finds it already prepared. For tests, not a test."""

import json
from pathlib import Path

from hemline.storage.files import write_json
from tests.hemline.conftest import write_dataset

CONFIG = {"dataset": "mnist", "epochs": 2, "batch_size": 32, "validation": 60, "device": "cpu"}
PARAMETERS = json.dumps({"config": CONFIG})


def prepare(root: Path) -> None:
    """In the directory of data of a HEMLINE_ROOT."""
    decoded = root / "data" / "decoded" / "mnist"
    ref = write_dataset(decoded, {"train": 300, "test": 70}, "mnist/3.0.1")
    write_json(decoded / "dataset.json", ref.record())
