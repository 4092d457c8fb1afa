"""The command line: every command, its JSON, its refusals, and what it does not import."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from hemline import cli
from hemline.config.retrain import RetrainConfig
from hemline.errors import DatasetError
from hemline.records.run import FlowRun
from hemline.registry import versions
from hemline.registry.champion import Registry, person
from hemline.registry.prune import Retention
from hemline.storage.attempts import attempt
from hemline.storage.files import write_json
from hemline.storage.runs import lease
from tests.hemline.conftest import CLASSES, SHAPE, FinishedRun
from tests.hemline.registry.published import RECORD, make_version

ROOT = Path(__file__).parents[2]
RUN_ID = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0"
MONDAY = datetime(2026, 3, 2, 2, 30, tzinfo=UTC)


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert (self.code, self.err) == (0, "")
        return json.loads(self.out)


Run = Callable[..., Done]


@pytest.fixture
def hemline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """The command line on the artifacts in tmp_path."""

    def run(*argv: object, artifacts: Path = tmp_path) -> Done:
        with pytest.raises(SystemExit) as caught:
            cli.main(["--artifacts", str(artifacts), *map(str, argv)])
        code = caught.value.code
        assert isinstance(code, int)
        return Done(code, *capsys.readouterr())

    before = signal.getsignal(signal.SIGPIPE)
    yield run
    signal.signal(signal.SIGPIPE, before)


def refused(done: Done, *words: str) -> None:
    assert (done.code, done.out) == (1, "")
    assert "Traceback" not in done.err
    assert done.err.count("\n") == 1  # a sentence, a line
    assert all(word in done.err for word in words), done.err


def process(*argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.command", *argv], capture_output=True, text=True, cwd=ROOT, **options
    )


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Three versions; 1 became the champion on Monday, 2 on Tuesday."""
    days = iter(MONDAY + timedelta(days=day) for day in range(10))
    registry = Registry(tmp_path, "tiny", now=lambda: next(days))
    for _ in range(3):
        make_version(tmp_path)
    registry.promote("1", "ada", "the first one")
    registry.promote("2", "ada", "better")
    return registry


def make_run(artifacts: Path, run: str, epochs: int = 1, done: bool = True, **config: Any) -> Path:
    directory = artifacts / "runs" / run
    write_json(
        directory / "config.json", RetrainConfig(**{"name": "tiny", "epochs": 2} | config).model_dump(mode="json")
    )
    rows = [f"{n},4,{1 / n},{1 / n},0.25,{1 / n},{n / 4}\n" for n in range(1, epochs + 1)]
    header = "epoch,iterations,train_loss,train_loss_weighted,train_accuracy,val_loss,val_accuracy\n"
    (directory / "epochs.csv").write_text(header + "".join(rows))
    if done:
        (directory / "report.html").touch()
    return directory


def work(run: Path, version: str) -> None:
    """The attempt at a run that published the version."""
    manifest = versions.verify(run.parents[1] / "models" / "tiny" / version)
    with attempt(run, manifest.flow_run.id):
        pass


# --- the program


def run_and_list(words: list[str], modules: str) -> tuple[str, str]:
    """What the program prints in a process of its own, and a list of which of these modules it imported."""
    code = (
        f"import sys; from flows.command import main\n"
        f"try: main({words!r})\n"
        f"finally: print([m for m in {modules.split()!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    printed, _, imported = done.stdout.strip().rpartition("\n")
    return printed, imported


def test_help_imports_nothing_slow_and_names_every_command() -> None:
    help_text, modules = run_and_list(["--help"], "tensorflow keras pandas numpy prefect pydantic rich")
    assert modules == "[]"
    commands = (
        "status runs versions show compare ledger checksums predict promote keep rollback protect unprotect prune serve"
    )
    listed = [line.split()[0] for line in help_text.partition("Commands:\n")[2].splitlines()]
    assert listed == [*commands.split(), "retrain", "verify"]
    assert "..." not in help_text.partition("Commands:")[2]  # what a command does fits its line


@pytest.mark.parametrize("name", ["retrain", "verify"])
def test_help_of_a_flow_imports_no_flow(name: str) -> None:
    printed, imported = run_and_list([name, "--help"], "tensorflow keras pandas numpy prefect rich")
    assert printed.startswith(f"Usage: hemline {name} [OPTIONS]\n")
    assert "\n  --artifacts-dir <str> " in printed
    assert imported == "[]"


def test_looking_imports_neither_pandas_nor_tensorflow(registry: Registry) -> None:
    words = ["--artifacts", str(registry.artifacts), "show", "champion"]
    assert run_and_list(words, "tensorflow keras pandas prefect")[1] == "[]"


def test_it_is_installed_by_its_name() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["hemline"] == "flows.command:main"


def test_python_m_and_a_refusal_without_traceback(tmp_path: Path) -> None:
    done = process("--artifacts", str(tmp_path), "checksums", "champion")
    refused(Done(done.returncode, done.stdout, done.stderr), "there must be a model", str(tmp_path))


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_reader_that_leaves_is_no_error(registry: Registry, as_json: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "flows.command", "--artifacts", str(registry.artifacts), "versions", *as_json]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    os.close(write)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("words", [["versions"], ["versions", "--json"], ["ledger"], ["--help"], ["retrain", "--help"]])
def test_a_full_disk_for_what_is_printed_is_a_sentence(registry: Registry, words: list[str]) -> None:
    """Regression: a traceback, and for a short answer a second one when Python ended."""
    command = [sys.executable, "-m", "flows.command", "--artifacts", str(registry.artifacts), *words]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert (
        done.stderr == "there must be room for what is printed. Received: a full disk. Make room, or print elsewhere.\n"
    )


def test_without_a_standard_output_nothing_is_printed(registry: Registry) -> None:
    command = [sys.executable, "-m", "flows.command", "--artifacts", str(registry.artifacts), "versions"]
    done = subprocess.run(command, preexec_fn=lambda: os.close(1), stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "words", [["ledger"], ["versions"], ["show", "champion"], ["promote", "3", "--reason", "best"], ["prune"]]
)
def test_a_ledger_that_was_changed_is_a_sentence(words: list[str], registry: Registry, hemline: Run) -> None:
    path = registry.ledger.path
    path.write_text(path.read_text().replace("the first one", "the finest one"))
    refused(hemline(*words), str(path), "line 1", "Restore that line from a backup")


def test_no_colours_and_a_line_a_row_where_no_terminal_is(registry: Registry, hemline: Run) -> None:
    registry.protect("1", "ada", "a long reason " * 50)
    out = hemline("ledger").out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 4


def test_text_in_a_cell_is_text(registry: Registry, hemline: Run) -> None:
    registry.protect("1", "ada", "[red]as it is[/red] :smile:")
    assert "[red]as it is[/red] :smile:" in hemline("ledger").out


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["nonsense"],
        ["show"],
        ["compare", "1"],
        ["compare", "1", "2", "--picture", "curves.pdf"],
        ["predict"],
        ["predict", "a.png", "--csv", "--json"],
        ["compare", "1", "2", "--json", "--csv"],
        ["promote", "1"],
        ["rollback"],
        ["protect", "1"],
        ["unprotect", "1"],
        ["prune", "--keep", "0"],
        ["prune", "--days", "-1"],
        ["prune", "--days", "nan"],
        ["prune", "--days", "inf"],
        ["ledger", "--at", "last Monday"],
        ["ledger", "--at", "2999-01-01"],
        ["runs", "--jason"],
    ],
)
def test_a_command_line_that_cannot_be(registry: Registry, hemline: Run, argv: list[str]) -> None:
    before = registry.entries()
    done = hemline(*argv)
    assert done.code == 2
    assert "Traceback" not in done.err
    assert registry.entries() == before


def test_artifacts_must_be_there(tmp_path: Path, hemline: Run) -> None:
    assert hemline("runs", artifacts=tmp_path / "typo").code == 2


def test_artifacts_are_under_the_root_if_not_given(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    root = registry.artifacts / "root"
    root.mkdir()
    shutil.move(registry.models.parent, root / "artifacts" / "models")
    done = process("versions", "--json", env={**os.environ, "HEMLINE_ROOT": str(root)})
    assert [row["version"] for row in json.loads(done.stdout)] == ["1", "2", "3"]


def test_a_file_that_may_not_be_read_is_a_sentence(
    registry: Registry, hemline: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(self: Registry) -> list[object]:
        raise PermissionError(13, "Permission denied", str(registry.ledger.path))

    monkeypatch.setattr(Registry, "entries", deny)
    refused(hemline("ledger"), "Permission denied", str(registry.ledger.path))


# --- runs, versions


def test_nothing_is_there_yet(tmp_path: Path, hemline: Run) -> None:
    for command in ("runs", "versions", "ledger"):
        assert hemline(command, "--json").json == []
        assert hemline(command).code == 0
    assert list(tmp_path.iterdir()) == []  # looking makes nothing


def test_runs(tmp_path: Path, hemline: Run) -> None:
    finished, running, unfinished, refused = (
        make_run(tmp_path, name, epochs, done)
        for name, epochs, done in (
            ("2026-03-01-a-1", 2, True),
            ("2026-03-02-b-2", 1, False),
            ("2026-03-03-c-3", 0, False),
            ("2026-03-04-d-4", 0, False),
        )
    )
    for day, run in enumerate((finished, running, unfinished, refused)):
        moment = (MONDAY + timedelta(days=day)).timestamp()
        os.utime(run / "config.json", (moment, moment))
    work(finished, make_version(tmp_path))
    with pytest.raises(DatasetError), attempt(refused, "another's"):
        raise DatasetError("the data must be whole. Received: less.")
    with lease(running):
        rows = hemline("runs", "--json").json
        table = hemline("runs").out
    assert [list(row.values()) for row in rows] == [
        ["2026-03-01-a-1", "tiny", "2026-03-02T02:30:00Z", "finished", 2, 2, 0.5, ["1"]],
        ["2026-03-02-b-2", "tiny", "2026-03-03T02:30:00Z", "running", 1, 2, 0.25, []],
        ["2026-03-03-c-3", "tiny", "2026-03-04T02:30:00Z", "unfinished", 0, 2, None, []],
        ["2026-03-04-d-4", "tiny", "2026-03-05T02:30:00Z", "refused", 0, 2, None, []],
    ]
    with attempt(refused, "another's"):  # it goes on, and is stopped
        pass
    assert hemline("runs", "--json").json[-1]["state"] == "unfinished"
    first, *lines = table.splitlines()
    assert first.split() == ["run", "name", "started", "state", "epochs", "val_accuracy", "curve", "versions"]
    assert lines[0].split()[:5] == ["2026-03-01-a-1", "tiny", "2026-03-02", "02:30", "finished"]
    assert lines[0].split()[5:] == ["2", "of", "2", "0.5000", "▁█", "1"]


def test_a_version_is_of_the_run_that_its_flow_run_began_or_resumed(tmp_path: Path, hemline: Run) -> None:
    """Also of one from before attempts were kept, and where several flow runs published it."""
    flow_runs = [FlowRun(id=f"{number}{RUN_ID[1:]}", name="nightly") for number in range(4)]
    for flow_run in flow_runs[:3]:
        make_version(tmp_path, record=RECORD.model_copy(update={"flow_run": flow_run}))
    early, resumed = (make_run(tmp_path, f"2026-03-0{n}-a-{n}{RUN_ID[1:8]}") for n in (0, 1))
    for flow_run in flow_runs[1:]:
        with attempt(resumed, flow_run.id):
            pass
    assert {row["run"]: row["versions"] for row in hemline("runs", "--json").json} == {
        early.name: ["1"],
        resumed.name: ["2", "3"],
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [("config.json", "{"), ("config.json", "[1]"), ("epochs.csv", "epoch\nx"), ("attempts/1.json", "{")],
)
def test_a_damaged_file_of_a_run_is_named(tmp_path: Path, hemline: Run, name: str, content: str) -> None:
    path = make_run(tmp_path, "2026-03-01-a-1") / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    refused(hemline("runs"), str(path) if name != "attempts/1.json" else str(path.parent))


def unreadable(version: Path) -> None:
    (version / "manifest.json").write_text("{}")


def test_versions(registry: Registry, hemline: Run) -> None:
    registry.protect("1", "ada", "the paper's")
    unreadable(registry.path("3"))
    rows = hemline("versions", "--json").json
    assert [(row["version"], row["standing"], row["decision"], row["test_accuracy"]) for row in rows] == [
        ("1", ["protected"], "promoted", 0.75),
        ("2", ["champion"], "promoted", 0.75),
        ("3", ["unreadable"], None, None),
    ]
    assert rows[0] | {"data": "tiny/1.0.0", "created": "2026-01-02T00:00:00Z", "val_accuracy": 0.5} == rows[0]
    assert "tiny  2        champion" in hemline("versions").out


@pytest.mark.parametrize(("damage", "standing"), [(shutil.rmtree, "missing"), (unreadable, "unreadable")])
def test_a_champion_that_is_gone_is_said_with_what_to_do(
    damage: Callable[[Path], None], standing: str, registry: Registry, hemline: Run
) -> None:
    """Regression: the versions were listed without it, and without a word."""
    damage(registry.path("2"))
    done = hemline("versions", "--json")
    assert done.code == 0
    assert [row["standing"] for row in json.loads(done.out)] == [[], ["champion", standing], []]
    assert (
        f"Received: tiny 2, which is {standing}. Restore it from a backup, or roll back: hemline rollback --name tiny"
        in done.err
    )
    hemline("rollback", "--reason", "it is gone")
    assert hemline("versions").err == ""


# --- several names


@pytest.fixture
def other(registry: Registry) -> Registry:
    """A second model beside it, with two versions; 1 is its champion."""
    record = RECORD.model_copy(update={"config": RetrainConfig(name="other")})
    for _ in range(2):
        make_version(registry.artifacts, record=record)
    other = Registry(registry.artifacts, "other", now=lambda: MONDAY + timedelta(hours=1))
    other.promote("1", "bob", "theirs")
    return other


@pytest.mark.usefixtures("registry", "other")
def test_what_lists_shows_all_names_in_a_column_or_one(hemline: Run) -> None:
    rows = hemline("versions", "--json").json
    assert [(row["name"], row["version"]) for row in rows] == [("other", n) for n in "12"] + [
        ("tiny", n) for n in "123"
    ]
    assert [row["version"] for row in hemline("versions", "--name", "other", "--json").json] == ["1", "2"]
    rows = hemline("ledger", "--json").json
    assert [(row["name"], row["reason"]) for row in rows] == [  # as one, by their times
        ("tiny", "the first one"),
        ("other", "theirs"),
        ("tiny", "better"),
    ]
    assert [row["reason"] for row in hemline("ledger", "--name", "other", "--json").json] == ["theirs"]
    day = hemline("ledger", "--at", "2026-03-02", "--json").json
    assert [(row["name"], row["champion"]) for row in day] == [("other", "1"), ("tiny", "1")]


def test_runs_of_one_name(registry: Registry, hemline: Run) -> None:
    make_run(registry.artifacts, "2026-03-01-a-1")
    work(make_run(registry.artifacts, "2026-03-02-b-2", name="other"), "2")
    assert [row["name"] for row in hemline("runs", "--json").json] == ["tiny", "other"]
    (row,) = hemline("runs", "--name", "other", "--json").json
    assert row["run"] == "2026-03-02-b-2"
    assert row["versions"] == ["tiny 1", "tiny 2", "tiny 3"]  # of the same flow run, which called the model so


@pytest.mark.parametrize(
    "words",
    [
        ["promote", "2", "--reason", "r"],
        ["rollback", "--reason", "r"],
        ["protect", "2", "--reason", "r"],
        ["unprotect", "2", "--reason", "r"],
        ["checksums", "2"],
        ["show", "champion"],
        ["compare", "1", "2"],
        ["serve"],
    ],
)
def test_a_number_that_could_be_severals_needs_a_name(
    words: list[str], registry: Registry, other: Registry, hemline: Run
) -> None:
    before = registry.entries(), other.entries()
    refused(hemline(*words), "a name must be given where there are several models", "other, tiny", "--name NAME")
    refused(hemline(*words, "--name", "third"), "name='third'", "There are other, tiny.")
    assert (registry.entries(), other.entries()) == before


def test_a_decision_about_one_name_does_not_touch_the_other(registry: Registry, other: Registry, hemline: Run) -> None:
    entry = hemline("promote", "2", "--name", "other", "--reason", "theirs is better", "--json").json
    assert (entry["name"], entry["champion_before"], entry["champion_after"]) == ("other", "1", "2")
    hemline("rollback", "--name", "tiny", "--reason", "shirts")
    assert (registry.champion(), other.champion()) == ("1", "2")
    assert hemline("show", "champion", "--name", "other", "--json").json["title"] == "other 2"
    assert hemline("show", registry.path("3"), "--json").json["title"] == "tiny 3"  # a directory says it itself


def test_prune_is_for_all_names_or_for_one(registry: Registry, other: Registry, hemline: Run) -> None:
    make_version(registry.artifacts)
    make_version(registry.artifacts, record=RECORD.model_copy(update={"config": RetrainConfig(name="other")}))
    for path in registry.models.parent.rglob("*"):
        os.utime(path, (0, 0))
    looked = json.loads(hemline("prune", "--keep", "1", "--json").out)
    assert [(row["name"], Path(row["path"]).name) for row in looked] == [("other", "2"), ("tiny", "3")]
    removed = json.loads(hemline("prune", "--keep", "1", "--name", "other", "--yes", "--json").out)
    assert [(row["name"], Path(row["path"]).name) for row in removed] == [("other", "2")]
    assert (registry.versions(), other.versions()) == (["1", "2", "3", "4"], ["1", "3"])


# --- show, compare


def test_show_a_version(registry: Registry, hemline: Run) -> None:
    shown = hemline("show", "2", "--json").json
    assert (shown["kind"], shown["title"], shown["epochs"]) == ("version", "tiny 2", RECORD.epochs)
    assert [entry["reason"] for entry in shown["decisions"]] == ["better"]
    names, *rows = hemline("show", "2", "--csv").out.splitlines()
    assert (names.split(","), len(rows)) == ([*RECORD.epochs[0]], len(RECORD.epochs))
    out = hemline("show", "champion").out
    assert "epochs         5              1" in out  # the default and what it was
    assert "recall of dark     0.7500" in out
    assert "better" in out


def test_show_a_version_by_its_directory(registry: Registry, hemline: Run) -> None:
    assert hemline("show", registry.models / "3", "--json").json["title"] == "tiny 3"


@pytest.mark.parametrize("name", ["2026-03-01-a-1", "a-1", "{}/runs/2026-03-01-a-1"])
def test_show_a_run(tmp_path: Path, hemline: Run, name: str) -> None:
    make_run(tmp_path, "2026-03-01-a-1", epochs=2, seed=7)
    make_run(tmp_path, "2026-03-02-b-2")
    shown = hemline("show", name.format(tmp_path), "--json").json
    assert (shown["kind"], shown["title"], shown["config"]["seed"]) == ("run", "2026-03-01-a-1", 7)
    assert (shown["epochs"][1]["val_accuracy"], shown["evaluation"]) == (0.5, None)
    assert hemline("show", name.format(tmp_path)).code == 0


def test_show_a_run_with_an_evaluation_and_what_became_of_it(
    finished: FinishedRun, tmp_path: Path, hemline: Run
) -> None:
    run = make_run(tmp_path, "2026-03-01-a-1")
    for name in ("model.keras", "evaluation.json", "serving.json"):
        shutil.copy(finished.trained.directory / name, run)
    write_json(run / "dataset.json", finished.dataset.record())
    work(run, versions.publish(tmp_path, finished.record, finished.trained.directory).version)
    Registry(tmp_path, "tiny").promote("1", "ada", "the first one")
    shown = hemline("show", "a-1", "--json").json
    assert shown["evaluation"] == finished.evaluation.model_dump(mode="json")
    assert shown["data"] == {"full_name": "tiny/1.0.0", "fingerprint": finished.dataset.fingerprint}
    assert [entry["version"] for entry in shown["decisions"]] == ["1"]
    assert f"test_accuracy       {finished.evaluation.accuracy:.4f}" in hemline("show", "a-1").out


@pytest.mark.parametrize("name", ["nothing", "9", "", "2026-03"])
def test_what_is_not_one_thing_is_refused(tmp_path: Path, hemline: Run, name: str) -> None:
    make_run(tmp_path, "2026-03-01-a-1")
    make_run(tmp_path, "2026-03-02-b-2")
    refused(hemline("show", name), "must be named by a number, a directory or a part of one run's name")


def test_compare(tmp_path: Path, hemline: Run) -> None:
    make_run(tmp_path, "2026-03-01-a-1", epochs=1)
    make_run(tmp_path, "2026-03-02-b-2", epochs=2, seed=7, groups={"upper": None}, gate={"margin": 1})
    compared = hemline("compare", "a-1", "b-2", "--json").json
    assert compared["compared"] == ["run 2026-03-01-a-1", "run 2026-03-02-b-2"]
    assert (
        compared["configuration"] | {"seed": [42, 7], "gate.margin": [0, 1], "groups.upper": ["-", None]}
        == (compared["configuration"])
    )
    assert "batch_size" not in compared["configuration"]
    assert compared["metrics"]["val_loss"] == [1.0, 0.5]
    out = hemline("compare", "a-1", "b-2").out
    assert "val_loss        1.0000          0.5000          -0.5000     better" in out
    assert "val_accuracy    0.2500          0.5000          0.2500      better" in out
    assert "better" in hemline("compare", "a-1", "b-2").out
    assert "train_loss      0.5000          1.0000          0.5000      worse" in hemline("compare", "b-2", "a-1").out
    rows = list(csv.DictReader(io.StringIO(hemline("compare", "a-1", "b-2", "--csv").out)))
    assert {"of": "configuration", "name": "seed", "one": "42", "other": "7"} in rows
    assert {"of": "metric", "name": "val_loss", "one": "1.0", "other": "0.5"} in rows


@pytest.mark.parametrize(("suffix", "begins"), [(".svg", b"<?xml"), (".png", b"\x89PNG")])
def test_compare_draws_a_version_beside_a_run(
    finished: FinishedRun, tmp_path: Path, hemline: Run, suffix: str, begins: bytes
) -> None:
    versions.publish(tmp_path, finished.record, finished.trained.directory)
    make_run(tmp_path, "2026-03-01-a-1", epochs=2)
    make_run(tmp_path, "2026-03-02-b-2", epochs=0)
    picture = tmp_path / f"curves{suffix}"
    assert hemline("compare", "1", "a-1", "--picture", picture).code == 0
    assert picture.read_bytes().startswith(begins)
    refused(hemline("compare", "1", "b-2", "--picture", picture), "b-2", "epoch")


# --- ledger, checksums


def test_ledger(registry: Registry, hemline: Run) -> None:
    assert [entry["reason"] for entry in hemline("ledger", "--json").json] == ["the first one", "better"]
    assert "2026-03-02 02:30  tiny  promoted  1        1               ada  the first one" in hemline("ledger").out


@pytest.mark.parametrize(
    ("at", "champions"),
    [
        ("2026-03-01", []),
        ("2026-03-02", ["1"]),
        ("2026-03-03", ["1", "2"]),  # it changed at 02:30
        ("2026-03-04", ["2"]),
        ("2026-03-03T02:29", ["1"]),
        ("2026-03-03T02:31", ["2"]),
        ("2026-03-03T03:31+02:00", ["1"]),
    ],
)
def test_what_was_in_production(registry: Registry, hemline: Run, at: str, champions: list[str]) -> None:
    reigns: dict[str, dict[str, str | None]] = {
        "1": {"since": "2026-03-02T02:30:00Z", "until": "2026-03-03T02:30:00Z"},
        "2": {"since": "2026-03-03T02:30:00Z", "until": None},
    }
    assert hemline("ledger", "--at", at, "--json").json == [
        {"at": at, "name": "tiny", "champion": one, **reigns[one]} for one in champions
    ]
    lines = {
        "1": "tiny  1         2026-03-02 02:30  2026-03-03 02:30",
        "2": "tiny  2         2026-03-03 02:30  -",
    }
    assert all(lines[one] in hemline("ledger", "--at", at).out for one in champions)


def test_a_flow_run_is_said_by_what_show_knows_it_by(registry: Registry, hemline: Run) -> None:
    by = f"retrain-tiny-2-epochs ({RUN_ID})"
    make_run(registry.artifacts, f"2026-03-05-retrain-tiny-2-epochs-{RUN_ID[:8]}", name="tiny")
    registry.promote("3", by, "best")
    assert f"promoted  3        3               {RUN_ID[:8]}  best" in hemline("ledger").out
    assert hemline("ledger", "--json").json[-1]["by"] == by
    assert hemline("runs").out.splitlines()[1].startswith(f"{RUN_ID[:8]}  tiny")
    assert hemline("show", RUN_ID[:8], "--json").json["title"].endswith(RUN_ID[:8])


@pytest.mark.parametrize(
    "words",
    [
        ["runs"],
        ["versions"],
        ["ledger"],
        ["ledger", "--at", "2026-03-03"],
        ["checksums", "2"],
        ["prune", "--keep", "1", "--days", "0"],
        ["protect", "2", "--reason", "r"],
        ["rollback", "--reason", "r"],
        ["promote", "3", "--reason", "r"],
    ],
)
def test_csv_has_the_fields_of_json(registry: Registry, hemline: Run, words: list[str]) -> None:
    make_run(registry.artifacts, "2026-03-01-a-1", epochs=2)
    make_version(registry.artifacts)  # so that one may be pruned
    looks = words[0] not in ("protect", "promote", "rollback")  # these cannot be done twice
    before = registry.entries()
    done = hemline(*words, "--csv")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert rows
    assert done.code == 0
    if looks:
        found = json.loads(hemline(*words, "--json").out)
        for row, same in zip(rows, found if isinstance(found, list) else [found], strict=True):
            assert list(row) == list(same)
            assert {k: v for k, v in row.items() if isinstance(same[k], str)} == {
                k: v for k, v in same.items() if isinstance(v, str)
            }
        assert registry.entries() == before
    else:
        assert rows[0]["decision"] == registry.entries()[-1].decision
    refusal = hemline(*words, "--json", "--csv")
    assert (refusal.code, refusal.out) == (2, "")
    assert "--json and --csv" in refusal.err
    assert "exclude each other" in refusal.err


@pytest.mark.parametrize("name", ["2", "champion", "{}/models/tiny/2"])
def test_checksums(registry: Registry, hemline: Run, name: str) -> None:
    verified = hemline("checksums", name.format(registry.artifacts), "--json").json
    assert verified == {"name": "tiny", "version": "2", "files": 3, "whole": True, "path": str(registry.models / "2")}
    assert "True" in hemline("checksums", name.format(registry.artifacts)).out


def test_checksums_names_the_file_that_was_changed(
    registry: Registry, hemline: Run, flip_byte: Callable[[Path, int], None]
) -> None:
    flip_byte(registry.models / "2" / "model.keras", 3)
    for name in ("2", "champion", registry.models / "2"):
        refused(hemline("checksums", name), "model.keras was changed")


def test_checksums_refuses_what_is_not_there(registry: Registry, hemline: Run) -> None:
    refused(hemline("checksums", "9"), "version='9'")
    refused(hemline("checksums", registry.models / "9"), "must be a directory")


# --- predict


@pytest.fixture(scope="module")
def published(finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artifacts with a real champion, 1."""
    artifacts = tmp_path_factory.mktemp("published")
    versions.publish(artifacts, finished.record, finished.trained.directory)
    Registry(artifacts, "tiny").promote("1", "ada", "the first one")
    return artifacts


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A dark picture, and a dark and a bright one."""
    dark, bright = np.full(SHAPE, 10, np.uint8), np.full(SHAPE, 230, np.uint8)
    Image.fromarray(dark[..., 0]).save(tmp_path / "dark.png")
    np.save(tmp_path / "both.npy", np.stack([dark, bright]))
    return [tmp_path / "dark.png", tmp_path / "both.npy"]


def test_predict(published: Path, files: list[Path], hemline: Run, finished: FinishedRun) -> None:
    from keras.saving import load_model

    rows = hemline("predict", *files, "--json", artifacts=published).json
    assert [(row["file"], row["index"]) for row in rows] == [(str(files[0]), 0), (str(files[1]), 0), (str(files[1]), 1)]
    logits = np.asarray(load_model(finished.trained.model_path)(np.load(files[1])))
    odds = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert [row["label"] for row in rows[1:]] == [CLASSES[label] for label in logits.argmax(axis=1)]
    assert [row["probability"] for row in rows[1:]] == pytest.approx(odds.max(axis=1), abs=1e-5)
    assert rows[0] | {"file": str(files[1])} == rows[1]

    done = hemline("predict", *files, "--csv", "--version", "1", artifacts=published)
    assert list(csv.DictReader(io.StringIO(done.out))) == [{k: str(v) for k, v in row.items()} for row in rows]
    header, first, *_ = hemline("predict", *files, artifacts=published).out.splitlines()
    assert header.split() == ["file", "index", "label", "probability", "version"]
    assert first.split()[:3] == [str(files[0]), "0", rows[0]["label"]]


def test_predict_says_nothing_but_the_answer(published: Path, files: list[Path]) -> None:
    """TensorFlow's start goes past sys.stderr."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = process("--artifacts", str(published), "predict", str(files[0]), "--json", env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)) == 1


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals come before the model is loaded."""
    monkeypatch.setattr(versions, "load", lambda *_: pytest.fail("loaded the model"))


@pytest.mark.usefixtures("no_model")
def test_predict_refuses_files_before_it_loads_the_model(published: Path, files: list[Path], hemline: Run) -> None:
    big = files[0].with_name("big.png")
    Image.new("L", (28, 28)).save(big)
    refused(hemline("predict", *files, big, artifacts=published), f"{big} of 28 x 28", "must be 4 x 4 greyscale")
    refused(hemline("predict", *files, "none.npy", artifacts=published), "none.npy", "No such file")


@pytest.mark.usefixtures("no_model")
def test_predict_refuses_what_is_no_version(published: Path, files: list[Path], hemline: Run, tmp_path: Path) -> None:
    refused(hemline("predict", *files), "there must be a model")
    make_version(tmp_path)
    refused(hemline("predict", *files), "there must be a champion")
    refused(hemline("predict", *files, "--version", "7", artifacts=published), "version='7'")


@pytest.mark.usefixtures("no_model")
def test_predict_refuses_a_broken_version(registry: Registry, files: list[Path], hemline: Run) -> None:
    (registry.models / "2" / "model.keras").write_bytes(b"other weights")
    refused(hemline("predict", *files), "model.keras was changed")


def test_predict_refuses_a_version_that_does_not_load(registry: Registry, files: list[Path], hemline: Run) -> None:
    refused(hemline("predict", *files), "a model version must load")


# --- promote, rollback, protect, unprotect, prune


def test_promote(registry: Registry, hemline: Run) -> None:
    entry = hemline("promote", "3", "--reason", "approved", "--json").json
    assert entry == {"name": "tiny", **registry.entries()[-1].model_dump(mode="json")}
    assert (entry["decision"], entry["by"], entry["reason"]) == ("promoted", person(), "approved")
    assert registry.champion() == "3"


def test_rollback(registry: Registry, hemline: Run) -> None:
    assert "tiny  rolled back  1" in hemline("rollback", "--reason", "shirts").out
    assert registry.champion() == "1"
    assert hemline("rollback", "2", "--reason", "shirts again", "--json").json["champion_after"] == "2"


def test_a_rollback_to_what_never_was_the_champion_is_refused(registry: Registry, hemline: Run) -> None:
    """Regression: it was accepted, past the gate and without the word promote in the ledger."""
    before = registry.entries()
    refused(
        hemline("rollback", "3", "--reason", "shirts"), "a rollback goes to a former champion", "Promote it instead"
    )
    assert registry.entries() == before


def test_protect_and_unprotect(registry: Registry, hemline: Run) -> None:
    assert hemline("protect", "1", "--reason", "the paper's", "--json").json["version"] == "1"
    assert registry.decisions().protected() == {"1"}
    assert "unprotected" in hemline("unprotect", "1", "--reason", "published").out
    assert registry.decisions().protected() == set()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["promote", "9", "--reason", "r"], "version='9'"),
        (["promote", "2", "--reason", "r"], "which is it already"),
        (["promote", "3", "--reason", " "], "reason must not be empty"),
        (["rollback", "9", "--reason", "r"], "version='9'"),
        (["protect", "9", "--reason", "r"], "version='9'"),
        (["unprotect", "9", "--reason", "r"], "version='9'"),
    ],
)
def test_a_decision_that_cannot_be(registry: Registry, hemline: Run, argv: list[str], words: str) -> None:
    before = registry.entries()
    refused(hemline(*argv), words)
    assert registry.entries() == before


def test_a_broken_version_is_not_promoted(registry: Registry, hemline: Run) -> None:
    (registry.models / "3" / "model.keras").write_bytes(b"other weights")
    refused(hemline("promote", "3", "--reason", "r"), "model.keras was changed")


def test_a_rollback_needs_an_earlier_champion(tmp_path: Path, hemline: Run) -> None:
    make_version(tmp_path)
    refused(hemline("rollback", "--reason", "r"), "needs an earlier champion")


def test_prune_only_looks_unless_told(registry: Registry, hemline: Run) -> None:
    for _ in range(2):
        make_version(registry.artifacts)
    for path in registry.models.rglob("*"):
        os.utime(path, (0, 0))
    looked = hemline("prune", "--keep", "1", "--days", "7", "--json")
    assert [Path(row["path"]).name for row in json.loads(looked.out)] == ["3", "4"]  # neither champion nor newest
    assert "Nothing is removed without --yes: 2 versions" in looked.err
    assert registry.versions() == ["1", "2", "3", "4", "5"]
    assert hemline("prune", "--json").out == "[]\n"  # by default, 20 stay
    removed = hemline("prune", "--keep", "1", "--yes")
    assert "Removed: 2 versions" in removed.err
    assert str(registry.models / "3") in removed.out
    assert registry.versions() == ["1", "2", "5"]


def test_prune_has_the_defaults_of_the_nightly_one(hemline: Run) -> None:
    retention, out = Retention(), " ".join(hemline("prune", "--help").out.split())
    assert f"however old. [default: {retention.keep_versions}" in out
    assert f"version or run. [default: {retention.keep_days:g}" in out


def test_prune_looks_at_the_data_unless_artifacts_are_elsewhere(
    registry: Registry, hemline: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEMLINE_ROOT", str(tmp_path))
    leftover = tmp_path / "data" / "decoded" / ".mnist-deleted"
    leftover.mkdir(parents=True)
    (tmp_path / "artifacts").mkdir()
    assert hemline("prune", "--json").out == "[]\n"
    done = process("prune", "--json", "--yes", env={**os.environ})
    assert [row["path"] for row in json.loads(done.stdout)] == [str(leftover)]
    assert not leftover.exists()
