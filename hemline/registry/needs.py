"""What needs a person now, with the command to type.

    needs = needs_of(registry, decisions, champion, nights, now)
    needs[0].sentence, needs[0].command     # '8 needs approval: ...', 'hemline promote 8 --name fashion_mnist ...'

A list of rules: each looks at what is known, and finds something or nothing.
"""

import json
import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from hemline.config.nested import ABSENT, differences
from hemline.config.paths import option_of, root
from hemline.config.retrain import RetrainConfig
from hemline.records.status import NIGHT_HOURS, WELL, ChampionStatus, Need, Night
from hemline.registry.champion import Registry
from hemline.registry.decisions import Decisions
from hemline.registry.run_files import json_of
from hemline.storage.runs import RUNS


def needs_of(
    registry: Registry, decisions: Decisions, champion: ChampionStatus | None, nights: list[Night], now: datetime
) -> list[Need]:
    """Most urgent first. nights: the newest, oldest first."""
    latest = nights[-1:]
    return [
        *_broken_champion(registry, champion),
        *_approval(registry, decisions),
        *(need for night in latest for need in _doubts(registry, night)),
        *(need for night in latest for need in _not_ended(registry, night)),
        *_missed(nights, now),
    ]


def _broken_champion(registry: Registry, champion: ChampionStatus | None) -> Iterator[Need]:
    if champion and champion.problem:
        yield Need(
            sentence=f"the champion must be there, and whole: it is {champion.version}, {champion.problem}; restore it "
            "from a backup, or roll back",
            command=f"{_hemline(registry.artifacts)} rollback --name {registry.name} --reason WHY",
        )


def _approval(registry: Registry, decisions: Decisions) -> Iterator[Need]:
    """The newest version that waits for a person."""
    there = set(registry.versions())
    for version in [version for version in decisions.waiting() if version in there][-1:]:
        yield Need(
            sentence=f"version {version} waits for your word: Resume on its run's page if that waits there, else this, "
            "or keep in place of promote",
            command=f"{_hemline(registry.artifacts)} promote {version} --name {registry.name} --reason WHY",
        )


def _doubts(registry: Registry, night: Night) -> Iterator[Need]:
    """About the data of the latest run: where its version waits for a person, they are in that sentence."""
    if night.doubts and night.state not in ("Promoted", "Needs approval"):
        yield Need(
            sentence=f"the data is in doubt: {'; '.join(night.doubts)}; data.svg beside that file shows it",
            command=f"less {_from_root(registry.artifacts / RUNS / night.run / 'data.json')}",
        )


def _not_ended(registry: Registry, night: Night) -> Iterator[Need]:
    """A run that was refused, failed or stopped, and after which none has begun."""
    ends = {"Refused": "was refused", "Failed": "failed", "Unfinished": "did not finish"}
    run = registry.artifacts / RUNS / night.run
    if night.state not in ends or json_of(run / "config.json").get("only_train"):  # a sweep looks after its trials
        return
    sentence = f"the latest run {ends[night.state]}: {night.sentence}"
    if any((run / "checkpoints").glob("[!.]*")):
        yield Need(
            sentence=f"{sentence.rstrip('.')}; once that is put right, Retry on its page, or this, goes on from its "
            "checkpoint",
            command=_resume(registry.artifacts, run),
        )
    else:
        yield Need(sentence=sentence, command=f"less {_from_root(run / 'run.log')}")


def _missed(nights: list[Night], now: datetime) -> Iterator[Need]:
    ends = [night.started + timedelta(seconds=night.seconds or 0) for night in nights if night.state in WELL]
    if nights and now - max(ends, default=nights[0].started) > timedelta(hours=NIGHT_HOURS):
        since = f"since {max(ends):%Y-%m-%d %H:%M} UTC" if ends else f"of the last {len(nights)}"
        yield Need(
            sentence=f"no run has ended well {since}; a night is missed after {NIGHT_HOURS} hours: is a worker up, is "
            "the schedule active?",
            command="prefect flow-run ls --limit 5",
        )


def _resume(artifacts: Path, run: Path) -> str:
    """The command that goes on with a run: with the same options as before."""
    default, config = RetrainConfig().model_dump(mode="json"), json_of(run / "config.json")
    given = {name: here for name, (_, here) in differences(default, config).items() if here != ABSENT}
    words = [f"{_hemline(artifacts)} retrain --resume {shlex.quote(run.name)}"]
    for name, value in given.items():
        if name not in ("artifacts_dir", "resume", "recipe"):
            text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
            words.append(f"--{name.replace('_', '-')} {shlex.quote(text)}")
    return " ".join(words)


def _hemline(artifacts: Path) -> str:
    """The program, told where things are if they are not where it looks."""
    return shlex.join(["hemline", *option_of(artifacts)])


def _from_root(path: Path) -> str:
    return shlex.quote(str(path.relative_to(root()) if path.is_relative_to(root()) else path))
