"""Real versions of two tiny networks, and a server of their champion."""

import shutil
from pathlib import Path

import pytest

from hemline.evaluation.saved import export
from hemline.models.mlp import build_mlp
from hemline.records.run import Record
from hemline.registry.champion import Registry
from hemline.registry.versions import seal
from hemline.storage.files import whole_directory
from tests.hemline.registry.published import RECORD


@pytest.fixture(scope="session")
def two_versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artifacts with tiny 1 and tiny 2, which answer differently; 1 is the champion."""
    artifacts = tmp_path_factory.mktemp("served")
    for seed in (1, 2):
        publish(artifacts, str(seed), seed)
    Registry(artifacts, "tiny").promote("1", by="ada", reason="the first one")
    return artifacts


def publish(artifacts: Path, version: str, seed: int, record: Record = RECORD) -> None:
    model = build_mlp(record.dataset.image_shape, classes=len(record.dataset.class_names), seed=seed)
    with whole_directory(artifacts / "models" / record.config.name / version) as directory:
        export(model, record.dataset.class_names, directory)
        model.save(directory / "model.keras")
        seal(directory, record, version)


@pytest.fixture
def artifacts(two_versions: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(two_versions, tmp_path / "artifacts", symlinks=True))
