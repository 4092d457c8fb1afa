"""Every attempt of a run finds the same directory."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hemline.config.retrain import RetrainConfig
from hemline.errors import ConfigurationError, StorageError
from hemline.storage.runs import find_run, open_run, run_directory

STARTED = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
RUN_ID = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "2026-01-02-fashion_mnist-mlp-0b1c2d3e"),
        ({"dataset": "eurosat/rgb:2.0.0", "model": "cnn"}, "2026-01-02-eurosat_rgb-cnn-0b1c2d3e"),
        ({"name": "a.b-c_d", "model": "pets.models:small"}, "2026-01-02-a.b-c_d-small-0b1c2d3e"),
        ({"model": "pets:süß"}, "2026-01-02-fashion_mnist-s-0b1c2d3e"),
    ],
)
def test_a_runs_directory_is_one_name_below_runs(given: dict[str, str], expected: str, tmp_path: Path) -> None:
    config = RetrainConfig(artifacts_dir=tmp_path, **given)
    assert run_directory(config, STARTED, RUN_ID) == tmp_path / "runs" / expected


def test_two_runs_of_one_name_have_two_directories(tmp_path: Path) -> None:
    first, second = (
        run_directory(RetrainConfig(artifacts_dir=tmp_path), STARTED, run_id) for run_id in (RUN_ID, "1" + RUN_ID[1:])
    )
    assert first != second


def test_a_runs_directory_is_found_by_its_id(tmp_path: Path) -> None:
    config = RetrainConfig(artifacts_dir=tmp_path)
    assert find_run(tmp_path, RUN_ID) is None
    for run_id in (RUN_ID, "1" + RUN_ID[1:]):
        run_directory(config, STARTED, run_id).mkdir(parents=True)
    assert find_run(tmp_path, RUN_ID) == run_directory(config, STARTED, RUN_ID)
    assert find_run(tmp_path, "2" + RUN_ID[1:]) is None


def test_a_second_attempt_keeps_what_the_first_one_left(tmp_path: Path) -> None:
    config = RetrainConfig(artifacts_dir=tmp_path, epochs=3)
    first = open_run(config, STARTED, RUN_ID)
    (first / "epochs.csv").write_text("epoch\n1\n")
    assert open_run(config, STARTED, RUN_ID) == first
    assert (first / "epochs.csv").read_text() == "epoch\n1\n"
    assert RetrainConfig.model_validate(json.loads((first / "config.json").read_text())) == config


@pytest.mark.parametrize(
    "given", ["runs/{}", "{}", "artifacts/runs/{}", "./artifacts/runs/{}/", "{root}/artifacts/runs/{}"]
)
def test_a_run_to_resume_is_named_in_any_way(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: as a shell completes it, from the root on, it was refused."""
    monkeypatch.setenv("HEMLINE_ROOT", str(tmp_path))
    run = open_run(RetrainConfig(), STARTED, RUN_ID)
    config = RetrainConfig(resume=Path(given.format(run.name, root=tmp_path)))
    assert open_run(config, STARTED, "1" + RUN_ID[1:]) == run


def test_a_run_to_resume_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "runs" / "empty").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match=r"resume=empty, and .*/empty has no config.json. Name one that is"):
        open_run(RetrainConfig(artifacts_dir=tmp_path, resume=Path("empty")), STARTED, RUN_ID)


def test_a_run_that_cannot_write_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        open_run(RetrainConfig(artifacts_dir=tmp_path / "file"), STARTED, RUN_ID)
