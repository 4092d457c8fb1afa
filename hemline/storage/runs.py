"""Where a run keeps its files under the artifacts directory; artifacts/README.md describes every file."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from hemline.config.retrain import RetrainConfig
from hemline.config.sweep import SweepConfig
from hemline.errors import CheckpointError, ConfigurationError
from hemline.storage.files import require_writable, write_json
from hemline.storage.locks import locked
from hemline.storage.run_copies import fetch_configuration

LOCK = "run.lock"
# Beside runs/, each with a directory for every model's name: numbered versions; ledger and champion; what is served.
MODELS, REGISTRY, SERVING = "models", "registry", "serving"
RUNS, SWEEPS = "runs", "sweeps"
CLUSTERS = "clusters"  # of coordinators, and of all workers but worker 0, whose run is the one that counts
UNCHANGED = "unchanged.json"  # in a run that had nothing to train: which version it would have made again
TRAINED = "trained.json"  # in a run that was to train alone, as the trials of a sweep are: how good it became
SEEDS = "seeds"  # in a run of several seeds, a directory for each; in its version, a model of each


def run_directory(config: RetrainConfig | SweepConfig, started: datetime, run_id: str, place: str = RUNS) -> Path:
    """artifacts/runs/<date>-<name>-<model>-<short id>: the same for every attempt of one flow run."""
    title = re.sub(r"[^A-Za-z0-9_.]+", "-", config.title).strip("-")  # a function may be called in any alphabet
    return config.artifacts_path / place / f"{started:%Y-%m-%d}-{title}-{short(run_id)}"


def find_run(artifacts: Path, run_id: str) -> Path | None:
    """The directory of a flow run, if it has one and it was not pruned."""
    return next((artifacts / RUNS).glob(f"[!.]*-{short(run_id)}"), None)


def short(run_id: str) -> str:
    """The first digits of a flow run's id, which its directory's name ends with."""
    return run_id.replace("-", "")[:8]


def open_run(config: RetrainConfig, started: datetime, run_id: str, place: str = RUNS) -> Path:
    """The run's directory, with its configuration in it. Raises StorageError if it cannot be written."""
    require_writable(config.artifacts_path)
    if config.resume_path is None:
        directory = run_directory(config, started, run_id, place)
        write_json(directory / "config.json", config.model_dump(mode="json"))
        return directory
    directory = config.resume_path
    if not (directory / "config.json").exists():  # of another machine?
        directory = config.artifacts_path / RUNS / config.resume_path.name
        fetch_configuration(directory)
    if not (directory / "config.json").exists():
        raise ConfigurationError(
            f"resume must be the directory of a run. Received: resume={config.resume}, and {directory} has no "
            f"config.json. Name one that is under {config.artifacts_path / RUNS}."
        )
    return directory


@contextmanager
def lease(directory: Path, wait: float = 0.5) -> Iterator[None]:
    """Raises CheckpointError if another process writes the run. wait: seconds; `is_locked` holds it for a moment."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(directory / LOCK, wait))
        except BlockingIOError as error:
            raise CheckpointError(
                f"only one process may write a run. Received: {directory}, which another process still writes. "
                "Wait for it or stop it, then start again."
            ) from error
        yield
