"""Each state that a run can end in, what a person decided since, and what needs one."""

import os
import shlex
from datetime import timedelta
from pathlib import Path

import pytest

from hemline.config.retrain import RetrainConfig
from hemline.errors import DatasetError, RegistryError
from hemline.records.run import Decision
from hemline.records.status import Status
from hemline.registry.champion import Registry
from hemline.registry.status import statuses
from hemline.storage.attempts import attempt
from hemline.storage.files import write_json
from tests.hemline.registry.nights import FIRST, Nights, month
from tests.hemline.registry.test_growth import of, opened


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    return Nights(tmp_path)


def status(nights: Nights, hours: float = 0) -> Status:
    (found,) = statuses(nights.artifacts, nights.now + timedelta(hours=hours), nights.registry.name)
    return found


def test_nothing_has_no_status(tmp_path: Path) -> None:
    assert statuses(tmp_path, FIRST) == []
    with pytest.raises(RegistryError, match=r"name must be that of a model in .*\. Received: name='x'"):
        statuses(tmp_path, FIRST, "x")


def test_a_promoted_night_in_full(nights: Nights) -> None:
    nights.judged("promoted", 0.87)
    found = status(nights)
    night = found.latest
    assert night
    assert (night.state, night.version, night.accuracy, night.report) == ("Promoted", "1", 0.87, True)
    assert night.interval == pytest.approx((0.8634, 0.8763))
    assert night.seconds == 3.0 + 8.0  # of steps; those of an epoch are part of one
    assert night.examples == {"train": 60_100, "test": 10_000}
    assert (night.started, night.run) == (FIRST + timedelta(days=1), "2026-11-02-nightly-00000001")
    assert night.flow_run == "00000001-4f50-6172-8394-a5b6c7d8e9f0"
    champion = found.champion
    assert champion
    assert (champion.version, champion.decision, champion.accuracy, champion.problem) == ("1", "promoted", 0.87, "")
    assert champion.since == nights.now
    assert found.needs == []
    assert found.headline == (
        "Nothing needs you. Promoted 2026-11-02: promoted tiny without a champion: challenger 1 is 0.12 points better"
    )


def test_every_end_has_its_state_and_sentence(nights: Nights) -> None:
    nights.judged("promoted")
    nights.judged("kept")
    nights.unchanged("1")
    nights.ended_with(DatasetError("a data file must match. Received: another.\nDelete it."))
    nights.ended_with(KeyError("oops"))
    nights.ended_with(KeyboardInterrupt(), place="evaluate")
    nights.judged("needs approval", finished=False)  # and killed before its report
    found = status(nights)
    assert [night.state for night in found.nights] == [
        "Promoted",
        "Kept",
        "Unchanged",
        "Refused",
        "Failed",
        "Unfinished",
        "Unfinished",
    ]
    sentences = [night.sentence for night in found.nights]
    assert sentences[2:6] == [
        "nothing has changed since tiny 1 was made",
        "a data file must match. Received: another. Delete it.",
        "KeyError: 'oops'",
        "it was stopped or killed in evaluate",
    ]
    same = found.nights[2]
    assert (same.accuracy, same.version, same.examples) == (0.87, "1", {"test": 70})  # its version's
    assert (found.nights[3].accuracy, found.nights[3].examples) == (None, {})


def test_a_run_that_works_is_running_and_one_that_asks_says_so(nights: Nights) -> None:
    run = nights.ended_with(KeyboardInterrupt())
    with attempt(run, "00000001-again"):
        assert [(night.state, night.sentence) for night in status(nights).nights] == [
            ("Running", "it has come to the start")
        ]
    nights.judged("needs approval", finished=False)
    with attempt(nights.newest(), "00000002-again"):
        found = status(nights)
        assert found.nights[-1].state == "Needs approval"


def test_a_run_that_was_resumed_has_the_verdict_of_the_flow_run_that_resumed_it(nights: Nights) -> None:
    first = nights.ended_with(KeyboardInterrupt())
    nights.judged("promoted")
    resumed = nights.newest()
    with attempt(first, "00000002-4f50-6172-8394-a5b6c7d8e9f0"):
        pass
    (first / "report.html").touch()
    for file in (*resumed.rglob("*.json"), *resumed.glob("*.*")):
        file.unlink(missing_ok=True)
    assert [(night.run, night.state) for night in status(nights).nights] == [(first.name, "Promoted")]


def test_what_a_person_decided_since_is_told_apart_from_what_the_run_decided(nights: Nights) -> None:
    nights.judged("promoted")
    nights.judged("promoted")
    nights.judged("needs approval")
    nights.registry.rollback("ada@laptop", "shirts are not recognised")
    found = status(nights)
    assert [night.state for night in found.nights] == ["Promoted", "Promoted", "Needs approval"]
    assert [night.fate for night in found.nights] == ["Promoted", "Rolled back", "Needs approval"]
    assert found.nights[1].later
    assert found.nights[1].later.sentence == "rolled back 2026-11-04 by ada@laptop: shirts are not recognised"
    nights.registry.promote("3", "ada@laptop", "looked at it")
    found = status(nights)
    assert [night.fate for night in found.nights] == ["Promoted", "Rolled back", "Promoted"]
    assert found.champion
    assert (found.champion.version, found.champion.by) == ("3", "ada@laptop")


def test_a_version_that_waits_needs_a_person_until_another_champion_is_made_or_it_is_gone(nights: Nights) -> None:
    nights.judged("promoted")
    nights.judged("needs approval")
    nights.judged("needs approval")
    nights.judged("kept")
    (need,) = status(nights).needs
    assert need.sentence.startswith("version 3 waits for your word: Resume on its run's page")
    assert need.command == f"hemline --artifacts {nights.artifacts} promote 3 --name tiny --reason WHY"
    nights.registry.protect("3", "ada", "look at it later")
    assert status(nights).needs == [need]
    (nights.registry.models / "3").rename(nights.artifacts / "pruned")
    assert ["version 2 " in need.sentence for need in status(nights).needs] == [True]
    nights.judged("promoted")
    assert status(nights).needs == []


def test_a_version_of_which_the_answer_was_no_waits_no_more(nights: Nights) -> None:
    nights.judged("promoted")
    nights.judged("needs approval")
    asked = nights.registry.entries()[-1]
    no = Decision(verdict="kept", champion="1", challenger="2", sentence="kept tiny 1: not approved (no comment)")
    nights.registry.record(no, asked.by)
    found = status(nights)
    assert (found.needs, found.nights[-1].state) == ([], "Kept")


def test_a_person_declines_a_version_that_waits_and_no_other(nights: Nights) -> None:
    nights.judged("promoted")
    nights.judged("needs approval")
    with pytest.raises(RegistryError, match=r"Received: version='1', which does not\. There is 2\."):
        nights.registry.keep("1", "ada", "no")
    nights.registry.keep("2", "ada", "its shirts are worse")
    found = status(nights)
    assert (found.needs, found.nights[-1].fate) == ([], "Kept")
    assert nights.registry.champion() == "1"
    with pytest.raises(RegistryError, match=r"There is none\."):
        nights.registry.keep("2", "ada", "again")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("model.keras", "it is 1, without model.keras"),
        ("manifest.json", "it is 1, whose manifest.json cannot be read"),
        (".", "it is 1, which is missing"),
    ],
)
def test_a_champion_that_is_not_whole_needs_a_person(damage: str, problem: str, nights: Nights) -> None:
    nights.judged("promoted")
    path = nights.registry.models / "1" / damage
    path.unlink() if path.is_file() else path.rename(nights.artifacts / "elsewhere")
    (need,) = status(nights).needs
    assert problem in need.sentence
    assert need.command.endswith(" rollback --name tiny --reason WHY")


def test_doubts_about_the_latest_data_need_a_person_unless_the_gate_has_promoted_it(nights: Nights) -> None:
    nights.judged("promoted")
    nights.judged("kept")
    nights.found(nights.newest(), "60 examples are in both", "warn")
    assert status(nights).needs == []
    nights.found(nights.newest(), "60 examples are in both", "ask")
    (need,) = status(nights).needs
    assert "the data is in doubt: 60 examples are in both" in need.sentence
    nights.judged("promoted")
    nights.found(nights.newest(), "60 examples are in both", "ask")
    assert status(nights).needs == []


def test_a_night_is_missed_after_26_hours(nights: Nights) -> None:
    nights.judged("promoted")  # it began ten minutes ago, and took 11 s
    began_ago = 10 / 60
    assert status(nights, 26 - began_ago).needs == []
    (need,) = status(nights, 26 - began_ago + 0.01).needs
    assert need.sentence.startswith("no run has ended well since 2026-11-02 02:00 UTC; ")
    nights.ended_with(ValueError("no"))  # a day later
    assert len(status(nights, 1).needs) == 1  # it failed
    assert len(status(nights, 3).needs) == 2  # and nothing has ended well


def test_a_run_that_can_go_on_says_with_which_command_and_it_means_the_same(nights: Nights) -> None:
    nights.judged("promoted")
    run = nights.ended_with(ValueError("out of luck"), checkpoint=True)
    config = RetrainConfig(name="tiny", epochs=3, seed=None, frozen=["norm_*", "it's"], groups={"upper": None})
    began = (run / "config.json").stat().st_mtime
    write_json(run / "config.json", config.model_dump(mode="json"))
    os.utime(run / "config.json", (began, began))
    (need,) = [need for need in status(nights).needs if "retrain" in need.command]
    assert need.sentence.startswith("the latest run failed: ValueError: out of luck; once that is put right")
    words = shlex.split(need.command)
    assert words[:6] == ["hemline", "--artifacts", str(nights.artifacts), "retrain", "--resume", run.name]
    assert told(words[6:]) == config
    nights.judged("kept")
    assert status(nights).needs == []


def told(words: list[str]) -> RetrainConfig:
    """What the command line makes of the options."""
    from typer.testing import CliRunner

    from hemline.config.options import program

    given: list[RetrainConfig] = []
    done = CliRunner().invoke(program(RetrainConfig, given.append), words)
    assert done.exit_code == 0, done.output
    return given[0]


def test_without_a_checkpoint_the_log_is_named(nights: Nights) -> None:
    run = nights.ended_with(ValueError("out of luck"))
    need = status(nights).needs[0]
    assert need.command == f"less {run / 'run.log'}"


def test_what_is_damaged_needs_a_person_and_the_rest_is_told(nights: Nights) -> None:
    nights.judged("promoted")
    nights.judged("kept")
    (nights.newest() / "evaluation.json").write_text('{"accuracy": "high"}')
    found = status(nights)
    assert [night.state for night in found.nights] == ["Promoted"]
    assert "a file of a run must be as it was written" in found.needs[0].sentence
    (nights.newest() / "config.json").write_text("{")
    assert "config.json, which cannot be read" in status(nights).needs[0].sentence
    nights.registry.ledger.path.write_text("nothing\n")
    found = status(nights)
    assert found.champion is None
    assert [night.state for night in found.nights] == ["Finished"]
    assert any("every line of the ledger" in need.sentence for need in found.needs)


def test_names_are_apart_and_one_that_only_ran_is_there(nights: Nights, tmp_path: Path) -> None:
    nights.judged("promoted")
    other = Nights(tmp_path, "other")
    other.number = 40
    other.ended_with(ValueError("no"))
    assert [(found.name, len(found.nights)) for found in statuses(tmp_path, nights.now)] == [("other", 1), ("tiny", 1)]
    assert Registry(tmp_path, "other").versions() == []


def test_a_month_reads_no_more_than_it_must(tmp_path: Path) -> None:
    nights = month(tmp_path)
    nights.judged("kept")
    with opened() as found:
        months = status(nights)
    assert len(months.nights) == 30  # the newest
    assert months.nights[0].run.startswith("2026-11-03")
    assert of("ledger.jsonl", found) == 1
    assert (of("model.keras", found), of("saved_model.pb", found)) == (0, 0)
    assert of("manifest.json", found) == 2  # the champion's, and that of the version that unchanged nights name
    assert months.counts["Unchanged"] == 2


def test_a_rollback_that_is_taken_back_makes_its_version_promoted_again(nights: Nights) -> None:
    nights.judged("promoted")
    nights.judged("promoted")
    nights.registry.rollback("ada@laptop", "worse")
    nights.registry.rollback("ada@laptop", "no, it was the camera", to="2")
    assert [night.fate for night in status(nights).nights] == ["Rolled back", "Promoted"]
