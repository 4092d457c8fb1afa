"""One Prefect for the session, and a configuration that trains in a second."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.testing.utilities import prefect_test_harness

from hemline.config import RetrainConfig
from hemline.files import write_json
from tests.hemline.conftest import write_dataset


@pytest.fixture(scope="session", autouse=True)
def prefect() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def config(tmp_path: Path) -> RetrainConfig:
    """Two epochs on 240 small pictures, already decoded, under a name that TFDS knows."""
    decoded = tmp_path / "data" / "decoded" / "mnist"
    ref = write_dataset(decoded, {"train": 300, "test": 70})
    write_json(decoded / "dataset.json", ref.record())
    return RetrainConfig(
        dataset="mnist",
        data_dir=tmp_path / "data",
        artifacts_dir=tmp_path / "artifacts",
        epochs=2,
        batch_size=32,
        validation=60,
    )
