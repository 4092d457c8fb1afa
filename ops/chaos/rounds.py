"""One round: a run, a fault at a moment of it, and what is left.

    world = World(directory, pictures)                  # data, and versions that were there before
    result = world.play(lane, draw(17, seed=1, names=[...]))

A moment is a step and a share of the time that the step took in a run that was left alone.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
from hemline.registry.versions import DIGEST, MANIFEST, seal
from hemline.storage.files import write_json
from ops.chaos.checks import NAME, Reference, losses
from ops.chaos.faults import CHECKPOINT, DATA, DISK, FAULTS, Scene
from ops.chaos.lane import Lane, wait_until

VERSIONS = ("models", "registry", "serving")  # directories of artifacts
FILES = Path("downloads") / "manual"  # of a data set, in a directory of data
STARTING, TRAIN = "starting", "train"
STEPS = [STARTING, "the start", "preflight", "compare", "check-model", "prepare-dataset", "check-data"]
STEPS += ["verify-layers", "verify-claims", TRAIN, "evaluate", "publish", "promote", "report"]
TINY: dict[str, Any] = {"name": NAME, "dataset": "mnist", "batch_size": 32, "validation": 60, "force": True}
CASES: dict[str, dict[str, Any]] = {
    "epochs": TINY | {"epochs": 30},
    "steps": TINY | {"epochs": 12, "checkpoint_steps": 3, "keep_checkpoints": 2, "early_stopping": 12},
    "pictures": {"name": NAME, "dataset": "fashion_mnist", "epochs": 3, "checkpoint_steps": 100},
}
DEPLOYMENTS = {"retrain": "retrain/smoke", "rollback": "rollback/champion", "prune": "prune/look"}
SHORT_SECONDS = 6.0  # that a rollback or a prune takes, most of it to start
DISK_BYTES = 100 * 2**20


@dataclass(frozen=True)
class Round:
    """What is to happen. blows: fault, step, share of the step's time."""

    number: int
    flow: str
    case: str
    champion: bool  # whether there is one before
    blows: list[tuple[str, str, float]]
    random: Random


def draw(number: int, seed: int, names: list[str]) -> Round:
    """The round of this number: the same for the same seed. names: of faults that can happen here."""
    deck, random = [name for name in names for _ in range(FAULTS[name].weight)], Random(f"{seed}-{number}")
    Random(seed).shuffle(deck)
    name = deck[number % len(deck)]
    flow = random.choice(["retrain"] * 8 + ["rollback", "prune"] * FAULTS[name].any_flow)
    if flow != "retrain":
        return Round(number, flow, "epochs", True, [(name, STARTING, random.random())], random)
    case = "pictures" if name == DATA else random.choice(["epochs", "steps"])
    steps = STEPS[STEPS.index(TRAIN) if name == CHECKPOINT else 0 :]
    (step,) = random.choices(steps, [5 if step == TRAIN else 1 for step in steps])
    blows = [(name, step, random.random())]
    later = STEPS[STEPS.index(step) + 1 :]  # a run that crashes twice at one place is to fail
    if later and random.random() < 0.1:
        second = random.choice([name for name in names if FAULTS[name].second] or names)
        blows.append((second, random.choice(later), random.random()))
    return Round(number, flow, case, case == "epochs" and random.random() < 0.5, blows, random)


@dataclass
class Result:
    """What came of a round."""

    round: Round
    where: list[str] = field(default_factory=list)
    state: str = "no end"
    seconds: float = 0.0  # from the first fault until it worked again; 0 if it never stopped
    attempts: int = 0
    losses: list[str] = field(default_factory=list)  # each begins with what is lost: bits, artifacts, messages, end


class World:
    """What all rounds have in common. pictures: a directory of data with Fashion-MNIST's files."""

    def __init__(self, directory: Path, pictures: Path | None):
        self.base, self._alone = directory / "base", dict[str, Reference]()
        self._tiny, self._pictures = directory / "tiny", directory / "pictures"
        _write_tiny(self._tiny / "decoded" / "mnist")
        if pictures:
            (self._pictures / FILES).parent.mkdir(parents=True)
            (self._pictures / FILES).symlink_to(pictures / FILES)

    def prepare(self, lane: Lane, case: str) -> None:
        """A run of the case that is left alone. From the first one: what every round finds."""
        scene, times = self._start(lane, Round(0, "retrain", case, False, [], Random(0)), case), dict[str, float]()
        for look in count():
            times.setdefault(_place(scene), time.monotonic())
            if look % 20 == 0 and (end := scene.ended()):
                break
            time.sleep(0.05)
        assert end and end.name == "Promoted" and scene.directory, end  # noqa: PT018
        durations = dict(zip(times, np.diff([*times.values(), time.monotonic()]).tolist(), strict=True))
        self._alone[case] = Reference.of(scene.directory, durations)
        wait_until(lambda: not scene.process, "the end of a process")
        if not self.base.exists():
            _write_base(scene.root / "artifacts", self.base)
        for name in ("decoded", "xla-cache"):
            if not (there := self._data(case) / name).exists():
                shutil.copytree(scene.root / "data" / name, there)

    def play(self, lane: Lane, round_: Round) -> Result:
        """Never raises: what goes wrong is a loss, and then the files stay."""
        result, name = Result(round_), f"{round_.number}"
        with _disk(lane.root / name / "artifacts", result, any(fault == DISK for fault, *_ in round_.blows)):
            try:
                self._play(self._start(lane, round_, name), result)
            except Exception as error:
                result.losses.append(f"end: {type(error).__name__}: {error}")
        for process, start in ((lane.server, lane.start_server), (lane.worker, lane.start_worker)):
            if process.poll() is not None:
                result.losses.append(f"end: server or worker has ended by itself, with {process.returncode}")
                start()
        if not result.losses:
            shutil.rmtree(lane.root / name)
        return result

    def _play(self, scene: Scene, result: Result) -> None:
        round_, reference, struck = result.round, self._alone[result.round.case], list[datetime]()
        for fault, step, share in round_.blows:
            result.where.append(_wait_for(scene, step, share, round_, reference))
            struck.append(datetime.now(UTC))
            FAULTS[fault].strike(scene)
        state = wait_until(scene.ended, "a good end")
        if state.is_failed() and any(fault == DISK for fault, *_ in round_.blows):  # a person is told, and retries
            scene.retry()
            state = wait_until(lambda: scene.ended(after=state), "a good end")
        result.state = str(state.name)
        wait_until(lambda: not scene.process, "the end of its process")
        states = scene.lane.states(scene.run)
        back = [each.timestamp for each in states if each.is_running() and each.timestamp > struck[0]]
        result.seconds = (back[0] - struck[0]).total_seconds() if back else 0.0
        result.attempts = len(scene.attempts)
        result.losses += losses(scene, round_.flow, "Kept" if round_.champion else "Promoted", state, reference)

    def _start(self, lane: Lane, round_: Round, name: str) -> Scene:
        root, artifacts = lane.root / name, lane.root / name / "artifacts"
        shutil.copytree(self._data(round_.case), root / "data", symlinks=True)
        for each in ("proofs", *VERSIONS) if round_.champion else ("proofs",):
            if self.base.exists():
                shutil.copytree(self.base / each, artifacts / each, symlinks=True)
        parameters: dict[str, Any] = {"artifacts_dir": f"{name}/artifacts"}
        if round_.flow == "retrain":
            parameters = {"config": CASES[round_.case] | parameters | {"data_dir": f"{name}/data"}}
        elif round_.flow == "rollback":
            parameters |= {"reason": "chaos"}
        else:
            _write_old(artifacts)
            parameters |= {"retention": {"keep_versions": 1, "keep_runs": 0, "keep_days": 0}, "delete": True}
        return Scene(lane, lane.run(DEPLOYMENTS[round_.flow], parameters), root, round_.random)

    def _data(self, case: str) -> Path:
        return self._pictures if case == "pictures" else self._tiny


def _wait_for(scene: Scene, step: str, share: float, round_: Round, reference: Reference) -> str:
    """Returns at the moment, and where that is."""
    short, look = round_.flow != "retrain", count()

    def reached() -> object:
        there = STEPS.index(_place(scene)) >= STEPS.index(step) if step != STARTING else scene.process
        return there or (next(look) % 20 == 0 and scene.ended())

    wait_until(reached, step, pause=0.05)
    if short or _place(scene) == step:
        time.sleep(share * (SHORT_SECONDS if short else reference.durations.get(step, 0.1)))
    where = round_.flow if short else _place(scene)
    return where if scene.process else "after its end"


def _place(scene: Scene) -> str:
    """The step that the run's newest attempt has reached."""
    return scene.attempts[-1].place if scene.attempts else STARTING


@contextmanager
def _disk(artifacts: Path, result: Result, own: bool) -> Iterator[None]:
    """A small disk that can be filled, if there is to be one; after a loss its files are kept."""
    if not own:
        yield
        return
    artifacts.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "chaos", str(artifacts)], check=True)
    try:
        yield
        if result.losses:
            shutil.copytree(artifacts, artifacts.with_name("kept"))
    finally:
        subprocess.run(["umount", "--lazy", str(artifacts)], check=True)


def _write_tiny(directory: Path) -> None:
    """300 training and 70 test pictures whose brightness is their class, as decoded from a set that TFDS knows."""
    random, shape, names = np.random.default_rng(0), (4, 4, 1), ["dark", "middling", "bright"]
    splits = {}
    directory.mkdir(parents=True)
    for name, examples in {"train": 300, "test": 70}.items():
        labels = random.integers(3, size=examples).astype(np.int32)
        images = 60 * labels[:, None, None, None] + random.integers(0, 120, size=(examples, *shape))
        splits[name] = write_split(directory, name, [(images.astype(np.uint8), labels)])
    ref = DatasetRef(full_name="mnist/3.0.1", path=directory, image_shape=shape, class_names=names, splits=splits)
    write_json(directory / "dataset.json", ref.record())


def _write_base(artifacts: Path, base: Path) -> None:
    """Proofs; and four versions of one model: 1 was the champion, 2 is it."""
    for name in ("proofs", *VERSIONS):
        shutil.copytree(artifacts / name, base / name, symlinks=True)
    registry = Registry(base, NAME)
    first = registry.verified("1")
    record = Record(**{name: getattr(first, name) for name in Record.model_fields})
    for version in ("2", "3", "4"):
        shutil.copytree(registry.models / "1", copy := registry.models / version)
        for name in (MANIFEST, DIGEST):
            (copy / name).unlink()
        seal(copy, record, version)
    registry.promote("2", "chaos", "so that there is one to go back from")


def _write_old(artifacts: Path) -> None:
    """A run, and what a killed writer has left, old enough to be pruned."""
    for directory in (artifacts / "runs" / "2026-01-01-old-00000000", artifacts / "models" / NAME / ".9-abcdefgh"):
        directory.mkdir(parents=True)
        write_json(directory / "config.json", {})
        os.utime(directory / "config.json", (0, 0))
