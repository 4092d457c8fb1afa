"""The commands that README.md and docs/ show, executed: each works, and prints what its page shows.

Each fence, and each command in a sentence, has a copy of one small world, or what another with the same commands saw in
its own: a root with four versions of `fashion_mnist`, their runs and their ledger, and a picture. Commands print to a
terminal of 120 columns. What a page shows must be what was printed, up to numbers, dates and ids. What is not executed
stands in NOT_EXECUTED with the reason.
"""

import fcntl
import os
import pty
import re
import shlex
import shutil
import struct
import sys
import termios
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hemline.config.options import program
from hemline.config.retrain import RetrainConfig
from hemline.records.run import Decision, FlowRun, Rows
from hemline.registry import versions
from hemline.registry.champion import Registry
from hemline.storage.files import write_json
from tests.hemline.conftest import FinishedRun
from tests.hemline.registry.published import RECORD, make_version
from tests.test_documents import DOCUMENTS, ROOT, read

PAGES = [page for page in DOCUMENTS if page == "README.md" or page.startswith("docs/")]
COLUMNS = 120

NOT_EXECUTED = {
    "hemline serve": "serves until it is stopped; tests/hemline/serving does",
    "hemline serve --name fashion_mnist": "serves until it is stopped; tests/hemline/serving does",
    "hemline retrain": "trains on all of Fashion-MNIST; tests/flows/test_retrain.py runs the flow",
    "hemline retrain --dataset folder:pets --image-size 32 --validation 300": "tests/system/test_own_pictures.py does",
    "hemline retrain --dataset folder:pets --image-size 24 --grayscale true --validation 300 --epochs 2": (
        "trains for a minute; tests/flows/test_own_pictures.py trains on such pictures"
    ),
    "hemline predict pets/cat/12.png": "asks a version of the line above it; tests/flows/test_own_pictures.py does",
    "hemline verify": "proves for half a minute; tests/flows/test_verify.py does",
    "hemline verify --grid full": "proves for minutes; tests/hemline/proofs does",
}
# Where a page names a command without its arguments, or with placeholders.
STANDS_FOR = {
    "hemline COMMAND --help": "hemline runs --help",
    "hemline show": "hemline show 5bcf73b6",
    "hemline show RUN": "hemline show 5bcf73b6",
    "hemline show {run}": "hemline show 5bcf73b6",
    "hemline compare A B": "hemline compare 5 8 --picture curves.svg",
    "hemline predict": "hemline predict shirt.png",
    "hemline predict FILE...": "hemline predict shirt.png shirt.png",
    "hemline checksums": "hemline checksums 7",
    "hemline checksums VERSION": "hemline checksums 7",
    "hemline promote": "hemline promote 7 --reason better",
    "hemline promote VERSION": "hemline promote 7 --reason better",
    "hemline promote {newest} --reason better": "hemline promote 8 --reason better",
    "hemline keep VERSION": "hemline keep 8 --reason 'its shirts are worse'",
    "hemline rollback": "hemline rollback --reason worse",
    "hemline rollback [VERSION]": "hemline rollback 5 --reason worse",
    "hemline protect": "hemline protect 7 --reason 'the paper has it'",
    "hemline protect VERSION": "hemline protect 7 --reason 'the paper has it'",
    "hemline unprotect VERSION": "hemline unprotect 7 --reason published",
}
# Times of the world, and in commands, are a year before those of the pages: a clock may be behind them.
SHIFT = ("2026-", "2025-")


# --- what the pages show

Transcript = list[tuple[str, list[str] | None]]  # commands, and what they print; None: the page does not show it


def without_remark(line: str) -> str:
    return re.sub(r"\s+(#|\|).*", "", line.strip()).removeprefix(".venv/bin/")


def transcripts(text: str) -> Iterator[Transcript]:
    """Of each fence, and of each command in a sentence: commands, and what they print, if the page shows it."""
    document = read(text)
    for language, content in document.fences:
        if language not in ("", "bash", "console", "sh"):
            continue
        found: Transcript = []
        for line in content.replace("\\\n", " ").splitlines():
            command = without_remark(line.removeprefix("$ "))
            if command.startswith("hemline "):
                found.append((command, [] if line.startswith("$ ") else None))
            elif line.startswith("$ "):
                found.append(("", None))
            elif found and found[-1][1] is not None:
                found[-1][1].append(line)
        yield [each for each in found if each[0]]
    for span in document.spans:
        if span.startswith("hemline "):
            yield [(without_remark(span), None)]


SHOWN = sorted(
    {
        (page, number, tuple(command for command, _ in transcript)): transcript
        for page in PAGES
        for number, transcript in enumerate(transcripts((ROOT / page).read_text()))
        if transcript
    }.items()
)


def up_to_numbers(lines: list[str]) -> list[str]:
    """Without what differs from machine to machine: ids, numbers, curves and places, and with them the padding."""
    text = "\n".join(line.rstrip() for line in lines)
    text = re.sub(r"\b[0-9a-f]{8}\b|\b[0-9a-f]{64}\b", "ID", text)
    text = re.sub(r"-?\d[\d.,]*", "0", text)
    text = re.sub(r"[▁▂▃▄▅▆▇█]+", "▁", text)
    return re.sub(r"(?<=\S) {2,}", "  ", re.sub(r"\S*/(?=artifacts/)", "", text)).strip("\n").splitlines()


# --- the world


def epochs(number: int) -> Rows:
    return [
        {"epoch": epoch, "iterations": 430, "train_loss": 0.5 / epoch, "train_loss_weighted": 0.5 / epoch}
        | {"train_accuracy": 1 - 0.2 / epoch, "val_loss": 0.6 / epoch, "val_accuracy": 0.9 - 0.1 / epoch}
        for epoch in range(1, number + 1)
    ]


@pytest.fixture(scope="module")
def world(finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 5 to 8: 5 was the first champion, 6 is the champion and can be asked, 8 waits for a person."""
    root = tmp_path_factory.mktemp("world")
    artifacts, first = root / "artifacts", datetime(2025, 10, 31, 2, 31, tzinfo=UTC)
    nights = iter(first + timedelta(days=day) for day in range(10))
    registry = Registry(artifacts, "fashion_mnist", now=lambda: next(nights))
    sentences = {
        "5": ("promoted", "there was no champion; challenger 5 has accuracy 88.41%"),
        "6": ("promoted", "challenger 6 is 1.46 points better, 95 % interval 1.00 to 1.92"),
        "7": ("kept", "challenger 7 is 0.11 points worse, 95 % interval -0.60 to 0.38"),
        "8": ("needs approval", "the classes have changed"),
    }
    ids = dict(zip(sentences, ("5bcf73b6", "0c1d2e3f", "77aa88bb", "a1b2c3d4"), strict=True))
    for version, (verdict, reason) in sentences.items():
        flow_run = FlowRun(id=f"{ids[version]}-4f50-6172-8394-a5b6c7d8e9f0", name="fashion_mnist mlp 2026-11-23")
        dataset = finished.dataset.model_copy(update={"class_names": ["Bag", "Shirt", "Coat"]})
        dataset = dataset.model_copy(update={"full_name": "fashion_mnist/3.0.1"})
        config = RetrainConfig(name="fashion_mnist", batch_size=128 if version == "5" else 64)
        update = {"config": config, "flow_run": flow_run, "dataset": dataset, "epochs": epochs(5)}
        if version == "6":
            versions.publish(artifacts, finished.record.model_copy(update=update), finished.trained.directory)
        else:
            make_version(artifacts, version, RECORD.model_copy(update=update))
        decision = {"verdict": verdict, "champion": registry.champion(), "challenger": version, "sentence": reason}
        registry.record(Decision.model_validate(decision), by=f"{flow_run.name} ({flow_run.id})")
        run = artifacts / "runs" / f"2025-10-31-{flow_run.name}-{ids[version]}"
        write_json(run / "config.json", config.model_dump(mode="json"))
        header, *rows = [list(epochs(1)[0]), *(row.values() for row in epochs(5))]
        (run / "epochs.csv").write_text("\n".join(",".join(map(str, row)) for row in (header, *rows)) + "\n")
        (run / "report.html").touch()
    Image.fromarray(np.full((4, 4), 230, np.uint8)).save(root / "shirt.png")
    return root


def terminal(root: Path, words: list[str]) -> tuple[int, list[str]]:
    """The program on a terminal: its exit code, and the lines that it printed."""
    process, screen = pty.fork()
    if not process:
        environment = {"HEMLINE_ROOT": str(root), "NO_COLOR": "1", "PYTHONPATH": str(ROOT), "COLUMNS": str(COLUMNS)}
        environment |= {"HOME": str(root)}  # where --install-completion writes
        os.chdir(root)
        # From bash, as a person does: completion is installed for the shell that the program was started by.
        program = [sys.executable, "-m", "flows.command", *words]
        os.execvpe("bash", ["bash", "-c", '"$0" "$@"; exit $?', *program], os.environ | environment)
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    printed = b""
    while True:
        try:
            read = os.read(screen, 65536)
        except OSError:  # of Linux, when the other end is closed
            break
        if not read:
            break
        printed += read
    os.close(screen)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), printed.decode().replace("\r\n", "\n").splitlines()


Answer = tuple[int, list[str]]  # an exit code, and the lines that were printed


@pytest.fixture(scope="module")
def answers(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[tuple[str, ...]], list[Answer]]:
    """To commands that are given one after the other in a copy of the world: once, however many pages show them."""

    @cache
    def given(commands: tuple[str, ...]) -> list[Answer]:
        root = tmp_path_factory.mktemp("copy") / "root"
        shutil.copytree(world, root, symlinks=True)
        return [terminal(root, shlex.split(command)[1:]) for command in commands]

    return given


@pytest.mark.parametrize(
    ("page", "transcript"),
    [(key[0], transcript) for key, transcript in SHOWN],
    ids=[": ".join((k[0], *k[2])) for k, _ in SHOWN],
)
def test_a_command_works_and_prints_what_its_page_shows(
    page: str, transcript: Transcript, answers: Callable[[tuple[str, ...]], list[Answer]]
) -> None:
    for command, shown in transcript:
        assert command not in NOT_EXECUTED or not shown, f"{page} shows what {command} prints, and it is not executed"
    executed = [(command, shown) for command, shown in transcript if command not in NOT_EXECUTED]
    given = tuple(STANDS_FOR.get(command, command).replace(*SHIFT) for command, _ in executed)
    for (command, shown), (code, printed) in zip(executed, answers(given), strict=True):
        assert code == 0, "\n".join([command, *printed])
        if shown is not None:
            assert up_to_numbers(shown) == up_to_numbers(printed), "\n".join([command, *printed])


def test_the_lists_name_what_a_page_shows() -> None:
    commands = {command for _, transcript in SHOWN for command, _ in transcript}
    assert set(NOT_EXECUTED) | set(STANDS_FOR) <= commands


MADE = sorted(
    {
        match[1].replace('\\"', '"')
        for page in PAGES
        for match in re.finditer(
            r'make retrain ARGS="((?:[^"\\]|\\.)*)"', (ROOT / page).read_text().replace("\\\n", " ")
        )
        if match[1] != "--help"
    }
)


@pytest.mark.parametrize("options", MADE)
def test_what_a_page_gives_make_retrain_is_a_configuration(options: str) -> None:
    found: list[RetrainConfig] = []
    program(RetrainConfig, found.append)(shlex.split(options), standalone_mode=False)
    assert len(found) == 1


def test_what_is_compared_is_more_than_nothing() -> None:
    shown = ["at  name   version", "2026-11-01 02:31  shirts  7  ▁▄█  5bcf73b6"]
    assert up_to_numbers(shown) == up_to_numbers(
        ["at    name  version", "2025-10-31 12:00  shirts  12    ▁▁█▂  0c1d2e3f"]
    )
    assert up_to_numbers(shown) != up_to_numbers(["at  name   version", "2026-11-01 02:31  shoes  7  ▁▄█  5bcf73b6"])
    assert up_to_numbers(shown) != up_to_numbers(shown[1:])
