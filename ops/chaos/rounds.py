"""One round: a run, a fault at a moment of it, and what is left.

    world = World(directory, pictures)                  # data, and versions that were there before
    result = world.play(lane, draw(17, seed=1, names=[...]))

A moment is a step and a share of the time that the step took in a run that was left alone.
"""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from hemline.data.dataset import DatasetRef, write_split
from hemline.records.run import Record
from hemline.registry.champion import Registry
from hemline.registry.versions import DIGEST, MANIFEST, seal, verify
from hemline.storage.attempts import attempts
from hemline.storage.files import write_json
from ops.chaos import checks
from ops.chaos.faults import FAULTS, Scene
from ops.chaos.lane import Lane, wait_until

STARTING, TRAIN = "starting", "train"
STEPS = [STARTING, "the start", "preflight", "prepare-dataset", "verify-layers", "verify-claims", TRAIN]
STEPS += ["evaluate", "publish", "promote", "report"]
SHORT_SECONDS = 6.0  # that a rollback or a pruning takes, most of it to start
TINY: dict[str, Any] = {"dataset": "mnist", "batch_size": 32, "validation": 60}
CASES: dict[str, dict[str, Any]] = {
    "epochs": TINY | {"epochs": 30},
    "steps": TINY | {"epochs": 12, "checkpoint_steps": 3, "keep_checkpoints": 2, "early_stopping": 20},
    "pictures": {"dataset": "fashion_mnist", "epochs": 3, "checkpoint_steps": 100},
}
OLD = "2026-01-01-old-00000000"  # a run that may be pruned
TMPFS_BYTES = 100 * 2**20


@dataclass
class Round:
    """What is to happen. blows: fault, step, share of the step's time."""

    number: int
    seed: str
    flow: str
    case: str
    champion: bool  # whether there is one before
    blows: list[tuple[str, str, float]]


def draw(number: int, seed: int, names: list[str], cases: list[str]) -> Round:
    """The round of this number: the same for the same seed. names: of faults that can happen here."""
    deck = [name for name in names for _ in range(FAULTS[name].weight)]
    Random(seed).shuffle(deck)
    name, random = deck[number % len(deck)], Random(f"{seed}-{number}")
    flow = random.choice(["retrain"] * 10 + list(FAULTS[name].of))
    case = "pictures" if name == "data corrupted" else random.choice(cases)
    if flow != "retrain":
        return Round(number, f"{seed}-{number}", flow, "epochs", True, [(name, STARTING, random.random())])
    first = STEPS.index(TRAIN) if name == "checkpoint corrupted" else 0
    weights = [5 if step == TRAIN else 1 for step in STEPS[first:]]
    (step,) = random.choices(STEPS[first:], weights)
    blows = [(name, step, random.random())]
    later = STEPS[STEPS.index(step) + 1 :]  # a run that crashes twice at one place is to fail
    if later and random.random() < 0.1:
        second = random.choice([name for name in names if FAULTS[name].again])
        blows.append((second, random.choice(later), random.random()))
    champion = case == "epochs" and random.random() < 0.5
    return Round(number, f"{seed}-{number}", flow, case, champion, blows)


@dataclass
class Result:
    """What came of a round."""

    round: Round
    where: list[str] = field(default_factory=list)
    state: str = ""
    seconds: float = 0.0  # from the first fault until it worked again; 0 if it never stopped
    attempts: int = 0
    leftovers: int = 0  # temporaries of killed writers
    losses: list[str] = field(default_factory=list)  # each begins with what is lost: bits, artifacts, ...

    def lost(self, what: str) -> bool:
        return any(loss.startswith(what) for loss in self.losses)


class World:
    """What all rounds have in common. pictures: a directory with fashion_mnist as TFDS prepares it."""

    def __init__(self, directory: Path, pictures: Path | None):
        self.directory, self.pictures = directory, pictures
        self.left_alone: dict[str, checks.Reference] = {}
        _write_tiny(directory / "tiny" / "decoded" / "mnist")
        if pictures:
            (directory / "pictures").mkdir()
            (directory / "pictures" / "fashion_mnist").symlink_to(pictures / "fashion_mnist")

    def prepare(self, lane: Lane, case: str) -> None:
        """A run of the case that is left alone; from the first one, the versions that rounds find."""
        scene, times = self._start(lane, Round(0, case, "retrain", case, False, []), Path(case)), dict[str, float]()
        for look in count():
            times.setdefault(_place(scene) or STARTING, time.monotonic())
            if look % 20 == 0 and scene.ended():
                break
            time.sleep(0.05)
        times["the end"] = time.monotonic()
        assert scene.directory, f"{scene.ended()}"
        wait_until(lambda: not scene.process, "the end of a process")
        durations = dict(zip(times, np.diff(list(times.values())), strict=False))
        print(case, durations, flush=True)
        self.left_alone[case] = checks.Reference.of(scene.directory, durations)
        if not (base := self.directory / "base").exists():
            _write_base(scene.root / "artifacts", base)
        for name in ("decoded", "xla-cache"):  # what the rounds need not do again
            if not (there := self._data(case) / name).exists():
                shutil.copytree(scene.root / "data" / name, there)

    def play(self, lane: Lane, round_: Round) -> Result:
        """Never raises: what goes wrong is a loss."""
        result = Result(round_)
        name = f"{round_.number:04d}"
        mounted = any(fault == "disk full" for fault, *_ in round_.blows)
        if mounted:
            (lane.root / name / "artifacts").mkdir(parents=True)
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "chaos", lane.root / name / "artifacts"],
                check=True,
            )
        try:
            self._play(lane, round_, result, Path(name))
        except Exception as error:
            result.losses.append(f"end: {type(error).__name__}: {error}")
        for process, restart in ((lane.server, lane.start_server), (lane.worker, lane.start_worker)):
            if process.poll() is not None:
                result.losses.append("end: server or worker has ended by itself")
                restart()
        if mounted:
            kept = lane.root / name / "kept"
            if result.losses:
                shutil.copytree(lane.root / name / "artifacts", kept)
            subprocess.run(["umount", "--lazy", lane.root / name / "artifacts"], check=True)
        if not result.losses:
            shutil.rmtree(lane.root / name)
        return result

    def _play(self, lane: Lane, round_: Round, result: Result, name: Path) -> None:
        scene = self._start(lane, round_, name)
        struck: datetime | None = None
        for fault, step, share in round_.blows:
            self._wait_for(scene, round_, step, share)
            where = (_place(scene) or step) if round_.flow == "retrain" else round_.flow
            result.where.append(where if scene.process else f"after {where}")
            struck = struck or datetime.now(UTC)
            FAULTS[fault].strike(scene)
        state = wait_until(scene.ended, "a good end")
        if state.is_failed() and any(fault == "disk full" for fault, *_ in round_.blows):  # a person was told
            scene.retry()
            wait_until(lambda: scene.ended() != state, "a retry")
            state = wait_until(scene.ended, "a good end")
        result.state = f"{state.name}"
        states = lane.states(scene.run)
        back = [each.timestamp for each in states if each.is_running() and struck and each.timestamp > struck]
        result.seconds = (back[0] - struck).total_seconds() if back and struck else 0.0
        wait_until(lambda: not scene.process, "the end of its process", seconds=60)
        if scene.directory:
            result.attempts = len(attempts(scene.directory))
        reference = self.left_alone[round_.case]
        result.losses += checks.losses(scene, round_, state, reference)
        result.leftovers = checks.leftovers(scene.root / "artifacts")

    def _start(self, lane: Lane, round_: Round, name: Path) -> Scene:
        root = lane.root / name
        shutil.copytree(self._data(round_.case), root / "data", symlinks=True)
        base = self.directory / "base"
        if base.exists():
            kept = base.iterdir() if round_.champion else [base / "proofs"]
            for each in kept:
                shutil.copytree(each, root / "artifacts" / each.name)
        if round_.flow == "prune":
            _write_old(root / "artifacts")
        parameters: dict[str, Any] = {"artifacts_dir": f"{name}/artifacts"}
        if round_.flow == "retrain":
            config = CASES[round_.case] | parameters | {"data_dir": f"{name}/data"}
            run = lane.run("retrain/smoke", {"config": config})
        elif round_.flow == "rollback":
            run = lane.run("rollback/champion", parameters | {"reason": "chaos"})
        else:
            retention = {"keep_versions": 1, "keep_runs": 0, "keep_days": 0}
            run = lane.run("prune/look", parameters | {"retention": retention, "delete": True})
        return Scene(lane, run.id, root, Random(round_.seed))

    def _data(self, case: str) -> Path:
        return self.directory / ("pictures" if case == "pictures" else "tiny")

    def _wait_for(self, scene: Scene, round_: Round, step: str, share: float) -> None:
        if step == STARTING:
            wait_until(lambda: scene.process or scene.ended(), "starting", pause=0.1)
        else:
            number = STEPS.index(step)
            wait_until(
                lambda: (STEPS.index(_place(scene) or STARTING) >= number) or _over(scene), f"step {step}", pause=0.05
            )
        durations = self.left_alone[round_.case].durations
        longest = durations.get(step, 0.1) if round_.flow == "retrain" else SHORT_SECONDS
        if _place(scene) in (None, step):
            time.sleep(share * longest)


def _place(scene: Scene) -> str | None:
    """The step that the run's newest attempt has reached."""
    if scene.directory and (found := attempts(scene.directory)):
        return found[-1].place
    return None


def _over(scene: Scene) -> bool:
    found = attempts(scene.directory) if scene.directory else []
    return bool(found and found[-1].ended)


def _write_tiny(directory: Path) -> None:
    """300 training and 70 test pictures whose brightness is their class, as decoded from a set that TFDS knows."""
    random = np.random.default_rng(0)
    splits, shape, names = {}, (4, 4, 1), ["dark", "middling", "bright"]
    directory.mkdir(parents=True)
    for name, examples in {"train": 300, "test": 70}.items():
        labels = random.integers(3, size=examples).astype(np.int32)
        images = 60 * labels[:, None, None, None] + random.integers(0, 120, size=(examples, *shape))
        splits[name] = write_split(directory, name, [(images.astype(np.uint8), labels)])
    ref = DatasetRef(full_name="mnist/3.0.1", path=directory, image_shape=shape, class_names=names, splits=splits)
    write_json(directory / "dataset.json", ref.record())


def _write_base(artifacts: Path, base: Path) -> None:
    """Proofs; and three versions of one model, of which the second is the champion and the first was."""
    for name in ("proofs", "models", "registry"):
        shutil.copytree(artifacts / name, base / name)
    registry, first = Registry(base), verify(base / "models" / "0001")
    record = Record(**{name: getattr(first, name) for name in Record.model_fields})
    for version in ("0002", "0003"):
        copy = base / "models" / version
        shutil.copytree(base / "models" / "0001", copy)
        for name in (MANIFEST, DIGEST):
            (copy / name).unlink()
        seal(copy, record, version)
    registry.promote("0002", "chaos", "so that there is one to go back from")


def _write_old(artifacts: Path) -> None:
    """A run, and what a killed writer has left, both old enough to be pruned; and 0003, then 0004 stays."""
    run, left = artifacts / "runs" / OLD, artifacts / "models" / ".0009-abcdefgh"
    for directory in (run, left):
        directory.mkdir(parents=True)
        write_json(directory / "config.json", {})
        os.utime(directory / "config.json", (0, 0))
