"""How it stands with each model's name, of what is on disk: for the morning page, and for `hemline status`.

    for status in statuses(artifacts, datetime.now(UTC)):
        status.headline         # 'Nothing needs you. Kept 2026-11-24: kept fashion_mnist 7: challenger 8 is ...'

Nothing is hashed, no model is read, and the ledger is read once for each name: 1,000 versions and runs take 0.13 s of a
processor. What cannot be read is among what a person is asked to do, and all else is still told.
"""

import platform
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from hemline.errors import RegistryError
from hemline.records.decider import decider
from hemline.records.status import NEWEST, ChampionStatus, Later, Need, Night, State, Status
from hemline.registry.champion import Registry, names, registries
from hemline.registry.decisions import Decisions, Entry
from hemline.registry.needs import needs_of
from hemline.registry.run_files import (
    RunState,
    as_written,
    attempts_of,
    json_of,
    run_directories,
    seconds_of,
    started,
    state_of,
)
from hemline.registry.versions import MANIFEST
from hemline.storage.attempts import Attempt
from hemline.storage.runs import TRAINED, UNCHANGED, short
from hemline.storage.shared import one_look, shared_at

VERDICTS: dict[str, State] = {"promoted": "Promoted", "kept": "Kept", "needs approval": "Needs approval"}
Runs = list[tuple[datetime, Path]]


@one_look()
def statuses(artifacts: Path, now: datetime, name: str | None = None) -> list[Status]:
    """Of each name that has a version, a ledger or a run; or of one, which must be there."""
    runs, damage = _runs_by_name(artifacts)
    known = sorted({*names(artifacts), *runs})
    if name is not None and name not in known:
        registries(artifacts, name)  # raises
    chosen = known if name is None else [name]
    return [_status(Registry(artifacts, each), sorted(runs[each])[-NEWEST:], damage, now) for each in chosen]


def _runs_by_name(artifacts: Path) -> tuple[dict[str, Runs], list[Need]]:
    """Every run by its name; and those of which the name cannot be read."""
    runs, damage = defaultdict[str, Runs](list), list[Need]()
    for run in run_directories(artifacts):
        try:
            runs[str(json_of(run / "config.json")["name"])].append((started(run), run))
        except KeyError:  # of an early Hemline
            continue
        except RegistryError as error:
            damage.append(Need(sentence=str(error)))
    return runs, damage


def _status(registry: Registry, runs: Runs, damage: list[Need], now: datetime) -> Status:
    needs, decisions, nights = list(damage), Decisions([]), list[Night]()
    try:
        decisions = registry.decisions()
    except RegistryError as error:
        needs.append(Need(sentence=str(error)))
    told = _Told(registry, decisions)
    for began, run in runs:
        try:
            nights.append(told.night(run, began, now))
        except RegistryError as error:
            needs.append(Need(sentence=str(error)))
    champion = told.champion()
    needs += needs_of(registry, decisions, champion, nights, now)
    return Status(name=registry.name, at=now, champion=champion, nights=nights, needs=needs)


class _Told:
    """What ledger and manifests of one name tell about its runs."""

    def __init__(self, registry: Registry, decisions: Decisions):
        self.registry, self.decisions = registry, decisions
        self.verdicts = dict(_verdicts(decisions.entries))
        self.later = _later(decisions.entries)
        self._manifests: dict[str, dict[str, Any]] = {}

    def manifest(self, version: str) -> dict[str, Any]:
        """Empty if it is gone or cannot be read: that is said of the champion alone."""
        if version not in self._manifests:
            try:
                self._manifests[version] = json_of(self.registry.models / version / MANIFEST)
            except RegistryError:
                self._manifests[version] = {}
        return self._manifests[version]

    def night(self, run: Path, began: datetime, now: datetime) -> Night:
        """What its directory says, and what was decided about its version."""
        tries, same = attempts_of(run), json_of(run / UNCHANGED)
        owners = [run.name.rpartition("-")[2], *(short(attempt.owner) for attempt in tries)]
        verdict = next((self.verdicts[owner] for owner in reversed(owners) if owner in self.verdicts), None)
        version = str(same["version"]) if same else verdict.version if verdict else None
        before = self.manifest(version) if same and version else {}  # such a night has no files of its own
        quality = json_of(run / "evaluation.json") or before.get("evaluation", {})
        data = json_of(run / "dataset.json") or before.get("dataset", {})
        findings = json_of(run / "data.json").get("findings", [])
        said = same or json_of(run / TRAINED)
        state, sentence = _outcome(state_of(run, tries, now), verdict, said.get("sentence", ""), tries[-1:])
        with as_written(run):
            return Night(
                run=run.name,
                flow_run=tries[-1].owner if tries else None,
                started=began,
                state=state,
                sentence=" ".join(sentence.split()),
                version=version,
                accuracy=quality.get("accuracy"),
                interval=quality.get("accuracy_interval"),
                seconds=seconds_of(run),
                examples={split: about["examples"] for split, about in data.get("splits", {}).items()},
                doubts=[finding["sentence"] for finding in findings if finding["answer"] == "ask"],
                report=(run / "report.html").exists(),
                later=self.later.get(version) if version and not same else None,
            )

    def champion(self) -> ChampionStatus | None:
        """The version in production, by its last move."""
        move = next((entry for entry in reversed(self.decisions.entries) if entry.moves), None)
        if move is None or move.champion_after is None:
            return None
        version = move.champion_after
        quality = self.manifest(version).get("evaluation", {})
        return ChampionStatus(
            version=version,
            path=str(self.registry.models / version),
            since=move.at,
            decision=move.decision,
            by=move.by,
            sentence=move.reason,
            accuracy=quality.get("accuracy"),
            interval=quality.get("accuracy_interval"),
            problem=self._problem(version),
        )

    def _problem(self, version: str) -> str:
        """What is wrong with its files, as far as their names say."""
        path, manifest = self.registry.models / version, self.manifest(version)
        if not path.is_dir():
            return "which is missing"
        if "files" not in manifest or "evaluation" not in manifest:
            return f"whose {MANIFEST} cannot be read"
        if shared_at(path):  # its files are fetched when somebody uses it
            return ""
        gone = [name for name in manifest["files"] if not (path / name).is_file()]
        return f"without {gone[0]}" if gone else ""


def _outcome(ended: RunState, verdict: Entry | None, said: str, last: list[Attempt]) -> tuple[State, str]:
    """The state and its sentence. said: that of a night without a verdict; last: the last attempt, if there was one."""
    place = last[0].place if last else "the start"
    if ended == "running":
        if verdict and verdict.decision == "needs approval":
            return "Needs approval", verdict.reason
        return "Running", f"it has come to {place}{_where(last)}"
    if ended in ("unchanged", "trained"):
        return ("Unchanged" if ended == "unchanged" else "Trained"), said
    if ended == "refused":
        return "Refused", last[0].refused
    if ended == "failed":
        return "Failed", last[0].failed
    if ended == "unfinished":
        return "Unfinished", f"it was stopped or killed in {place}"
    if verdict is None:
        return "Finished", "what was decided about it is not in the ledger"
    return VERDICTS[verdict.decision], verdict.reason


def _where(last: list[Attempt]) -> str:
    elsewhere = last and last[0].host != platform.node()
    return f" on {last[0].host}" if elsewhere else ""


def _verdicts(entries: Iterable[Entry]) -> Iterator[tuple[str, Entry]]:
    """The decisions of runs by `short` of their id, oldest first: of a run that asked, the answer counts."""
    for entry in entries:
        if entry.decision in VERDICTS and (run_id := decider(entry.by)[1]):
            yield short(run_id), entry


def _later(entries: Iterable[Entry]) -> dict[str, Later]:
    """The last thing that a person decided about a version, but for pruning."""
    later: dict[str, Later] = {}
    for entry in entries:
        about = {"at": entry.at, "by": entry.by, "reason": entry.reason}
        if entry.decision == "rolled back" and entry.champion_before:
            later[entry.champion_before] = Later(decision="rolled back", **about)
        back = entry.decision == "rolled back" and entry.version in later  # it was not its run that made it so
        if back:
            later[entry.version] = Later(decision="promoted", **about)
        elif entry.decision in ("promoted", "kept") and not entry.measurements:
            later[entry.version] = Later(decision=entry.decision, **about)
    return later
