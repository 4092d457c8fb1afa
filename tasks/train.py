"""The custom training loop under Prefect: a page and a table that grow in the UI, a line in the log for each epoch.

    trained = train(config, dataset, device, run_directory)

Never use `.submit()`: on the main thread a cancelled run stops between two chunks, in seconds; in a worker thread it is
killed half a minute later.
"""

import platform
import time
from pathlib import Path

from prefect import get_run_logger
from prefect.artifacts import create_table_artifact

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.records.run import Rows, TrainedRun
from hemline.runtime.devices import DeviceInfo
from tasks.live import Growing, in_ui, one_at_a_time
from tasks.step import step


# No retry: training is deterministic, so what failed once fails again.
@step("train", timeout_seconds=12 * 3600)
def train(config: RetrainConfig, dataset: DatasetRef, device: DeviceInfo, directory: Path) -> TrainedRun:
    """Leaves tables and model.keras in the run's directory. One training at a time on a device of this machine."""
    from hemline.report.training import Pace, training_markdown
    from hemline.training import seeds

    # By machine, as data may be shared; by worker, as processes that train one model together may share a machine.
    lock = config.data.data_path / f".{device.kind}-{device.worker}-{platform.node()}.lock"
    pace, all_epochs = Pace(), config.epochs * config.seeds

    def drawn(rows: Rows) -> tuple[str, str]:
        return training_markdown(rows, config.epochs, config.seeds, pace.left(len(rows), all_epochs, time.monotonic()))

    page = Growing[Rows]("training", draw=drawn)
    description = f"Loss and accuracy by epoch; every iteration is in {directory / 'iterations.parquet'}."
    table = Growing[Rows]("epochs", draw=lambda rows: (description, _shown(rows)))  # a sweep looks at it too

    def show(rows: Rows) -> None:
        page.show(list(rows))
        if config.seeds == 1:  # of several, the table is that of the best in the end
            table.show(list(rows))

    with one_at_a_time(lock, f"the {device.kind.upper()}"), page, table:
        trained = seeds.train(
            config,
            dataset,
            device,
            directory,
            say=get_run_logger().info,
            on_epoch=show,
        )
        table.show(trained.epochs)
    if not table.up_to_date:
        in_ui(create_table_artifact, key="epochs", table=_shown(trained.epochs), description=description)
    return trained


def _shown(rows: Rows) -> list[dict[str, int | float]]:
    return [{name: _short(value) for name, value in row.items()} for row in rows]


def _short(value: int | float) -> int | float:
    """With four digits that count: a learning rate may be 3e-05."""
    return value if isinstance(value, int) else float(f"{value:.4g}")
