"""What must be true after a round: the same bits as of a run that was left alone, everything whole, everything once.

losses(scene, round_, state, reference)             # [] or sentences, each of which begins with what is lost
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
from typing import TYPE_CHECKING

import h5py
import numpy as np
from prefect.client.schemas.objects import State

from hemline.errors import HemlineError
from hemline.registry.champion import Registry
from hemline.registry.versions import verify
from hemline.storage.attempts import attempts
from hemline.storage.files import is_temporary
from ops.automations import MESSAGES
from ops.chaos.lane import wait_until

if TYPE_CHECKING:
    from ops.chaos.faults import Scene
    from ops.chaos.rounds import Round

MESSAGE_SECONDS = 60.0
TABLES = ["epochs.csv", "epochs.parquet", "evaluation.json", "confusion.csv", "parity.csv"]
OWN = {"run.log", "attempts"}  # of a run, with what no other has


@dataclass
class Reference:
    """A run that was left alone."""

    weights: dict[str, np.ndarray]
    tables: dict[str, bytes]
    names: set[str]
    durations: dict[str, float]  # seconds that each step took

    @staticmethod
    def of(run: Path, durations: dict[str, float]) -> "Reference":
        return Reference(_weights(run), _tables(run), {path.name for path in run.iterdir()}, durations)


def _weights(run: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(run / "model.keras") as archive:
        content = BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def _tables(run: Path) -> dict[str, bytes]:
    names = [*TABLES, *sorted(str(path.relative_to(run)) for path in run.glob("iterations.parquet/[!.]*"))]
    return {name: (run / name).read_bytes() for name in names}


def losses(scene: "Scene", round_: "Round", state: State, reference: Reference) -> list[str]:
    """What is lost, in sentences."""
    check = {"retrain": _retrained, "rollback": _rolled_back, "prune": _pruned}[round_.flow]
    found = [f"{what}: {text}" for what, text in check(scene, round_, state, reference)]
    return found + [f"artifacts: {text}" for text in _broken(scene)] + [f"messages: {text}" for text in untold(scene)]


def _retrained(scene: "Scene", round_: "Round", state: State, reference: Reference) -> Iterator[tuple[str, str]]:
    expected = "Kept" if round_.champion else "Promoted"
    if state.name != expected:
        yield "end", f"{state.name} ({state.message}) where {expected} was to come"
    run = scene.directory
    if not run or not (run / "model.keras").exists():
        yield "bits", "there is no model.keras"
        return
    weights, tables = _weights(run), _tables(run)
    same = weights.keys() == reference.weights.keys()
    if not (same and all(np.array_equal(weights[name], reference.weights[name]) for name in weights)):
        yield "bits", "model.keras has other weights"
    if changed := [name for name in tables | reference.tables if tables.get(name) != reference.tables.get(name)]:
        yield "bits", f"{', '.join(changed)} differ"
    names = {path.name for path in run.iterdir() if not is_temporary(path)}
    if names | OWN != reference.names | OWN:
        yield "artifacts", f"the run has {sorted(names ^ reference.names)} more or less"
    yield from _attempts(scene, run)
    registry = Registry(scene.root / "artifacts")
    decisions = [entry.decision for entry in registry.entries() if str(scene.run) in entry.by]
    if decisions != [expected.lower()]:
        yield "artifacts", f"the ledger has {decisions} of this run"
    mine = [name for name in registry.versions() if _maker(registry.models / name) == str(scene.run)]
    if len(mine) != 1:
        yield "artifacts", f"the versions of this run are {mine}"


def _attempts(scene: "Scene", run: Path) -> Iterator[tuple[str, str]]:
    """An attempt writes its own file at every step, and so its last change is before the next one's begin."""
    all_attempts = attempts(run)
    for earlier, later in pairwise(all_attempts):
        if earlier.alive:
            yield "artifacts", f"attempt {earlier.number} is alive beside {later.number}"
        if (run / "attempts" / f"{earlier.number:04d}.json").stat().st_mtime > later.began.timestamp() + 1:
            yield "artifacts", f"attempt {earlier.number} wrote after {later.number} had begun"
    if not all_attempts[-1].ended or {attempt.owner for attempt in all_attempts} != {str(scene.run)}:
        yield "artifacts", "the attempts are not all this run's, or the last one has not ended"


def _rolled_back(scene: "Scene", round_: "Round", state: State, reference: Reference) -> Iterator[tuple[str, str]]:
    registry = Registry(scene.root / "artifacts")
    moves = [entry for entry in registry.entries() if entry.decision == "rolled back"]
    if not state.is_completed() or len(moves) != 1 or registry.champion() != "0001":
        yield "artifacts", f"{state.name}: {len(moves)} rollbacks, and the champion is {registry.champion()}"


def _pruned(scene: "Scene", round_: "Round", state: State, reference: Reference) -> Iterator[tuple[str, str]]:
    artifacts = scene.root / "artifacts"
    left = sorted(path.name for path in [*(artifacts / "models").iterdir(), *(artifacts / "runs").iterdir()])
    if not state.is_completed() or left != ["0001", "0002", "0003"]:
        yield "artifacts", f"{state.name}: {left} are left"


def _broken(scene: "Scene") -> Iterator[str]:
    """Versions that do not verify, a champion that is not the ledger's, and names that nobody knows."""
    artifacts = scene.root / "artifacts"
    registry = Registry(artifacts)
    for version in registry.versions():
        try:
            registry.verified(version)
        except HemlineError as error:
            yield str(error)
    alias = json.loads(registry.alias.read_bytes())["version"]
    if alias != registry.champion():
        yield f"champion.json says {alias}, and the ledger {registry.champion()}"
    for place in (registry.models, registry.directory, artifacts / "runs"):
        for path in place.iterdir() if place.exists() else ():
            known = path.name.isdigit() or path.parent != registry.models
            if not known and not is_temporary(path):
                yield f"{path} is nothing that a run writes"


def untold(scene: "Scene") -> list[str]:
    """Messages that are missing, or too many. Waits for them."""
    kinds = {state: kind for kind, (states, deployment, _) in MESSAGES.items() if not deployment for state in states}
    notices = scene.lane.root / "artifacts" / "notices.jsonl"

    def expected() -> Counter[str]:
        return Counter(kinds[state.name] for state in scene.lane.states(scene.run) if state.name in kinds)

    def told() -> Counter[str]:
        lines = notices.read_text().splitlines() if notices.exists() else []
        return Counter(json.loads(line)["subject"].partition(":")[0] for line in lines if str(scene.run) in line)

    with suppress(TimeoutError):
        wait_until(lambda: told() == expected(), "telling", seconds=MESSAGE_SECONDS)
    if told() == expected():
        return []
    return [f"{dict(told())} were sent, and {dict(expected())} were to be"]


def leftovers(artifacts: Path) -> int:
    """Temporaries of killed writers, which pruning knows."""
    return sum(is_temporary(path) for path in artifacts.rglob(".*"))


def _maker(version: Path) -> str | None:
    with suppress(HemlineError):
        return verify(version).flow_run.id
    return None
