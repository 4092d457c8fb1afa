"""The custom training loop under Prefect: live progress in the UI, a line in the log for each epoch.

    trained = train(config, dataset, device, run_directory)

Never use `.submit()`: on the main thread a cancelled run stops between two chunks, in seconds; in a worker thread it is
killed half a minute later.
"""

from pathlib import Path
from uuid import UUID

from prefect import get_run_logger, task
from prefect.artifacts import create_progress_artifact, create_table_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.records.run import Rows, TrainedRun
from hemline.runtime.devices import DeviceInfo


# No retry: training is deterministic, so what failed once fails again. No other task has a tag: a tag is for a limit
# (`prefect concurrency-limit create train 1`) and costs 2 s on SQLite, where asking for a slot collides with a write.
@task(name="train", tags=["train"], cache_policy=NO_CACHE, timeout_seconds=12 * 3600, result_serializer="json")
def train(config: RetrainConfig, dataset: DatasetRef, device: DeviceInfo, directory: Path) -> TrainedRun:
    """Leaves tables and model.keras in the run's directory."""
    from hemline.training import run

    progress = create_progress_artifact(progress=0.0, key="training-progress", description="epochs trained")
    assert isinstance(progress, UUID)  # a coroutine only where there is an event loop

    def on_epoch(rows: Rows) -> None:
        try:
            update_progress_artifact(progress, progress=100 * len(rows) / config.epochs)
        except Exception as error:  # a server that is away must not end a training that needs none
            get_run_logger().warning("the progress in the UI is not up to date: %s", error)

    trained = run.train(config, dataset, device, directory, say=get_run_logger().info, on_epoch=on_epoch)
    table = [{name: round(value, 4) for name, value in row.items()} for row in trained.epochs]
    description = f"metrics by epoch; every iteration is in {directory / 'iterations.parquet'}"
    create_table_artifact(key="epochs", table=table, description=description)
    return trained
