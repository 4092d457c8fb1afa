"""The data, prepared once and reused by every later run.

    on_disk = at_hand(config, run_directory)                    # None: it must be prepared
    ref = prepare_dataset(config, on_disk, run_directory)

The cache is keyed by the data that is asked for and by this task's source, not by the run. A cached answer counts only
while every byte it points to is as it was. A run that goes on keeps the snapshot that it began with, on any machine of
those that share a store: each sends there what it trains on.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from prefect import get_run_logger, task
from prefect.cache_policies import INPUTS, TASK_SOURCE
from prefect.utilities.engine import get_state_for_result, link_state_to_task_run_result

from hemline.config.data import DataConfig
from hemline.config.retrain import RetrainConfig
from hemline.data import decoding, snapshots
from hemline.data.dataset import RECORD, DatasetRef, check_sizes, for_run
from hemline.errors import DatasetUnavailableError
from hemline.storage.files import write_json
from tasks.step import phase


def at_hand(config: RetrainConfig, directory: Path) -> DatasetRef | None:
    """Data that need not be prepared: 1. what this run began with; 2. what an earlier run decoded."""
    decoded, begun = config.decoded_path.parent, _begun_with(directory)
    return (begun and snapshots.found(begun, decoded, config.artifacts_path)) or decoding.verified(config.data)


@phase("prepare-dataset")
def prepare_dataset(
    config: RetrainConfig, on_disk: DatasetRef | None, directory: Path, wait_for: Sequence[object] = ()
) -> DatasetRef:
    """Verified data, enough of it for the run, and dataset.json in the run's directory.

    on_disk: by `at_hand`. wait_for: what other steps returned without which no data is fetched.
    """
    artifacts, begun = config.artifacts_path, _begun_with(directory)
    if on_disk and begun and on_disk.fingerprint == begun.fingerprint:
        snapshots.send(on_disk, artifacts)  # its first attempt may not have come so far
        return for_run(on_disk, config.streaming)
    ref = _prepare.with_options(refresh_cache=on_disk is None)(config.data, artifacts, wait_for=wait_for)
    if on_disk is not None and on_disk != ref:  # decoded anew by someone else since it was cached
        ref = _prepare.with_options(refresh_cache=True)(config.data, artifacts, wait_for=wait_for)
    check_sizes(ref, config.validation, config.batch_size)
    write_json(directory / RECORD, ref.record())
    snapshots.send(ref, artifacts)
    of_run = for_run(ref, config.streaming)
    if prepared := get_state_for_result(ref):  # what is given the copy depends on the step too
        link_state_to_task_run_result(prepared[0], of_run)
    return of_run


def _begun_with(directory: Path) -> DatasetRef | None:
    """What an earlier attempt of the run has written down."""
    with suppress(OSError, ValueError):
        return DatasetRef.model_validate_json((directory / RECORD).read_bytes())
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
def _prepare(config: DataConfig, artifacts: Path) -> DatasetRef:
    ref = decoding.prepare(config, artifacts)
    sizes = ", ".join(f"{name} {split.examples:,}" for name, split in ref.splits.items())
    get_run_logger().info("%s: %s examples, fingerprint %s", ref.full_name, sizes, ref.fingerprint[:12])
    if ref.left_out:
        get_run_logger().warning("%d files of %s were left out as no usable pictures", ref.left_out, ref.full_name)
    return ref
