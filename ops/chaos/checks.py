"""What must be true after a round: the same bits as of a run that was left alone, everything whole, everything once.

losses(scene, "retrain", "Promoted", state, reference)      # [] or sentences that begin with what is lost
"""

import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import h5py  # Keras's own format of weights
import numpy as np
from prefect.client.schemas.objects import State

from hemline.errors import HemlineError
from hemline.registry.champion import Registry
from hemline.storage.files import is_temporary
from ops.automations import MESSAGES
from ops.chaos.faults import Scene
from ops.chaos.lane import wait_until

MESSAGE_SECONDS = 120.0
NAME = "chaos"  # of every round's model
TABLES = ("epochs.csv", "epochs.parquet", "evaluation.json", "confusion.csv", "parity.csv", "iterations.parquet/[!.]*")
TELLING = {state: kind for kind, (states, deployment, _) in MESSAGES.items() if not deployment for state in states}


@dataclass
class Reference:
    """A run that was left alone."""

    weights: dict[str, np.ndarray]
    tables: dict[str, bytes]
    names: set[str]
    durations: dict[str, float]  # seconds that each step took

    @staticmethod
    def of(run: Path, durations: dict[str, float]) -> "Reference":
        """What another run must be equal to."""
        weights: dict[str, np.ndarray] = {}
        with zipfile.ZipFile(run / "model.keras") as archive:
            content = BytesIO(archive.read("model.weights.h5"))
        with h5py.File(content) as file:
            file.visititems(lambda name, item: weights.update({name: item[()]}) if hasattr(item, "shape") else None)
        tables = {str(path.relative_to(run)): path.read_bytes() for name in TABLES for path in run.glob(name)}
        return Reference(weights, tables, {path.name for path in run.iterdir() if not is_temporary(path)}, durations)


def losses(scene: Scene, flow: str, verdict: str, state: State, alone: Reference) -> list[str]:
    """What is lost, in sentences."""
    check = {"retrain": retrained, "rollback": rolled_back, "prune": pruned}[flow]
    found = [*check(scene, verdict, alone), *whole(scene), *told(scene)]
    if state.name != (expected := verdict if flow == "retrain" else "Completed"):
        found.append(f"end: {state.name} ({state.message}) and not {expected}")
    return found


def retrained(scene: Scene, verdict: str, alone: Reference) -> Iterator[str]:
    """Bits, attempts, one version, one decision."""
    run, registry = scene.directory, Registry(scene.root / "artifacts", NAME)
    if not run or not (run / "model.keras").exists():
        yield "bits: there is no model.keras"
        return
    this = Reference.of(run, {})
    same = this.weights.keys() == alone.weights.keys()
    if not (same and all(np.array_equal(this.weights[name], alone.weights[name]) for name in this.weights)):
        yield "bits: model.keras has other weights"
    if changed := sorted(name for name, _ in this.tables.items() ^ alone.tables.items()):
        yield f"bits: {', '.join(changed)} differ"
    if more := this.names ^ alone.names:
        yield f"artifacts: the run has {sorted(more)} more or less"
    for earlier, later in pairwise(scene.attempts):  # each writes its own file, at every step
        if earlier.alive or (run / "attempts" / f"{earlier.number}.json").stat().st_mtime > later.began.timestamp():
            yield f"artifacts: attempt {earlier.number} wrote, or lives, after {later.number} had begun"
    if not scene.attempts[-1].ended or {each.owner for each in scene.attempts} != {str(scene.run)}:
        yield "artifacts: an attempt is another run's, or the last one has not ended"
    entries = [entry for entry in registry.entries() if str(scene.run) in entry.by]
    mine = [
        name for name in registry.versions() if str(scene.run) in (registry.models / name / "manifest.json").read_text()
    ]
    if [entry.decision for entry in entries] != [verdict.lower()] or [entry.version for entry in entries] != mine:
        yield f"artifacts: of this run are {[(entry.decision, entry.version) for entry in entries]} and versions {mine}"


def rolled_back(scene: Scene, verdict: str, alone: Reference) -> Iterator[str]:
    """Once, from 2 to 1."""
    moves = [(entry.decision, entry.version) for entry in Registry(scene.root / "artifacts", NAME).entries()[2:]]
    if moves != [("rolled back", "1")]:
        yield f"artifacts: after the rollback the ledger has {moves}"


def pruned(scene: Scene, verdict: str, alone: Reference) -> Iterator[str]:
    """The champion, its predecessor and the newest version are left, and nothing else."""
    left = sorted(
        path.name for place in (f"models/{NAME}", "runs") for path in (scene.root / "artifacts" / place).iterdir()
    )
    if left != ["1", "2", "4"]:
        yield f"artifacts: after the prune there are {left}"


def whole(scene: Scene) -> Iterator[str]:
    """Every version, the champion's name, and no name that nobody knows."""
    registry = Registry(scene.root / "artifacts", NAME)
    for version in registry.versions():
        try:
            registry.verified(version)
        except HemlineError as error:
            yield f"artifacts: {error}"
    alias, served = json.loads(registry.alias.read_bytes())["version"], registry.served.version
    if not alias == served == registry.champion():
        yield f"artifacts: champion.json has {alias}, {served} is served, and the ledger has {registry.champion()}"
    known = {"ledger.jsonl", "ledger.lock", "champion.json", f"champion-{served}", *registry.versions()}
    for path in (*registry.models.iterdir(), *registry.directory.iterdir()):
        if path.name not in known and not is_temporary(path):
            yield f"artifacts: {path} is nothing that a run writes"


def told(scene: Scene) -> Iterator[str]:
    """Exactly one message for each state that a person is told of. Waits for them."""
    notices = scene.lane.root / "artifacts" / "notices.jsonl"

    def wanted() -> Counter[str]:
        return Counter(TELLING[state.name] for state in scene.lane.states(scene.run) if state.name in TELLING)

    def sent() -> Counter[str]:
        lines = notices.read_text().splitlines() if notices.exists() else []
        return Counter(json.loads(line)["subject"].partition(":")[0] for line in lines if str(scene.run) in line)

    with suppress(TimeoutError):
        wait_until(lambda: sent() == wanted(), "a message", seconds=MESSAGE_SECONDS)
    if sent() != wanted():
        yield f"messages: {dict(sent())} were sent, and {dict(wanted())} were to be"
