"""What a shell is told after TAB, as bash asks for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hemline.registry.champion import Registry
from tests.hemline.registry.published import make_version

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven versions, a run with a flow run's id and one without, and what no one should see."""
    artifacts = tmp_path_factory.mktemp("artifacts")
    for number in range(1, 12):
        make_version(artifacts, str(number))
    Registry(artifacts, "tiny").promote("2", "ada", "better")
    for run in ("2026-03-01-retrain-tiny-0b1c2d3e", "2026-03-02-by-hand", ".2026-03-03-deleted"):
        (artifacts / "runs" / run).mkdir(parents=True)
    return artifacts


def completed(artifacts: Path, *words: str) -> list[str]:
    asked = ["hemline", "--artifacts", str(artifacts), *words]
    environment = {"COMP_WORDS": " ".join(asked), "COMP_CWORD": str(len(asked) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "flows.command"],
        env=os.environ | environment | {"_HEMLINE_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split()


NUMBERS = [str(number) for number in range(11, 0, -1)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["protect", ""], NUMBERS),
        (["promote", "1"], ["11", "10", "1"]),
        (["promote", "--name", "other", ""], []),
        (["checksums", ""], ["champion", *NUMBERS]),
        (["show", ""], ["champion", *NUMBERS, "2026-03-02-by-hand", "0b1c2d3e"]),
        (["compare", "1", "0b"], ["0b1c2d3e"]),
        (["runs", "--name", ""], ["tiny"]),
        (["status", "--cs"], []),  # which is sentences
        (["ledger", "--cs"], ["--csv"]),
        (["pro"], ["promote", "protect"]),
        (["retrain", "--groups.lower.learn"], ["--groups.lower.learning-rate"]),
        (["retrain", "--epochs", "3", "--log"], ["--log-lines"]),
        (["verify", "--gr"], ["--grid"]),
    ],
)
def test_what_bash_is_told(artifacts: Path, words: list[str], found: list[str]) -> None:
    assert completed(artifacts, *words) == found


def test_there_may_be_nothing(tmp_path: Path) -> None:
    assert completed(tmp_path, "show", "") == ["champion"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows.command"],
        env=os.environ | {"_HEMLINE_COMPLETE": f"source_{shell}"},
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert f"_HEMLINE_COMPLETE=complete_{shell}" in done.stdout
