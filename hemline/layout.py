"""Where a run keeps its files under the artifacts directory.

    directory = open_run(config, started, "retrain-fashion_mnist-5-epochs", flow_run_id)

artifacts/README.md describes every file.
"""

import re
from datetime import datetime
from pathlib import Path

from hemline.config import RetrainConfig
from hemline.files import require_writable, write_json


def run_directory(artifacts: Path, started: datetime, name: str, run_id: str) -> Path:
    """artifacts/runs/<date>-<name>-<short id>: the same for every attempt of one flow run."""
    slug = re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-")
    return artifacts / "runs" / f"{started:%Y-%m-%d}-{slug}-{run_id.replace('-', '')[:8]}"


def models_directory(artifacts: Path) -> Path:
    """artifacts/models, which holds the numbered versions."""
    return artifacts / "models"


def open_run(config: RetrainConfig, started: datetime, name: str, run_id: str) -> Path:
    """The run's directory, with its configuration in it. Raises StorageError if it cannot be written."""
    require_writable(config.artifacts_path)
    directory = run_directory(config.artifacts_path, started, name, run_id)
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / "config.json", config.model_dump(mode="json"))
    return directory
