"""Pictures of one's own from a terminal: the first command of docs/data.md on 2,500 of them."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hemline.registry.champion import Registry
from tests.hemline.data.albums import COLOURS, ROOT, commands, write_album

pytestmark = [pytest.mark.system, pytest.mark.slow]  # 40 s, most of them the first proof of the layers


def test_2500_pictures_become_a_promoted_version(tmp_path: Path) -> None:
    album = write_album(tmp_path / "pets", {"": 834}, size=(40, 30))
    (album / next(iter(COLOURS))).rename(album / "cat")
    environment = os.environ | {"HEMLINE_ROOT": str(tmp_path), "PYTHONPATH": str(ROOT)}
    environment.pop("PREFECT_API_URL", None)
    environment["PREFECT_HOME"] = str(tmp_path / "prefect")
    for line in commands("Your own pictures")[:2]:
        words = [sys.executable, "-m", "flows.command", *shlex.split(line)[1:]]
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[1].split()[:3] == ["pets/cat/12.png", "0", "cat"]
    registry = Registry(tmp_path / "artifacts", "pets")
    assert registry.champion() == "1"
