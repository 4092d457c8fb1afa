"""One Prefect for the session, and a configuration that trains in a second."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from prefect.client.schemas.objects import State
from prefect.testing.utilities import prefect_test_harness

from flows.retrain import retrain
from hemline.config.retrain import RetrainConfig
from hemline.records.run import Outcome
from hemline.storage.files import write_json
from tests.hemline.conftest import write_dataset


@pytest.fixture(scope="session", autouse=True)
def prefect() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


def small(root: Path, proofs: Path) -> RetrainConfig:
    """Two epochs on 240 small pictures, already decoded, under a name that TFDS knows; layers and claims are proved."""
    shutil.copytree(proofs, root / "artifacts" / "proofs")
    decoded = root / "data" / "decoded" / "mnist"
    ref = write_dataset(decoded, {"train": 300, "test": 70}, "mnist/3.0.1")
    write_json(decoded / "dataset.json", ref.record())
    return RetrainConfig(
        dataset="mnist",
        data_dir=root / "data",
        artifacts_dir=root / "artifacts",
        epochs=2,
        batch_size=32,
        validation=60,
    )


@pytest.fixture
def config(tmp_path: Path, proofs: Path) -> RetrainConfig:
    """Of a place without a champion."""
    return small(tmp_path, proofs)


class Night(NamedTuple):
    config: RetrainConfig
    state: State[Outcome | None]


@pytest.fixture(scope="session")
def first_night(prefect: None, proofs: Path, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """A run that was promoted, since there was no champion; its files must be left as they are."""
    config = small(tmp_path_factory.mktemp("first night"), proofs)
    return Night(config, retrain(config, return_state=True))


@pytest.fixture
def next_config(first_night: Night, tmp_path: Path) -> RetrainConfig:
    """Of a copy of the place after the first night."""
    for name in ("artifacts", "data"):
        shutil.copytree(first_night.config.artifacts_path.with_name(name), tmp_path / name, symlinks=True)
    return first_night.config.model_copy(
        update={"data_dir": tmp_path / "data", "artifacts_dir": tmp_path / "artifacts"}
    )
