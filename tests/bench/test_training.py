"""The tables of the bench: contestants that exist, both ratios, a failure and one that does not learn."""

import ast
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench import machine, training
from bench.training import OURS, ROOT, TABLES, Table

PEAK = machine.Peak(flops=4e9, bytes=1e9)


def names_of(path: Path) -> set[str]:
    """What a module has at its top: imports, functions, assignments."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            found |= {name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return found


@pytest.mark.parametrize("contestant", [c for table in TABLES for _, c in table.contestants.values()])
def test_every_contestant_is_there_and_says_what_it_computes_with(contestant: str) -> None:
    module, _, function = contestant.partition(":")
    assert {function, "about"} <= names_of(ROOT / "bench" / f"{module}.py")  # PyTorch and JAX are not installed here


def test_ours_is_the_first_of_each_table() -> None:
    assert [next(iter(table.contestants)) for table in TABLES] == ["hemline"] * 3


def test_a_ratio_is_the_median_of_pairs() -> None:
    ours: Any = SimpleNamespace(alone=[1.0, 2.0, 1.0], in_turn=[2.0, 2.0, 4.0])
    other: Any = SimpleNamespace(alone=[2.0, 3.0, 4.0], in_turn=[3.0, 8.0, 12.0])
    assert training.row(other, ours) == "3.000 | 8.000 | 2.00 | 3.00"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """300 images."""
    (tmp_path / "train-images.u8").write_bytes(bytes(300 * 784))
    (tmp_path / "train-labels.i4").write_bytes(np.zeros(300, "<i4").tobytes())
    return tmp_path


def race(data: Path, tmp_path: Path, **contestants: tuple[str, str]) -> None:
    table = Table("tiny", contestants, 300, lambda examples: 10**7 * examples, learned=0.4)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    training.race(table, list(contestants), 2, data, scratch, PEAK)


def test_a_table_of_real_processes(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    race(
        data, tmp_path, hemline=(OURS, "products:numpy"), absent=(OURS, "products:nothing"), other=("/no/python", "x:y")
    )
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].startswith(f"tiny, 300 images; NumPy {np.__version__}, ")
    head, rule, ours, absent, other, last = [line.strip("| ").split("|") for line in printed[3:]]
    assert len(head) == len(rule) == len(ours) == 9
    assert [cell.strip() for cell in ours][3:5] == ["1.00", "1.00"]
    assert ours[-1].strip() == "none"
    assert "has no attribute 'nothing'" in absent[1]
    assert "No such file" in other[1]
    assert float(last[1]) == 0.75  # 3 GFLOP at 4 GFLOP/s


@pytest.mark.parametrize("loss", [0.5, float("nan")])
def test_who_does_not_learn_stops_the_bench(
    loss: float, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = {"seconds": 1.0, "loss": loss, "megabytes": 1.0, "peak": 1.0, "about": {}}
    answer: Any = lambda worker: first  # noqa: E731
    monkeypatch.setattr(training.Worker, "_answer", answer)
    with pytest.raises(SystemExit, match=r"hemline must learn. Received: a mean loss of .* after 5 epochs"):
        race(data, tmp_path, hemline=(sys.executable, "products:numpy"))


def test_the_machine_says_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in machine.SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    text = machine.described(machine.Peak(flops=2.7279e11, bytes=4.704e10))
    assert "Set: OMP_NUM_THREADS=1. Not set: OMP_WAIT_POLICY, " in text
    assert "27.3 GFLOP of products, which take at least 0.100 s, and 47 MB of images to read, 0.0010 s" in text
