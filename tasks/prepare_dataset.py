"""The data, prepared once and reused by every later run: ref = prepare_dataset(config, on_disk, run_directory).

The cache is keyed by the data that is asked for and by this task's source, not by the run. A cached answer counts only
while every byte it points to is as it was. A run that goes on keeps the snapshot that it began with.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from prefect import get_run_logger, task
from prefect.cache_policies import INPUTS, TASK_SOURCE
from prefect.utilities.engine import get_state_for_result, link_state_to_task_run_result

from hemline.config.data import DataConfig
from hemline.config.retrain import RetrainConfig
from hemline.data import decoding
from hemline.data.dataset import DatasetRef, check_sizes, for_run, require_whole
from hemline.errors import DatasetError, DatasetUnavailableError
from hemline.storage.files import write_json
from tasks.step import phase


@phase("prepare-dataset")
def prepare_dataset(
    config: RetrainConfig, on_disk: DatasetRef | None, directory: Path, wait_for: Sequence[object] = ()
) -> DatasetRef:
    """Verified data, enough of it for the run, and dataset.json in the run's directory.

    on_disk: by `hemline.data.decoding.verified`. wait_for: what other steps returned without which no data is fetched.
    """
    if snapshot := _of_this_run(directory):
        return for_run(snapshot, config.streaming)
    ref = _prepare.with_options(refresh_cache=on_disk is None)(config.data, wait_for=wait_for)
    if on_disk is not None and on_disk != ref:  # decoded anew by someone else since it was cached
        ref = _prepare.with_options(refresh_cache=True)(config.data, wait_for=wait_for)
    check_sizes(ref, config.validation, config.batch_size)
    write_json(directory / "dataset.json", ref.record())
    of_run = for_run(ref, config.streaming)
    if prepared := get_state_for_result(ref):  # what is given the copy depends on the step too
        link_state_to_task_run_result(prepared[0], of_run)
    return of_run


def _of_this_run(directory: Path) -> DatasetRef | None:
    """What an earlier attempt prepared, if every byte is as it was."""
    with suppress(OSError, ValueError, DatasetError):
        ref = DatasetRef.model_validate_json((directory / "dataset.json").read_bytes())
        require_whole(ref)
        return ref
    return None


@task(
    name="prepare-dataset",
    task_run_name="prepare-dataset",
    cache_policy=INPUTS + TASK_SOURCE,
    persist_result=True,
    result_serializer="json",
    retries=2,
    retry_delay_seconds=[10, 60],
    # A network that is away may come back; a corrupt file or an unknown name will not mend.
    retry_condition_fn=lambda task, run, state: isinstance(
        state.result(raise_on_failure=False), DatasetUnavailableError
    ),
    timeout_seconds=3600,
)
def _prepare(config: DataConfig) -> DatasetRef:
    ref = decoding.prepare(config)
    sizes = ", ".join(f"{name} {split.examples:,}" for name, split in ref.splits.items())
    get_run_logger().info("%s: %s examples, fingerprint %s", ref.full_name, sizes, ref.fingerprint[:12])
    if ref.left_out:
        get_run_logger().warning("%d files of %s were left out as no usable pictures", ref.left_out, ref.full_name)
    return ref
