"""The last lines of a run: how well, why, where everything is, and what to type next."""

import os
from pathlib import Path

import pytest

from flows.terminal import summary
from hemline.records.run import Decision, ModelVersion, Outcome
from tests.hemline.registry.published import RECORD


def outcome(artifacts: Path) -> Outcome:
    run = artifacts / "runs" / "2026-11-23-fashion_mnist-mlp-5bcf73b6"
    path = artifacts / "models" / "fashion_mnist" / "1"
    scores = {"val_accuracy": 0.8988, "test_accuracy": 0.8841}
    of = {"dataset": RECORD.dataset, "device": RECORD.device}
    version = ModelVersion.model_validate(
        {"name": "fashion_mnist", "version": "1", "path": path, "run": run, **scores, **of}
    )
    sentence = "promoted fashion_mnist 1: there was no champion"
    return Outcome(
        version=version, decision=Decision(verdict="promoted", champion=None, challenger="1", sentence=sentence)
    )


def test_the_last_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEMLINE_ROOT", str(tmp_path))
    artifacts = tmp_path / "artifacts"
    lines = summary(outcome(artifacts)).splitlines()
    assert lines == [
        "",
        "validation accuracy 0.8988, test accuracy 0.8841",
        "promoted fashion_mnist 1: there was no champion",
        "",
        f"model      {artifacts}/models/fashion_mnist/1",
        f"report     {artifacts}/runs/2026-11-23-fashion_mnist-mlp-5bcf73b6/report.html",
        "beside it  epochs.csv, iterations.parquet, run.log",
        "in short   hemline show 5bcf73b6",
    ]


def test_artifacts_that_are_elsewhere_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEMLINE_ROOT", str(tmp_path))
    assert summary(outcome(tmp_path / "my runs")).endswith(f"hemline --artifacts '{tmp_path}/my runs' show 5bcf73b6")


def test_on_a_terminal_the_sentence_is_folded_and_green(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((30, 24)))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    lines = summary(outcome(tmp_path)).splitlines()
    assert lines[2:4] == ["\x1b[32mpromoted fashion_mnist 1:\x1b[0m", "\x1b[32mthere was no champion\x1b[0m"]
