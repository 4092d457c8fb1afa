"""A year of nights, ten of which change something: what it leaves, and who was the champion on each of them."""

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from hemline.records.run import Decision, FlowRun
from hemline.registry import versions
from hemline.registry.champion import Registry
from hemline.registry.prune import Retention, removable, remove
from hemline.storage.files import size_of, write_json
from hemline.storage.runs import open_run
from tests.hemline.conftest import FinishedRun

FIRST = datetime(2026, 1, 1, 2, tzinfo=UTC)
LOG = "2026-01-01 02:00:07,813 | INFO    | prefect.task_runs - nothing has changed\n" * 60  # 5 kB, as of a real night


def test_a_year_leaves_little_and_every_nights_champion_is_known(finished: FinishedRun, tmp_path: Path) -> None:
    artifacts, champions = tmp_path / "artifacts", dict[datetime, str | None]()
    config = finished.record.config.model_copy(update={"artifacts_dir": artifacts})
    moment, registry = FIRST, Registry(artifacts, "tiny", now=lambda: moment)
    for night in range(365):
        moment, flow_run, identity = FIRST + timedelta(days=night), str(uuid4()), f"{night // 37:064}"
        run = open_run(config, moment, flow_run)
        write_json(run / "dataset.json", finished.dataset.record())
        (run / "run.log").write_text(LOG)
        if next(versions.made_from(artifacts, "tiny", identity), None) is None:  # ten times
            shutil.copytree(finished.trained.directory, run, dirs_exist_ok=True, ignore=shutil.ignore_patterns("data"))
            (run / "report.html").write_text("a report")
            update = {"flow_run": FlowRun(id=flow_run, name="nightly"), "identity": identity, "config": config}
            made = versions.publish(artifacts, finished.record.model_copy(update=update), run)
            decision = Decision(
                verdict="promoted" if night % 2 else "kept",
                champion=registry.champion(),
                challenger=made.version,
                sentence="as it was judged",
            )
            registry.record(decision, by="nightly")
            age(made.path, moment)
        age(run, moment)
        champions[moment] = registry.champion()
        if night % 7 == 0:
            remove(removable(artifacts, None, Retention(), moment), artifacts)
    assert registry.versions() == [str(number) for number in range(1, 11)]
    assert len(set(champions.values())) == 6  # none, and five that were promoted
    assert {when: registry.decisions().champion_at(when) for when in champions} == champions
    assert len(list((artifacts / "runs").iterdir())) == 50
    assert size_of(artifacts) < 5_000_000  # ten versions of 0.33 MB, one whole run, and 49 of 6 kB


def age(directory: Path, moment: datetime) -> None:
    for path in [*directory.rglob("*"), directory]:
        os.utime(path, (moment.timestamp(),) * 2)
