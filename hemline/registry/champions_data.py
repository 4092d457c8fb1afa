"""What the champion was trained and tested on, to compare a run's data with.

    before, remarks = champions_data(Registry(artifacts, "fashion_mnist"), dataset)
    before.splits["train"]      # a row for each example, as of `measured`; before.splits is None if they are gone

Its examples are those that its run measured, while that run is kept here, or else its snapshot, while that is kept here
or in the store that machines share.
"""

import logging
from pathlib import Path

import pandas as pd

from hemline.data.checks_case import Before, counted, measured
from hemline.data.dataset import DatasetRef, load_split
from hemline.data.snapshots import found
from hemline.errors import RegistryError, VersionError
from hemline.records.data import DataChecks
from hemline.registry.champion import Registry
from hemline.registry.versions import Manifest
from hemline.storage.files import whole_file, write_json
from hemline.storage.runs import find_run

log = logging.getLogger(__name__)

RECORD, EXAMPLES = "data.json", "examples.parquet"  # in a run's directory


def keep(found: DataChecks, examples: pd.DataFrame, run: Path) -> None:
    """Writes both files of a run, for a later one to compare with."""
    with whole_file(run / EXAMPLES) as path:
        examples.to_parquet(path, index=False)
    write_json(run / RECORD, found.model_dump(mode="json"))


def champions_data(registry: Registry, dataset: DatasetRef) -> tuple[Before | None, list[str]]:
    """The champion's data, if it is another than this, and remarks on what is not compared."""
    decisions = registry.decisions()
    if (champion := decisions.champion) is None:
        return None, ["there is no champion whose data could be compared"]
    try:
        manifest = registry.verified(champion, decisions)
    except (VersionError, RegistryError) as error:
        problem = getattr(error, "problem", "it is missing")
        return None, [f"champion {champion} cannot be used ({problem}), so no data was compared"]
    if manifest.fingerprint == dataset.fingerprint:
        return None, [f"the data is that of champion {champion}"]
    names, quality = manifest.class_names, manifest.evaluation
    counts = {quality.split: {name: score.examples for name, score in quality.classes.items()}}
    splits, remarks = None, list[str]()
    if manifest.dataset.image_shape != dataset.image_shape:
        shape = manifest.dataset.image_shape
        remarks = [f"champion {champion} takes images of shape {shape}, so only the classes were compared"]
    elif splits := _examples(registry.artifacts, manifest, dataset.path.parent):
        counts = {split: counted(table["label"], names) for split, table in splits.items()}
    else:
        remarks = [f"the examples of champion {champion} are gone, so only the classes were compared"]
    return Before(champion, names, counts, splits, error=1 - quality.accuracy), remarks


def _examples(artifacts: Path, manifest: Manifest, decoded: Path) -> dict[str, pd.DataFrame] | None:
    """By split; None if they are gone. decoded: where snapshots are on this machine."""
    run = find_run(artifacts, manifest.flow_run.id)
    if run and (run / RECORD).exists():
        try:
            if DataChecks.model_validate_json((run / RECORD).read_bytes()).fingerprint == manifest.fingerprint:
                by_split = pd.read_parquet(run / EXAMPLES).groupby("split", sort=False)
                return {str(split): of_it.drop(columns="split").reset_index(drop=True) for split, of_it in by_split}
        except (OSError, ValueError) as error:  # of a run that went on elsewhere, or damaged
            log.info("%s is not used: %s", run / EXAMPLES, error)
    dataset = found(manifest.dataset, decoded, artifacts)
    return {split: measured(*load_split(dataset, split)) for split in dataset.splits} if dataset else None
