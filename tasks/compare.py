"""Whether there is anything to train: a version that the same would make again is not made again.

    if same := unchanged(config, verified(config.data), device, run_directory):
        return same             # the state *Unchanged*, which names the version; the directory has unchanged.json

The same data, configuration, code (what computes, not what prints), package versions and device settings end with the
same bits. The version must be whole, and checks and gate, as they are now, must have judged it. Where there is no GPU
all this is known without TensorFlow, so such a night is over before that would be imported.
"""

import hashlib
import json
from pathlib import Path
from typing import get_args

from prefect import get_run_logger, runtime
from prefect.states import Completed, State

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.records.run import Verdict
from hemline.runtime.devices import DeviceInfo
from hemline.storage.files import write_json
from hemline.storage.runs import UNCHANGED
from hemline.training.identity import what_decides
from tasks.step import step


def identity(config: RetrainConfig, dataset: DatasetRef, device: DeviceInfo) -> str:
    """SHA-256 of all that decides the weights."""
    # Whether XLA compiles the model follows from the rest, and only TensorFlow can tell.
    settings = {name: value for name, value in device.settings.items() if name != "xla"}
    decides = what_decides(config, dataset, device.model_copy(update={"settings": settings}))
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def unchanged(
    config: RetrainConfig, dataset: DatasetRef | None, device: DeviceInfo, directory: Path
) -> State[None] | None:
    """The state of a run that need not train; None: it must, or there is no data yet."""
    if dataset is None or config.force or config.resume or device.workers > 1:
        return None
    sentence = _compare(config, dataset, device, directory)
    return Completed(name="Unchanged", message=sentence) if sentence else None


@step("compare", timeout_seconds=600)
def _compare(config: RetrainConfig, dataset: DatasetRef, device: DeviceInfo, directory: Path) -> str | None:
    from hemline.registry.champion import Registry
    from hemline.registry.versions import made_from

    artifacts, name = config.artifacts_path, config.name
    verdicts = {
        entry.version: f"{entry.decision} {entry.at:%Y-%m-%d}"
        for entry in Registry(artifacts, name).entries()
        if entry.decision in get_args(Verdict)
    }
    for manifest in made_from(artifacts, name, identity(config, dataset, device)):
        others = manifest.flow_run.id != str(runtime.flow_run.id)  # or this run goes on after it was killed
        same = (manifest.config.gate, manifest.config.checks) == (config.gate, config.checks)
        if others and same and manifest.version in verdicts:
            sentence = (
                f"nothing has changed since {manifest.title} was made ({verdicts[manifest.version]}): the same data, "
                "configuration, code, packages and device settings; force trains all the same"
            )
            get_run_logger().info(sentence)
            write_json(directory / UNCHANGED, {"name": name, "version": manifest.version, "sentence": sentence})
            return sentence
    return None
