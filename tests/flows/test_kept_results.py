"""What Prefect keeps of a step's result, and reads again: JSON, whatever somebody put in its place."""

import base64
import json
import os
import pickle
from pathlib import Path
from typing import Any

from prefect.settings import PREFECT_LOCAL_STORAGE_PATH

from hemline.config.retrain import RetrainConfig
from hemline.data.decoding import verified
from tasks.prepare_dataset import prepare_dataset


class Bomb:
    """Makes a directory when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def kept() -> set[Path]:
    return {path for path in PREFECT_LOCAL_STORAGE_PATH.value().rglob("*") if path.is_file()}


def test_a_pickle_in_the_place_of_a_kept_result_does_not_run(config: RetrainConfig, tmp_path: Path) -> None:
    """Regression: the data's cached answer names its own serializer, and Prefect unpickled what said `pickle`."""
    earlier, on_disk = kept(), verified(config.data)
    prepared = prepare_dataset(config, on_disk, tmp_path / "one run")
    # It is the only one that later runs read by its key. Tests beside this one keep theirs in the same place.
    own = [file for file in kept() - earlier if str(tmp_path) in file.read_text()]
    ((file, record),) = [(file, found) for file in own if "metadata" in (found := json.loads(file.read_text()))]
    assert record["metadata"]["serializer"]["type"] == "json"

    bomb = base64.encodebytes(pickle.dumps(Bomb(tmp_path / "ran"))).decode()
    pickle.loads(pickle.dumps(Bomb(tmp_path / "works")))
    assert (tmp_path / "works").is_dir()
    record["metadata"]["serializer"] = {"type": "pickle", "picklelib": "pickle", "picklelib_version": None}
    file.write_text(json.dumps(record | {"result": bomb}))
    again = prepare_dataset(config, on_disk, tmp_path / "another run")
    assert not (tmp_path / "ran").exists()
    assert again == prepared  # Prefect takes what cannot be read for absent: the step was done again
    assert json.loads(file.read_text())["metadata"]["serializer"]["type"] == "json"
