"""The commands of docs/data.md for pictures of one's own, as they stand there, from files to a promoted version."""

import shlex
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flows.retrain import retrain
from hemline.cli import main
from hemline.config.options import program
from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef, load_split
from hemline.records.run import Outcome
from hemline.registry import versions
from tasks.prepare_dataset import at_hand, prepare_dataset
from tests.hemline.data.albums import COLOURS, commands, write_album


@pytest.fixture
def root(tmp_path: Path, proofs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A HEMLINE_ROOT with a folder `pets`, in which a person stands."""
    monkeypatch.setenv("HEMLINE_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(proofs, tmp_path / "artifacts" / "proofs")
    album = write_album(tmp_path / "pets", {"": 200}, size=(9, 7))
    (album / next(iter(COLOURS))).rename(album / "cat")
    return tmp_path


def test_a_run_that_goes_on_keeps_the_pictures_that_it_began_with(root: Path) -> None:
    """A folder that changed while a run was down had it refused: its checkpoints were of other data."""
    config = RetrainConfig.model_validate({"dataset": "folder:pets", "image_size": 8, "validation": 60})

    def prepared(run: Path) -> DatasetRef:
        return prepare_dataset(config, at_hand(config, run), run)

    first = prepared(root / "run")
    (root / "pets" / "cat" / "12.png").unlink()
    assert prepared(root / "another run").fingerprint != first.fingerprint
    assert prepared(root / "run") == first
    assert len(load_split(first, "train")[0]) == first.splits["train"].examples


def test_every_command_works_as_it_stands(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes: list[Outcome | None] = []
    command: partial[Any]
    lines = commands("Your own pictures")
    assert [line.split()[1] for line in lines] == ["retrain", "predict", "retrain"]
    for line in lines:
        _, name, *words = shlex.split(line)
        command = partial(main, [name, *words])
        if name == "retrain":  # of flows.command, which would start a server
            command = partial(program(RetrainConfig, lambda config: outcomes.append(retrain(config))), words)
        with pytest.raises(SystemExit) as ended:
            command()
        assert ended.value.code == 0, line
    assert any(line.split()[:3] == ["pets/cat/12.png", "0", "cat"] for line in capsys.readouterr().out.splitlines())

    first, second = (versions.verify(outcome.version.path) for outcome in outcomes if outcome)
    assert (first.dataset.full_name, first.dataset.image_shape) == ("folder:pets", (32, 32, 3))
    assert (second.dataset.image_shape, second.config.grayscale) == ((24, 24, 1), True)
    assert first.dataset.class_names == ["blue sky é", "cat", "green"]
    assert first.evaluation.accuracy > 0.9
    assert outcomes[0]
    assert outcomes[0].decision.verdict == "promoted"
    card = (outcomes[0].version.path / "MODEL_CARD.md").read_text()
    assert "folder:pets from a folder of pictures (train " in card
    assert "Images were scaled to 32 x 32 as `hemline predict` does it." in card
    assert outcomes[0].version.run.name.endswith(first.flow_run.id.replace("-", "")[:8])
