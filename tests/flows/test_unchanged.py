"""A night that changes nothing trains nothing, and says so; anything that changes is trained on."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State

from flows.retrain import retrain
from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.registry import versions
from hemline.registry.catalogue import run_rows
from hemline.registry.champion import Registry
from hemline.runtime.devices import DeviceInfo
from hemline.storage.files import size_of
from tasks.compare import unchanged
from tests.flows.test_retrain import task_states


def newest_run(config: RetrainConfig) -> Path:
    return max((config.artifacts_path / "runs").iterdir(), key=lambda path: path.stat().st_mtime_ns)


def test_the_second_night_ends_unchanged_and_leaves_kilobytes(next_config: RetrainConfig) -> None:
    """It published a copy of the champion, and a year of that filled the disk."""
    config, earlier = next_config, newest_run(next_config)
    state: State[Any] = retrain(config, return_state=True)
    assert (state.type, state.name) == ("COMPLETED", "Unchanged")
    assert state.message
    assert state.message.startswith("nothing has changed since mnist 1 was made (promoted 20")
    assert set(task_states(state)) == {"preflight", "compare"}
    assert Registry(config.artifacts_path, "mnist").versions() == ["1"]
    directory = newest_run(config)
    assert directory != earlier
    assert {path.name for path in directory.iterdir()} == {
        "attempts",
        "config.json",
        "run.lock",
        "run.log",
        "timing.csv",
        "unchanged.json",
    }
    row = run_rows(config.artifacts_path)[-1]
    assert (row.run, row.state, row.versions) == (directory.name, "unchanged", ["1"])
    assert size_of(directory) < 20_000


def test_anything_that_changes_is_trained_on(
    next_config: RetrainConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config, version = next_config, next_config.artifacts_path / "models" / "mnist" / "1"
    manifest = versions.verify(version)
    dataset, device = manifest.dataset, manifest.device

    def trains(config: RetrainConfig, dataset: DatasetRef = dataset, device: DeviceInfo = device) -> bool:
        return unchanged(config, dataset, device, tmp_path) is None

    assert not trains(config)
    assert not trains(config.model_copy(update={"keep_checkpoints": 1, "streaming": True}))  # what changes no bit
    for changes in ({"force": True}, {"seed": 43}, {"epochs": 3}, {"resume": Path("runs/any")}):
        assert trains(config.model_copy(update=changes)), changes
    assert trains(config.model_copy(update={"gate": config.gate.model_copy(update={"margin": 0.5})}))
    assert trains(config.model_copy(update={"checks": config.checks.model_copy(update={"leaks": "refuse"})}))
    assert trains(config, dataset.model_copy(update={"class_names": ["a", "b", "c"]}))
    assert trains(config, device=device.model_copy(update={"settings": device.settings | {"onednn": "0"}}))
    with monkeypatch.context() as patch:
        patch.setattr("hemline.training.identity.package_versions", lambda: {"keras": "4.0"})
        assert trains(config)
    with monkeypatch.context() as patch:
        patch.setattr("hemline.training.identity.digest_of", lambda *modules, within: "another code")
        assert trains(config)
    (version / "epochs.csv").write_text("damaged")
    assert trains(config)


def test_a_version_that_was_never_judged_does_not_count(next_config: RetrainConfig, tmp_path: Path) -> None:
    """Its run gave up between publishing and promoting."""
    manifest = versions.verify(next_config.artifacts_path / "models" / "mnist" / "1")
    registry = Registry(next_config.artifacts_path, "mnist")
    assert unchanged(next_config, manifest.dataset, manifest.device, tmp_path) is not None
    registry.ledger.path.unlink()
    registry.alias.unlink()
    assert unchanged(next_config, manifest.dataset, manifest.device, tmp_path) is None


def test_without_a_seed_each_night_draws_another(config: RetrainConfig) -> None:
    nightly = config.model_copy(update={"seed": None})
    with pytest.raises(ValueError, match="seed must be a number here"):
        _ = nightly.fixed_seed
    assert nightly.of_night(datetime(2026, 11, 1, 2)).fixed_seed == 2026110100
    assert config.of_night(datetime(2026, 11, 1, 2)) is config
    outcome = retrain(nightly)
    assert outcome
    seed = versions.verify(outcome.version.path).config.seed
    assert seed
    assert 2026010100 < seed < 2**31
