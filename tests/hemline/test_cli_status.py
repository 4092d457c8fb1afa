"""`hemline status` in 80 columns and as JSON, and index.html after what a person decides in a terminal."""

import shlex
from pathlib import Path

import pytest

from hemline.errors import DatasetError
from tests.hemline.registry.nights import Nights, month
from tests.hemline.test_cli import Run, hemline, refused, run_and_list  # noqa: F401  hemline is a fixture


def test_a_month_fits_a_terminal(hemline: Run, tmp_path: Path) -> None:  # noqa: F811
    month(tmp_path)
    done = hemline("status")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("tiny: Kept, 2026-12-01 02:00, 40 s: kept tiny 21: challenger 25 is")
    assert "champion 21: 88.58 % (87.92 to 89.21), promoted 2026-11-27 by nightly: " in " ".join(lines)
    (curve,) = [line for line in lines if line.startswith("nights ")]
    assert curve[len("nights ") :].partition(" 86.12% to 88.82%")[0][6:10] == "▁▄▃ "  # unchanged, two kept, refused
    assert "! version 24 waits for your word: " in done.out


def test_a_command_can_be_pasted_however_long_it_is(hemline: Run, tmp_path: Path) -> None:  # noqa: F811
    nights = Nights(tmp_path)
    run = nights.ended_with(DatasetError("no"), checkpoint=True)
    out = hemline("status").out
    (first,) = [
        number for number, line in enumerate(out.splitlines()) if "retrain --resume" in line or "retrain \\" in line
    ]
    pasted = "\n".join(out.splitlines()[first - 1 :]).replace("\\\n", " ")
    assert f"--resume {run.name} --name tiny --epochs 20" in " ".join(
        shlex.split(pasted.partition("\n!")[0], posix=True)
    )


def test_json_has_the_same_facts(hemline: Run, tmp_path: Path) -> None:  # noqa: F811
    nights = Nights(tmp_path)
    nights.judged("promoted")
    (found,) = hemline("status", "--json").json
    assert (found["name"], found["champion"]["version"], found["nights"][-1]["state"]) == ("tiny", "1", "Promoted")
    assert found["nights"][-1]["interval"] == pytest.approx([0.8634, 0.8763])
    assert [need["command"] for need in found["needs"]] == ["prefect flow-run ls --limit 5"]  # long ago
    refused(hemline("status", "--name", "other"), "name must be that of a model", "There are tiny.")


def test_of_nothing_it_says_how_to_begin(hemline: Run) -> None:  # noqa: F811
    assert hemline("status").out == "No run yet: make retrain.\n"
    assert hemline("status", "--json").json == []


def test_it_imports_nothing_slow(tmp_path: Path) -> None:
    Nights(tmp_path).judged("promoted")
    printed, modules = run_and_list(
        ["--artifacts", str(tmp_path), "status"], "tensorflow keras pandas prefect matplotlib scipy"
    )
    assert printed.startswith("tiny: Promoted")
    assert modules == "[]"


def test_a_decision_updates_the_page_and_stands_if_that_fails(hemline: Run, tmp_path: Path) -> None:  # noqa: F811
    nights = Nights(tmp_path)
    nights.judged("promoted")
    nights.judged("kept")
    assert hemline("promote", "2", "--reason", "looked at it").code == 0
    page = (tmp_path / "index.html").read_text()
    assert "<strong>Champion 2</strong>" in page
    assert "looked at it" in page
    (tmp_path / "index.html").unlink()
    assert hemline("prune").code == 0
    assert not (tmp_path / "index.html").exists()  # it only looked
    assert hemline("prune", "--yes").code == 0
    assert (tmp_path / "index.html").exists()
    (tmp_path / "index.html").unlink()
    (tmp_path / "index.html" / "in the way").mkdir(parents=True)
    done = hemline("rollback", "--reason", "worse")
    assert (done.code, nights.registry.champion()) == (0, "1")
    assert "index.html is not up to date: " in done.err
