"""docs/serve.md: its commands and its Python as they stand, beside a real `hemline serve` on another port."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from hemline.config.retrain import RetrainConfig
from hemline.registry.champion import Registry
from tests.hemline.registry.published import RECORD
from tests.hemline.serving.conftest import publish
from tests.test_documents import read

ROOT = Path(__file__).parents[3]
FENCES = read((ROOT / "docs" / "serve.md").read_text()).fences
COMMANDS = [content for language, content in FENCES if not language]
SHIRTS = RECORD.model_copy(
    update={
        "config": RetrainConfig(),
        "dataset": RECORD.dataset.model_copy(update={"image_shape": (28, 28, 1)}),
    }
)


def fence(begins: str) -> str:
    """The one block of commands that begins like this."""
    (found,) = [content for content in COMMANDS if content.startswith(begins)]
    return found


class Server(NamedTuple):
    root: Path
    port: str
    process: subprocess.Popen[str]

    def shell(self, block: str) -> list[str]:
        """What each line of a block prints, where the document's reader would run it."""
        lines = block.replace(":8501", f":{self.port}").replace("\\\n", "").splitlines()
        return [subprocess.check_output(["bash", "-euc", line], cwd=self.root, text=True) for line in lines]

    def json(self, block: str) -> list[Any]:
        return [json.loads(answer) for answer in self.shell(block)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("root")
    for number in (7, 8):
        publish(root / "artifacts", str(number), number, SHIRTS)
    Registry(root / "artifacts", "fashion_mnist").promote("7", by="ada", reason="the first one")
    shirt = np.random.default_rng(0).integers(256, size=(28, 28), dtype=np.uint8)
    Image.fromarray(shirt).save(root / "shirt.png")
    program, *words = shlex.split(fence("hemline serve"))
    assert program == "hemline"
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.command", *words, "--port", "0"],
        env=os.environ | {"HEMLINE_ROOT": str(root), "PYTHONPATH": str(ROOT)},
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr
        said = ""
        while not (found := re.search(r"Uvicorn running on http://127\.0\.0\.1:(\d+)", said)):
            line = process.stderr.readline()
            assert line, said
            said += line
        yield Server(root, found[1], process)
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(not shutil.which("curl"), reason="the document's commands are curl's")
def test_the_commands_do_what_the_page_says(server: Server) -> None:
    (python,) = [content for language, content in FENCES if language == "python"]
    subprocess.run([sys.executable, "-c", python], cwd=server.root, check=True)
    status, answer, classes = server.json(fence("curl "))
    assert status["model_version_status"][0]["version"] == "7"
    assert list(answer["predictions"][0]) == ["label", "name", "probabilities"]
    assert classes["model"] == "fashion_mnist 7"
    assert classes["classes"][0]["name"] == answer["predictions"][0]["name"]  # of the same picture

    server.shell(fence("mkdir "))
    made = {path.name for path in (server.root / "repository" / "fashion_mnist" / "7" / "model.savedmodel").iterdir()}
    assert made == {"saved_model.pb", "variables"}


@pytest.mark.skipif(not shutil.which("curl"), reason="the document's commands are curl's")
def test_it_follows_a_person_who_promotes_and_ends_on_ctrl_c(server: Server) -> None:
    words = [
        "--artifacts",
        str(server.root / "artifacts"),
        "promote",
        "8",
        "--name",
        "fashion_mnist",
        "--reason",
        "better",
    ]
    subprocess.run([sys.executable, "-m", "flows.command", *words], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while server.json(fence("curl "))[2]["model"] != "fashion_mnist 8":
        assert time.monotonic() < deadline
    server.process.send_signal(signal.SIGINT)
    out, err = server.process.communicate(timeout=60)
    assert (server.process.returncode, "Traceback" in err) == (0, False)
    assert out.splitlines() == ["fashion_mnist 7 is served", "fashion_mnist 8 is served"]
