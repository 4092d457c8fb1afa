"""What the step leaves of data that has changed, that is refused, and that a champion is asked about."""

import json
import logging
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hemline.config.retrain import RetrainConfig
from hemline.data import decoding
from hemline.data.dataset import DatasetRef, for_run, load_split, write_split
from hemline.errors import DatasetError
from hemline.records.data import DataChecks
from hemline.registry.champion import Registry
from hemline.registry.champions_data import champions_data
from hemline.registry.versions import publish
from tasks import check_data as module
from tests.hemline.conftest import CPU, FinishedRun, pictures
from tests.hemline.data.albums import write_album

Artifact = dict[str, Any]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Artifact]:
    """The artifacts that the UI gets."""
    artifacts: list[Artifact] = []
    monkeypatch.setattr(module, "in_ui", lambda create, **content: artifacts.append(content))
    monkeypatch.setattr(module, "get_run_logger", lambda: logging.getLogger("check_data"))
    return artifacts


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, str | None]]:
    """That the run shows."""
    found: list[tuple[str | None, str | None]] = []
    monkeypatch.setattr(module, "runtime", SimpleNamespace(flow_run=SimpleNamespace(id="a run")))
    monkeypatch.setattr(module, "show_state", lambda state: found.append((state.name, state.message)))
    return found


@pytest.fixture
def config(tmp_path: Path) -> RetrainConfig:
    return RetrainConfig(name="tiny", artifacts_dir=tmp_path / "artifacts")


@pytest.fixture
def crowned(config: RetrainConfig, finished: FinishedRun) -> Registry:
    """With a champion that was trained on the tiny data set."""
    record = finished.record.model_copy(update={"config": config})
    version = publish(config.artifacts_path, record, finished.trained.directory)
    registry = Registry(config.artifacts_path, "tiny")
    registry.promote(version.version, by="test", reason="to begin with")
    return registry


def grown(dataset: DatasetRef, directory: Path, by: int, off: int = 0) -> DatasetRef:
    """The data set with further examples of train at its end, whose labels are off by so much."""
    directory.mkdir()
    images, labels = pictures(by, np.random.default_rng(1))
    more = images, (labels + off) % len(dataset.class_names)
    splits = {
        split: write_split(directory, split, [load_split(dataset, split), *([more] if split == "train" else [])])
        for split in dataset.splits
    }
    return dataset.model_copy(update={"path": directory, "splits": splits})


def run_step(config: RetrainConfig, dataset: DatasetRef, run: Path) -> DataChecks:
    run.mkdir(parents=True, exist_ok=True)
    return module.check_data.fn(config, dataset, CPU, run)


@pytest.mark.parametrize("streaming", [False, True])
def test_the_first_data_is_measured_and_kept(
    config: RetrainConfig, tiny: DatasetRef, tmp_path: Path, shown: list[Artifact], streaming: bool
) -> None:
    found = run_step(config, for_run(tiny, streaming), tmp_path / "run")
    assert (found.findings, found.doubts, found.change) == ([], [], None)
    assert DataChecks.model_validate_json((tmp_path / "run" / "data.json").read_bytes()) == found
    table = pd.read_parquet(tmp_path / "run" / "examples.parquet")
    images, labels = load_split(tiny, "test")
    of_test = table[table["split"] == "test"]
    np.testing.assert_array_equal(of_test["label"], labels)
    np.testing.assert_allclose(of_test["brightness"], images.mean(axis=(1, 2, 3)), rtol=1e-5)
    (artifact,) = shown
    assert artifact["key"] == "data"
    assert artifact["markdown"].startswith("There is no champion whose data could be compared.\n\nNo check found")


def test_new_examples_with_sound_labels_are_no_doubt(
    config: RetrainConfig, crowned: Registry, finished: FinishedRun, tmp_path: Path, shown: list[Artifact]
) -> None:
    found = run_step(config, grown(finished.dataset, tmp_path / "grown", by=100), tmp_path / "run")
    assert found.doubts == []
    assert found.change
    assert (found.champion, found.change.new, found.change.gone) == ("1", 100, 0)
    assert "Since the data of champion 1, 100 examples came, 0 went and 0 were relabelled." in shown[0]["markdown"]
    assert (tmp_path / "run" / "data.svg").read_text().count("<image") == module.SHOWN  # new ones


def test_new_examples_with_wrong_labels_are_a_doubt(
    config: RetrainConfig,
    crowned: Registry,
    finished: FinishedRun,
    tmp_path: Path,
    shown: list[Artifact],
    states: list[tuple[str | None, str | None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    dataset = grown(finished.dataset, tmp_path / "grown", by=100, off=1)
    found = run_step(config, dataset, tmp_path / "run")
    (doubt,) = found.doubts
    assert doubt.startswith("champion 1 contradicts ")
    assert "labels of 100 new examples of train" in doubt
    (named,) = [finding for finding in found.findings if finding.answer == "ask"]
    assert all(300 <= example.index < 400 for example in named.examples)
    assert any("contradicted: champion 1 contradicts" in record.message for record in caplog.records)
    found = run_step(
        RetrainConfig(**(dict(config) | {"checks": {"contradicted": "ignore"}})), dataset, tmp_path / "run"
    )
    assert found.doubts == []
    assert states == [("Data in doubt", doubt)]  # of which a person is told: by the first of the two


def test_a_champion_that_does_not_load_is_a_remark(
    config: RetrainConfig,
    crowned: Registry,
    finished: FinishedRun,
    tmp_path: Path,
    shown: list[Artifact],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(path: Path) -> None:
        raise ValueError("an unknown layer")

    monkeypatch.setattr("hemline.models.load", fail)
    found = run_step(config, grown(finished.dataset, tmp_path / "grown", by=100, off=1), tmp_path / "run")
    assert found.doubts == []
    assert found.remarks[0].startswith("champion 1 was not asked about new examples: Keras ")


def test_a_label_of_minus_one_is_refused_and_written_down(
    config: RetrainConfig, tiny: DatasetRef, tmp_path: Path, shown: list[Artifact]
) -> None:
    """Regression: it was trained on, and ended as a loss that was not finite."""
    images, labels = load_split(tiny, "train")
    wrong = np.where(np.arange(len(labels)) == 5, -1, labels)
    split = write_split(tiny.path, "train", [(images, wrong)])
    dataset = tiny.model_copy(update={"splits": tiny.splits | {"train": split}})
    with pytest.raises(DatasetError, match=r"train has 1 label outside 0 to 2 \(-1\): train\[5\]"):
        run_step(config, dataset, tmp_path / "run")
    written = json.loads((tmp_path / "run" / "data.json").read_text())
    assert [finding["answer"] for finding in written["findings"]] == ["refuse"]
    assert "| labels | refuse |" in shown[0]["markdown"]


def test_the_pictures_of_a_folder_are_called_by_their_files(
    config: RetrainConfig, tmp_path: Path, shown: list[Artifact]
) -> None:
    album = write_album(tmp_path / "album", {"train": 12, "test": 4})
    shutil.copy(album / "train" / "red" / "0.png", album / "test" / "green" / "leak.png")
    config = RetrainConfig(**(dict(config) | {"dataset": f"folder:{album}", "data_dir": tmp_path / "data"}))
    found = run_step(config, decoding.prepare(config.data), tmp_path / "run")
    names = {finding.check: [example.name for example in finding.examples] for finding in found.findings}
    assert names == {
        "leaks": ["test/green/leak.png"],
        "conflicts": ["train/red/0.png", "test/green/leak.png"],
    }
    assert "`test/green/leak.png`" in shown[0]["markdown"]


def test_what_a_run_keeps_is_what_the_next_one_compares_with(
    config: RetrainConfig, crowned: Registry, finished: FinishedRun, tmp_path: Path, shown: list[Artifact]
) -> None:
    """Also when the champion's arrays are gone, as those of a folder are once it changes."""
    dataset = grown(finished.dataset, tmp_path / "grown", by=10)
    run_step(config, finished.dataset, config.artifacts_path / "runs" / f"x-{finished.record.flow_run.id}")
    before, remarks = champions_data(crowned, dataset)
    assert before
    assert before.splits
    assert remarks == []
    assert {split: len(table) for split, table in before.splits.items()} == {"train": 300, "test": 70}
