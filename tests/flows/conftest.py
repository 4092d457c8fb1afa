"""One Prefect for the session, and a configuration that trains in a second."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from prefect.testing.utilities import prefect_test_harness

from hemline.config.retrain import RetrainConfig
from hemline.proofs import parity
from hemline.proofs.questions import RELIED_ON
from hemline.runtime.devices import select
from hemline.storage.files import write_json
from tasks.verify_claims import verify_claims
from tasks.verify_layers import verify_layers
from tests.hemline.conftest import write_dataset


@pytest.fixture(scope="session", autouse=True)
def prefect() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="session")
def proofs(prefect: None, parity_table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `retrain` relies on, proved once, as an earlier run of the same machine leaves it."""
    directory, device = tmp_path_factory.mktemp("proofs"), select("auto")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity, "compare", lambda grid: parity_table)
        verify_layers(device, directory)
    verify_claims(device, directory, only=tuple(RELIED_ON))
    return directory


@pytest.fixture
def config(tmp_path: Path, proofs: Path) -> RetrainConfig:
    """Two epochs on 240 small pictures, already decoded, under a name that TFDS knows."""
    shutil.copytree(proofs, tmp_path / "artifacts" / "proofs")
    decoded = tmp_path / "data" / "decoded" / "mnist"
    ref = write_dataset(decoded, {"train": 300, "test": 70}, "mnist/3.0.1")
    write_json(decoded / "dataset.json", ref.record())
    return RetrainConfig(
        dataset="mnist",
        data_dir=tmp_path / "data",
        artifacts_dir=tmp_path / "artifacts",
        epochs=2,
        batch_size=32,
        validation=60,
    )
