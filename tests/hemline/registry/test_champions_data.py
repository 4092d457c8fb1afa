"""The champion's data, from wherever it still is, and what is said where it is not."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from hemline.data.checks_case import counted, measured
from hemline.data.dataset import DatasetRef, load_split
from hemline.records.data import DataChecks
from hemline.records.run import Record
from hemline.registry import champions_data as module
from hemline.registry.champion import Registry
from hemline.registry.champions_data import champions_data, keep
from tests.hemline.conftest import CLASSES, write_dataset
from tests.hemline.registry.published import RECORD, make_version


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "artifacts", "tiny")


@pytest.fixture
def other(tmp_path: Path) -> DatasetRef:
    """The data of a later run."""
    return write_dataset(tmp_path / "other", {"train": 30, "test": 10})


def crown(registry: Registry, dataset: DatasetRef) -> Record:
    """Makes a champion that was trained on this data."""
    record = RECORD.model_copy(update={"dataset": dataset, "fingerprint": dataset.fingerprint})
    registry.promote(make_version(registry.artifacts, record=record), by="test", reason="to begin with")
    return record


def examples(dataset: DatasetRef) -> dict[str, pd.DataFrame]:
    return {split: measured(*load_split(dataset, split)) for split in dataset.splits}


def kept(registry: Registry, record: Record, fingerprint: str | None = None) -> Path:
    """The directory of the run that made the champion, with what it measured."""
    run = registry.artifacts / "runs" / f"2026-01-02-retrain-tiny-{record.flow_run.id}"
    found = DataChecks(
        fingerprint=fingerprint or record.fingerprint,
        champion=None,
        remarks=[],
        counts={},
        champion_counts={},
        change=None,
        findings=[],
    )
    keep(found, pd.concat(table.assign(split=split) for split, table in examples(record.dataset).items()), run)
    return run


def test_without_a_champion_there_is_nothing_to_compare_with(registry: Registry, tiny: DatasetRef) -> None:
    assert champions_data(registry, tiny) == (None, ["there is no champion whose data could be compared"])


def test_the_same_data_is_not_compared(registry: Registry, tiny: DatasetRef) -> None:
    crown(registry, tiny)
    assert champions_data(registry, tiny) == (None, ["the data is that of champion 1"])


def test_its_arrays_are_measured_while_they_are_there(registry: Registry, tiny: DatasetRef, other: DatasetRef) -> None:
    crown(registry, tiny)
    before, remarks = champions_data(registry, other)
    assert before
    assert before.splits
    assert (before.version, before.class_names, before.error, remarks) == ("1", CLASSES, 0.25, [])
    for split, table in examples(tiny).items():
        pd.testing.assert_frame_equal(before.splits[split], table)
        assert before.counts[split] == counted(table["label"], CLASSES)


def test_what_its_run_measured_is_as_good_as_the_arrays(
    registry: Registry, tiny: DatasetRef, other: DatasetRef
) -> None:
    kept(registry, crown(registry, tiny))
    expected = examples(tiny)
    shutil.rmtree(tiny.path)
    before, remarks = champions_data(registry, other)
    assert before
    assert before.splits
    assert remarks == []
    for split, table in expected.items():
        pd.testing.assert_frame_equal(before.splits[split], table)


def _damaged(run: Path) -> None:
    (run / module.EXAMPLES).write_bytes(b"PAR1 and no more")


def _unreadable(run: Path) -> None:
    (run / module.RECORD).write_text("{")


@pytest.mark.parametrize("harm", [shutil.rmtree, _damaged, _unreadable])
def test_without_either_the_classes_are_compared(
    registry: Registry, tiny: DatasetRef, other: DatasetRef, harm: Callable[[Path], None]
) -> None:
    harm(kept(registry, crown(registry, tiny)))
    shutil.rmtree(tiny.path)
    before, remarks = champions_data(registry, other)
    assert before
    assert before.splits is None
    assert before.counts == {"test": {"dark": 70, "bright": 0}}  # of its evaluation
    assert remarks == ["the examples of champion 1 are gone, so only the classes were compared"]


def test_what_a_run_measured_of_other_data_is_not_taken(
    registry: Registry, tiny: DatasetRef, other: DatasetRef
) -> None:
    kept(registry, crown(registry, tiny), fingerprint="0" * 64)
    shutil.rmtree(tiny.path)
    before, _ = champions_data(registry, other)
    assert before
    assert before.splits is None


def test_images_of_another_shape_are_not_compared(registry: Registry, tiny: DatasetRef, other: DatasetRef) -> None:
    crown(registry, tiny)
    before, remarks = champions_data(registry, other.model_copy(update={"image_shape": (2, 8, 1)}))
    assert before
    assert before.splits is None
    assert remarks == ["champion 1 takes images of shape (4, 4, 1), so only the classes were compared"]


def test_a_damaged_champion_is_named(
    registry: Registry, tiny: DatasetRef, other: DatasetRef, flip_byte: Callable[[Path, int], None]
) -> None:
    crown(registry, tiny)
    flip_byte(registry.path("1") / "model.keras", 3)
    assert champions_data(registry, other) == (
        None,
        ["champion 1 cannot be used (model.keras was changed), so no data was compared"],
    )
