"""The nights that are made are as real ones, and what is asked of them is answered."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from bench.growth import CHANGING, LOOKING, ask
from bench.growth_nights import LINES, NAME, make_nights
from bench.growth_training import TIMES, UNITS, repeated
from bench.work import CHAPTER
from hemline.config.retrain import RetrainConfig
from hemline.models.mlp import build_mlp
from hemline.registry.catalogue import run_rows, version_rows
from hemline.registry.champion import Registry
from hemline.registry.prune import Retention, removable
from hemline.training.groups import partition


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    artifacts = tmp_path_factory.mktemp("nights")
    make_nights(artifacts, 12)
    return artifacts


def test_made_nights_verify_and_belong_together(artifacts: Path) -> None:
    registry, numbers = Registry(artifacts, NAME), [str(number) for number in range(1, 13)]
    decisions = registry.decisions()  # the chain holds
    assert len(decisions.entries) == 12 * LINES
    assert [registry.verified(number, decisions).version for number in registry.versions()] == numbers
    assert decisions.succession() == ["1", "11"]  # every tenth
    assert [row.versions for row in run_rows(artifacts)] == [[number] for number in numbers]
    assert {row.state for row in run_rows(artifacts)} == {"finished"}
    assert "unreadable" not in {word for row in version_rows(artifacts) for word in row.standing}
    retention = Retention(keep_versions=3, keep_runs=3)
    kinds = [removal.kind for removal in removable(artifacts, None, retention, datetime.now(UTC))]
    assert (kinds.count("version"), kinds.count("run"), kinds.count("checkpoints")) == (8, 9, 3)


def test_a_question_is_answered_with_what_it_cost(artifacts: Path) -> None:
    answer = ask("hemline show champion", artifacts)
    assert (answer["ledger"], answer["models"]) == (2, 1)
    assert min(answer["seconds"], answer["processor"], answer["start"]) > 0
    assert answer["peak"] > 20
    with pytest.raises(SystemExit, match=r"hemline show nothing must be answered. Received: .*RegistryError"):
        ask("hemline show nothing", artifacts)


def test_what_removes_is_asked_last() -> None:
    assert CHANGING[-1] == "hemline prune --yes"
    assert not any(word in question for question in LOOKING for word in ("--yes", "--reason"))


def test_the_large_network_is_the_default_one_with_a_hundred_times_the_parameters() -> None:
    shape = (28, 28, 1)
    small, large = build_mlp(shape, 10, seed=1), build_mlp(shape, 10, seed=1, units=UNITS)
    assert large.count_params() / small.count_params() == pytest.approx(100, rel=0.05)
    assert [type(layer) for layer in large.layers] == [type(layer) for layer in small.layers]
    groups = partition(large, RetrainConfig(groups=CHAPTER).groups.by_name())
    assert [group.name for group in groups] == ["lower", "upper"]


def test_more_examples_are_the_same_ones_again(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    images = np.arange(6, dtype=np.uint8)
    for name in ("train-images.u8", "train-labels.i4"):
        images.tofile(tmp_path / "data" / name)
    directory = repeated(tmp_path / "data", tmp_path / "many")
    assert np.fromfile(directory / "train-images.u8", np.uint8).tolist() == images.tolist() * TIMES
