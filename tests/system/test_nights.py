"""Ten nights on a folder that changes, by `prefect deployment run`: what each ends as, and what it says."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import State
from prefect.client.schemas.sorting import FlowRunSort

from hemline.registry.champion import Registry
from tests.hemline.data.albums import COLOURS, write_picture
from tests.system.conftest import Installation

pytestmark = [pytest.mark.system, pytest.mark.slow]
CONFIG = {"dataset": "folder:shots", "epochs": 4, "batch_size": 32, "validation": 60, "device": "cpu"}


def write(folder: Path, split: str, numbers: range) -> None:
    for place, (name, colour) in enumerate(COLOURS.items()):
        for number in numbers:
            write_picture(folder / split / name / f"{number}.png", colour, seed=10_000 * place + number)


def grow(folder: Path) -> None:
    """A fifth more, honest."""
    write(folder, "train", range(1000, 1040))
    write(folder, "test", range(2000, 2012))


def shuffle(folder: Path) -> None:
    """New pictures, each in another class's directory."""
    names = list(COLOURS)
    for place, name in enumerate(names):
        other = COLOURS[names[(place + 1) % len(names)]]
        for number in range(100):
            write_picture(
                folder / "train" / name / f"shuffled {number}.png", other, seed=50_000 + 1000 * place + number
            )


def leak(folder: Path) -> None:
    for name in COLOURS:
        for number in range(30):
            shutil.copy(folder / "train" / name / f"{number}.png", folder / "test" / name / f"leaked {number}.png")


def add_a_class(folder: Path) -> None:
    for number in range(60):
        for split in ("train", "test"):
            seed = 90_000 + number + 1000 * (split == "test")
            write_picture(folder / split / "white" / f"{number}.png", (210, 210, 210), seed)


def break_half(folder: Path) -> None:
    for path in sorted(folder.glob("train/*/*.png"))[::2]:
        path.write_bytes(path.read_bytes()[:40])


@pytest.fixture
def night(installation: Installation) -> Callable[..., State[Any]]:
    def run(**changes: Any) -> State[Any]:
        parameters = json.dumps({"config": CONFIG | changes})
        installation.run("-m", "prefect", "deployment", "run", "retrain/smoke", "--params", parameters, "--watch")
        with installation.client() as client:
            (newest,) = client.read_flow_runs(
                flow_run_filter=FlowRunFilter.model_validate({"name": {"like_": "shots mlp"}}),
                sort=FlowRunSort.START_TIME_DESC,
                limit=1,
            )
        assert newest.state
        return newest.state

    return run


def test_each_night_says_what_it_was(installation: Installation, night: Callable[..., State[Any]]) -> None:
    folder, kept = installation.root / "shots", installation.root / "as it was"
    write(folder, "train", range(200))
    write(folder, "test", range(500, 560))
    registry = Registry(installation.root / "artifacts", "shots")

    def ends(expected: str | set[str], *words: str, **changes: Any) -> None:
        state = night(**changes)
        assert state.name in ({expected} if isinstance(expected, str) else expected), state.message
        for word in words:
            assert word in (state.message or ""), state.message

    ends("Promoted", "there was no champion")
    ends("Unchanged", "nothing has changed since shots 1 was made")
    grow(folder)
    ends({"Promoted", "Kept"})  # without a person
    ends("Unchanged", "shots 2")
    shutil.copytree(folder, kept)
    champion = registry.champion()

    def named() -> str:
        """The examples that the newest run's checks name."""
        newest = max((installation.root / "artifacts" / "runs").iterdir(), key=lambda path: path.stat().st_mtime)
        findings = json.loads((newest / "data.json").read_text())["findings"]
        return " ".join(example["name"] for finding in findings for example in finding["examples"])

    for spoil, expected, words in (
        (shuffle, {"Needs approval", "Kept"}, ["contradicts", "of the labels of"]),
        (leak, {"Needs approval", "Kept"}, ["with the pixels of an example of train"]),
        (add_a_class, {"Needs approval", "Kept"}, ["the classes are not those of champion", "white came"]),
        (break_half, {"Failed"}, ["must be a whole PNG or JPEG", ".png"]),
    ):
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)  # with its times
        spoil(folder)
        ends(expected, *words)
        assert registry.champion() == champion
        if spoil in (shuffle, leak):
            assert ("/shuffled " if spoil is shuffle else "/leaked ") in named()

    shutil.rmtree(folder)
    shutil.copytree(kept, folder)
    ends("Unchanged", "shots 2")
    break_half(folder)
    ends({"Promoted", "Kept", "Needs approval"}, unreadable="skip")
    newest = max((installation.root / "artifacts" / "runs").iterdir(), key=lambda path: path.stat().st_mtime)
    assert json.loads((newest / "dataset.json").read_text())["left_out"] == 360
