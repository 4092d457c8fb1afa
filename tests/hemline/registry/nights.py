"""Nights that look as real ones do from outside, made in milliseconds: every state that a run can end in."""

import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hemline.config.retrain import RetrainConfig
from hemline.errors import DatasetError
from hemline.records.run import Decision, FlowRun, Verdict
from hemline.registry.champion import Registry
from hemline.storage.attempts import attempt, reached
from hemline.storage.files import write_json
from hemline.storage.runs import UNCHANGED, short
from hemline.storage.timing import spent
from tests.hemline.registry.published import RECORD, make_version

FIRST = datetime(2026, 11, 1, 2, 0, tzinfo=UTC)


class Nights:
    """One after the other, a day apart; `now` is ten minutes after the last one began."""

    def __init__(self, artifacts: Path, name: str = "tiny"):
        self.artifacts, self.number, self.now = artifacts, 0, FIRST
        self.registry = Registry(artifacts, name, now=lambda: self.now)

    def judged(self, verdict: Verdict, accuracy: float = 0.87, sentence: str = "", finished: bool = True) -> str:
        """A night that published a version. Returns its number."""
        run, flow_run = self._run()
        quality = self._quality(run, accuracy)
        record = RECORD.model_copy(
            update={
                "config": RetrainConfig(name=self.registry.name, epochs=1),
                "flow_run": flow_run,
                "evaluation": RECORD.evaluation.model_copy(update=quality),
            }
        )
        with attempt(run, flow_run.id):
            spent(run, {"start": 3.0, "train": 7.0 + self.number})
            spent(run, {"steps": 5.0}, epoch=1)
        version = make_version(self.artifacts, record=record)
        champion = self.registry.champion()
        before = f"{verdict} {self.registry.name} {champion or 'without a champion'}"
        decision = Decision(
            verdict=verdict,
            champion=champion,
            challenger=version,
            sentence=sentence or f"{before}: challenger {version} is 0.12 points better",
            measurements={"difference_points": 0.12},
        )
        self.registry.record(decision, f"{flow_run.name} ({flow_run.id})")
        if finished:
            (run / "report.html").write_text("<p>report</p>")
        return version

    def unchanged(self, version: str) -> None:
        """A night that had nothing to train."""
        run, flow_run = self._run()
        with attempt(run, flow_run.id):
            spent(run, {"start": 3.0, "compare": 0.5})
        sentence = f"nothing has changed since {self.registry.name} {version} was made"
        write_json(run / UNCHANGED, {"name": self.registry.name, "version": version, "sentence": sentence})

    def ended_with(self, error: BaseException, place: str = "train", checkpoint: bool = False) -> Path:
        """A night that raised it."""
        run, flow_run = self._run()
        with suppress(type(error)), attempt(run, flow_run.id):
            spent(run, {"start": 3.0})
            reached(place)
            if checkpoint:
                (run / "checkpoints" / "epoch-00001-step-000004").mkdir(parents=True)
            raise error
        return run

    def found(self, run: Path, sentence: str, answer: str) -> None:
        """What a check of the data found."""
        write_json(run / "data.json", {"findings": [{"check": "leaks", "answer": answer, "sentence": sentence}]})

    def newest(self) -> Path:
        """The directory of the newest."""
        return max((self.artifacts / "runs").iterdir(), key=lambda path: (path / "config.json").stat().st_mtime)

    def _run(self) -> tuple[Path, FlowRun]:
        self.number += 1
        began = FIRST + timedelta(days=self.number)
        self.now = began + timedelta(minutes=10)
        flow_run = FlowRun(id=f"{self.number:08x}-4f50-6172-8394-a5b6c7d8e9f0", name="nightly")
        run = self.artifacts / "runs" / f"{began:%Y-%m-%d}-nightly-{short(flow_run.id)}"
        config: Mapping[str, Any] = RetrainConfig(name=self.registry.name, epochs=20).model_dump(mode="json")
        write_json(run / "config.json", config)
        os.utime(run / "config.json", (began.timestamp(),) * 2)
        return run, flow_run

    def _quality(self, run: Path, accuracy: float) -> dict[str, Any]:
        quality = {"accuracy": accuracy, "accuracy_interval": (accuracy - 0.0066, accuracy + 0.0063)}
        write_json(run / "evaluation.json", quality)
        splits = {"train": {"examples": 60_000 + 100 * self.number}, "test": {"examples": 10_000}}
        write_json(run / "dataset.json", {"splits": splits})
        return quality


def month(artifacts: Path) -> Nights:
    """Thirty nights of all kinds."""
    nights = Nights(artifacts)
    first = nights.judged("promoted", 0.8612)
    for night in range(2, 31):
        accuracy = 0.861 + 0.0008 * night + 0.002 * (night % 3)
        if night in (6, 7):
            nights.unchanged(first)
        elif night == 10:
            nights.ended_with(DatasetError("a data file must match. Received: another. Delete it."), "prepare-dataset")
        elif night == 13:
            nights.ended_with(KeyError("no | such *key* <b>"), checkpoint=True)
        elif night == 17:
            nights.ended_with(KeyboardInterrupt(), checkpoint=True)
        elif night in (9, 20, 26):
            nights.judged("promoted", accuracy)
        elif night == 29:
            nights.judged("needs approval", accuracy)
        else:
            nights.judged("kept", accuracy)
        if night == 21:
            nights.registry.rollback("ada@laptop", "shirts are not recognised any more")
    return nights
