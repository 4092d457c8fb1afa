"""One champion, a ledger that only grows, and an alias that never points to anything that does not verify."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hemline.errors import ChampionChangedError, RegistryError, VersionError
from hemline.records.run import Decision
from hemline.registry import versions
from hemline.registry.champion import Registry, person
from hemline.registry.decisions import Reign
from tests.hemline.registry.published import RECORD, make_version

MONDAY = datetime(2026, 3, 2, 2, 30, tzinfo=UTC)


class Days:
    """A clock that is a day later at each look."""

    def __init__(self) -> None:
        self.next = MONDAY

    def __call__(self) -> datetime:
        now, self.next = self.next, self.next + timedelta(days=1)
        return now


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Three versions and no champion."""
    for _ in range(3):
        make_version(tmp_path)
    return Registry(tmp_path, "tiny", now=Days())


def decision(verdict: Any, challenger: str, champion: str | None) -> Decision:
    return Decision(
        verdict=verdict, champion=champion, challenger=challenger, sentence=f"{verdict}.", measurements={"p_value": 0.5}
    )


def alias(registry: Registry) -> dict[str, Any] | None:
    return json.loads(registry.alias.read_text()) if registry.alias.exists() else None


def test_a_registry_starts_empty(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "new", "tiny")
    assert (registry.champion(), registry.versions(), registry.entries(), registry.decisions().succession()) == (
        None,
        [],
        [],
        [],
    )
    assert registry.decisions().champion_at(MONDAY) is None
    assert list(tmp_path.iterdir()) == []  # reading makes nothing


def test_versions_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for version in ("100", "99", "2"):
        make_version(tmp_path, version)
    for name in (".3-abcdefgh", "notes", "4-old", "0005", "0", "-6", "\uff17", "8.0"):
        (tmp_path / "models" / "tiny" / name).mkdir()
    assert Registry(tmp_path, "tiny").versions() == ["2", "99", "100"]


def test_a_promotion_moves_the_alias_and_is_written_down(registry: Registry) -> None:
    entry = registry.promote("1", by="ada@laptop", reason="the first one")
    assert registry.champion() == "1"
    assert registry.entries() == [entry]
    written = json.loads(registry.ledger.path.read_text())
    assert written == {
        "at": "2026-03-02T02:30:00Z",
        "by": "ada@laptop",
        "decision": "promoted",
        "version": "1",
        "champion_before": None,
        "champion_after": "1",
        "reason": "the first one",
        "measurements": {},
        "manifest": written["manifest"],
        "digest": entry.digest,
    }
    assert alias(registry) == {
        "name": "tiny",
        "version": "1",
        "path": "../../models/tiny/1",
        "since": "2026-03-02T02:30:00Z",
        "by": "ada@laptop",
        "decision": "promoted",
        "reason": "the first one",
        "manifest": written["manifest"],
        "ledger": {"lines": 1, "digest": entry.digest},
    }
    assert (registry.directory / "../../models/tiny/1").resolve() == registry.path("1").resolve()


def test_what_is_not_promoted_is_written_down_too_and_moves_nothing(registry: Registry) -> None:
    registry.promote("1", by="a", reason="b")
    before = alias(registry)
    assert before
    registry.record(decision("kept", "2", "1"), by="nightly (0b1c)")
    registry.record(decision("needs approval", "3", "1"), by="nightly (0b1d)")
    now = alias(registry)
    assert now
    assert now.pop("ledger")["lines"] == before.pop("ledger")["lines"] + 2
    assert now == before
    assert [(e.decision, e.version, e.champion_after) for e in registry.entries()] == [
        ("promoted", "1", "1"),
        ("kept", "2", "1"),
        ("needs approval", "3", "1"),
    ]
    assert registry.entries()[1].measurements == {"p_value": 0.5}


def test_a_decision_against_a_champion_of_before_is_refused(registry: Registry) -> None:
    registry.promote("1", by="a", reason="b")
    stale = decision("promoted", "3", "1")
    registry.promote("2", by="a", reason="meanwhile")
    for decided in (stale, stale.model_copy(update={"champion": None})):
        with pytest.raises(ChampionChangedError, match=r"Received: .*, and it is 2 now. Decide again"):
            registry.record(decided, by="a")
    assert (registry.champion(), len(registry.entries())) == ("2", 2)
    registry.record(decision("promoted", "3", "2"), by="a")
    assert registry.champion() == "3"


def test_what_was_in_production_when(registry: Registry) -> None:
    registry.promote("1", by="a", reason="b")  # Monday 2:30
    registry.record(decision("kept", "3", "1"), by="a")  # Tuesday
    registry.promote("2", by="a", reason="b")  # Wednesday
    registry.rollback(by="a", reason="b")  # Thursday
    assert registry.decisions().champion_at(MONDAY - timedelta(seconds=1)) is None
    assert registry.decisions().champion_at(MONDAY) == "1"
    assert registry.decisions().champion_at(MONDAY + timedelta(days=1.5)) == "1"
    assert registry.decisions().champion_at(MONDAY + timedelta(days=2.5)) == "2"
    assert registry.decisions().champion_at(MONDAY + timedelta(days=99)) == "1"
    assert registry.decisions().champion_at(datetime(2026, 3, 2, 2, 29)) is None
    assert registry.decisions().champion_at(datetime(2026, 3, 2, 3, 30, tzinfo=timezone(timedelta(hours=1)))) == "1"


def test_from_when_to_when_each_was_in_production(registry: Registry) -> None:
    registry.promote("1", by="a", reason="b")  # Monday 2:30
    registry.record(decision("kept", "3", "1"), by="a")  # Tuesday
    registry.promote("2", by="a", reason="b")  # Wednesday
    registry.rollback(by="a", reason="b")  # Thursday
    wednesday, thursday = MONDAY + timedelta(days=2), MONDAY + timedelta(days=3)
    first, second, third = Reign("1", MONDAY, wednesday), Reign("2", wednesday, thursday), Reign("1", thursday, None)
    midnight, day = datetime(2026, 3, 1, tzinfo=UTC), timedelta(days=1)
    days = [registry.decisions().reigns(midnight + n * day, midnight + (n + 1) * day) for n in range(6)]
    assert days == [[], [first], [first], [first, second], [second, third], [third]]
    moments = [MONDAY - day, MONDAY, wednesday - day / 24, wednesday, thursday + day]
    at = [registry.decisions().reigns(moment, moment) for moment in moments]
    assert at == [[], [first], [first], [second], [third]]
    assert [reign[0].champion if reign else None for reign in at] == [
        registry.decisions().champion_at(moment) for moment in moments
    ]


def test_a_rollback_goes_to_the_champion_before(registry: Registry) -> None:
    for version in ("1", "2", "3"):
        registry.promote(version, by="a", reason="b")
    entry = registry.rollback(by="a", reason="shirts")
    assert (entry.decision, entry.version, entry.champion_before, entry.champion_after, entry.reason) == (
        "rolled back",
        "2",
        "3",
        "2",
        "shirts",
    )
    registry.rollback(by="a", reason="shirts still")  # and not back to 3, which was bad
    assert registry.champion() == "1"
    with pytest.raises(RegistryError, match=r"needs an earlier champion. Received: 1 is the first. Name a version"):
        registry.rollback(by="a", reason="c")
    registry.rollback(by="a", reason="3 was right after all", to="3")
    assert (registry.champion(), registry.decisions().succession()) == ("3", ["1", "3"])


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artifacts with six versions, for tests that make their ledgers anew for each example."""
    artifacts = tmp_path_factory.mktemp("artifacts")
    for _ in range(6):
        make_version(artifacts)
    return artifacts


@settings(max_examples=30)
@given(moves=st.lists(st.one_of(st.integers(1, 6), st.none()), max_size=10))
def test_rollbacks_undo_promotions(moves: list[int | None], six: Path) -> None:
    """A number promotes that version, None rolls back; the twin is a plain stack."""
    registry, stack = Registry(six, "tiny"), list[str]()
    shutil.rmtree(registry.directory, ignore_errors=True)
    for move in moves:
        if move is None and len(stack) > 1:
            stack.pop()
            registry.rollback(by="a", reason="b")
        elif move is not None and (version := str(move)) not in stack:
            stack.append(version)
            registry.promote(version, by="a", reason="b")
        assert registry.decisions().succession() == stack
        assert registry.champion() == (stack[-1] if stack else None)


def test_a_number_in_the_ledger_does_not_come_back(registry: Registry) -> None:
    """Regression: the newest version was lost and the next one, by its number, was taken for the champion."""
    registry.promote("3", by="a", reason="good")
    shutil.rmtree(registry.path("3"))
    assert versions.next_version(registry.artifacts, registry.name) == "4"


def test_only_the_entries_of_the_ledger_take_numbers(registry: Registry) -> None:
    """Regression: a search of its text found numbers in reasons, and in a line that a killed writer began."""
    registry.protect("3", by="a", reason='a sentence with "version":"99" in it')
    entry = registry.entries()[-1].model_copy(update={"reason": "evidence", "measurements": {"version": "98"}})
    with registry.ledger.locked():
        registry.ledger.append(entry, after=registry.decisions())
    with registry.ledger.path.open("a") as file:
        file.write('{"version":"97"')
    assert versions.next_version(registry.artifacts, registry.name) == "4"


def test_protection_is_in_the_ledger(registry: Registry) -> None:
    registry.protect("1", by="a", reason="in the paper")
    registry.protect("2", by="a", reason="in the paper")
    (registry.models / "2" / "model.keras").unlink()
    registry.unprotect("2", by="a", reason="broken anyway")
    assert registry.decisions().protected() == {"1"}
    assert registry.champion() is None


# --- refusals: rule, value received, remedy


@pytest.mark.parametrize("version", ["9", "", "../tiny/1", "0001", "01", ".", "1/variables"])
def test_an_unknown_version_is_refused(version: str, registry: Registry) -> None:
    for write in (registry.promote, registry.protect, registry.unprotect):
        with pytest.raises(RegistryError) as caught:
            write(version, by="a", reason="b")
        assert str(caught.value) == (
            f"version must be one in {registry.models}. Received: version={version!r}. There are 1, 2, 3."
        )
    if version:
        with pytest.raises(RegistryError, match=r"version must be one in"):
            registry.rollback(by="a", reason="b", to=version)
    assert registry.entries() == []


def test_an_empty_registry_refuses(tmp_path: Path) -> None:
    registry = Registry(tmp_path, "tiny")
    with pytest.raises(RegistryError, match=r"Publish one first: there is none yet"):
        registry.promote("1", by="a", reason="b")
    with pytest.raises(RegistryError, match=r"Received: there is none yet"):
        registry.rollback(by="a", reason="b")
    assert registry.entries() == []


@pytest.mark.parametrize(("by", "reason", "name"), [("a", "", "reason"), ("a", " \n", "reason"), ("", "b", "by")])
def test_nothing_is_written_without_a_name_and_a_reason(by: str, reason: str, name: str, registry: Registry) -> None:
    registry.promote("1", by="a", reason="b")
    registry.promote("2", by="a", reason="b")
    for write in (
        lambda: registry.promote("3", by, reason),
        lambda: registry.rollback(by, reason),
        lambda: registry.protect("3", by, reason),
    ):
        with pytest.raises(RegistryError, match=f"{name} must not be empty. Received: {name}=.*Say it"):
            write()
    assert len(registry.entries()) == 2


def test_the_champion_cannot_be_promoted_again(registry: Registry) -> None:
    registry.promote("1", by="a", reason="b")
    for write in (
        lambda: registry.promote("1", by="a", reason="b"),
        lambda: registry.rollback(by="a", reason="b", to="1"),
    ):
        with pytest.raises(RegistryError, match=r"must be another version. Received: version='1', which is it"):
            write()


def test_the_alias_moves_only_to_what_verifies(registry: Registry, flip_byte: Callable[[Path, int], None]) -> None:
    registry.promote("1", by="a", reason="b")
    registry.promote("2", by="a", reason="b")
    flip_byte(registry.path("1") / "model.keras", 3)
    flip_byte(registry.path("3") / "saved_model.pb", 0)
    with pytest.raises(VersionError, match=r"saved_model.pb was changed"):
        registry.promote("3", by="a", reason="b")
    with pytest.raises(VersionError, match=r"model.keras was changed"):
        registry.rollback(by="a", reason="b")
    assert (registry.champion(), len(registry.entries())) == ("2", 2)


def test_another_model_under_the_same_number_is_refused(registry: Registry, tmp_path: Path) -> None:
    """Whole in itself, but not what the ledger means: e.g. after a restore into an emptied directory."""
    registry.promote("1", by="a", reason="b")
    registry.promote("2", by="a", reason="b")
    shutil.rmtree(registry.path("1"))
    other = tmp_path / "elsewhere"
    make_version(other, "1")
    (other / "models" / "tiny" / "1" / "model.keras").write_bytes(b"other weights")
    shutil.copytree(other / "models" / "tiny" / "1", registry.models / "1")
    versions.seal(registry.models / "1", RECORD, "1")
    versions.verify(registry.path("1"))
    with pytest.raises(VersionError, match=r"published by its number") as caught:
        registry.rollback(by="a", reason="b")
    assert caught.value.problem == "another model is in its place"
    shutil.copytree(registry.path("3"), registry.models / "4")
    with pytest.raises(VersionError, match=r"published by its number"):
        registry.promote("4", by="a", reason="b")


# --- the ledger is the truth


@pytest.mark.parametrize("content", [None, "", "{", '{"version": "3"}', "[]"])
def test_the_alias_is_repaired_from_the_ledger(content: str | None, registry: Registry) -> None:
    registry.promote("1", by="a", reason="b")
    right = registry.alias.read_text()
    registry.alias.unlink()
    if content is not None:
        registry.alias.write_text(content)
    assert registry.champion() == "1"
    assert registry.alias.read_text() == right
    registry.alias.write_text(content or "x")
    registry.record(decision("kept", "2", "1"), by="a")
    repaired = registry.alias.read_text()
    registry.alias.unlink()
    assert registry.champion() == "1"
    assert registry.alias.read_text() == repaired


def test_an_alias_without_a_ledger_is_removed(registry: Registry) -> None:
    registry.directory.mkdir(parents=True)
    registry.alias.write_text('{"version": "1"}')
    assert registry.champion() is None
    assert not registry.alias.exists()


def test_a_reader_does_not_wait_for_a_writer(registry: Registry) -> None:
    registry.promote("1", by="a", reason="b")
    registry.alias.unlink()
    with registry.ledger.locked():
        assert registry.champion() == "1"
    assert registry.champion() == "1"
    assert registry.alias.exists()


@pytest.mark.parametrize("cut", [1, 2, 40, 200])
def test_a_line_that_its_writer_did_not_finish_is_ignored_and_cut_off(cut: int, registry: Registry) -> None:
    registry.promote("1", by="a", reason="b")
    whole, alias = registry.ledger.path.read_bytes(), registry.alias.read_bytes()
    registry.promote("2", by="a", reason="b")
    registry.ledger.path.write_bytes(registry.ledger.path.read_bytes()[:-cut])  # the last line without its end
    registry.alias.write_bytes(alias)  # which is written after the line
    assert registry.champion() == "1"
    assert len(registry.entries()) == 1
    registry.promote("3", by="a", reason="c")
    assert registry.ledger.path.read_bytes().startswith(whole)
    assert [entry.version for entry in registry.entries()] == ["1", "3"]


def test_a_ledger_that_is_cut_anywhere_parses(registry: Registry) -> None:
    registry.promote("1", by="\u00e4", reason="\u00fc")
    registry.promote("2", by="\u00e4", reason="\u00fc")
    registry.alias.unlink()  # it would tell
    content = registry.ledger.path.read_bytes()
    for end in range(len(content) + 1):  # in the middle of a letter, too
        registry.ledger.path.write_bytes(content[:end])
        assert len(registry.entries()) == content[:end].count(b"\n")


def test_a_line_that_was_changed_stops_everything(registry: Registry) -> None:
    registry.promote("1", by="a", reason="b")
    registry.promote("2", by="a", reason="b")
    lines = registry.ledger.path.read_text().splitlines(keepends=True)
    registry.ledger.path.write_text(lines[0].replace("promoted", "promised") + lines[1])
    calls = (
        registry.champion,
        lambda: registry.promote("3", by="a", reason="b"),
        lambda: versions.next_version(
            registry.artifacts, registry.name
        ),  # a number in that line must not be given again
    )
    for call in calls:
        with pytest.raises(RegistryError, match=r"ledger.jsonl, line 1: .* Restore that line from a backup"):
            call()


# --- the ledger is a chain


@pytest.fixture
def chained(registry: Registry) -> Registry:
    """Six lines: two champions after the first, a rollback, and what moves nothing."""
    registry.promote("1", by="a", reason="the first one")
    registry.record(decision("kept", "3", "1"), by="nightly (0b1c)")
    registry.promote("2", by="a", reason="better")
    registry.protect("1", by="a", reason="in the paper")
    registry.rollback(by="a", reason="shirts")
    registry.promote("3", by="a", reason="best")
    return registry


def refusal(registry: Registry) -> str:
    """What every use of the ledger says; none changes it."""
    before, said = registry.ledger.path.read_bytes(), set()
    for use in (
        registry.entries,
        registry.champion,
        registry.decisions,
        lambda: versions.next_version(registry.artifacts, registry.name),
        lambda: registry.protect("2", by="a", reason="b"),
    ):
        with pytest.raises(RegistryError) as caught:
            use()
        said.add(str(caught.value))
    assert registry.ledger.path.read_bytes() == before
    (sentence,) = said
    return sentence


def as_before_the_chain(lines: list[bytes]) -> list[bytes]:
    """Lines as they were written when they had no digest."""
    return [json.dumps({k: v for k, v in json.loads(line).items() if k != "digest"}).encode() for line in lines]


def test_a_flipped_bit_is_refused_and_its_line_named(chained: Registry) -> None:
    """Regression: 583 of 800 were accepted, each another decision, reason, time or champion."""
    content, rng = chained.ledger.path.read_bytes(), random.Random(0)
    for bit in rng.sample(range(8 * len(content)), 800):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        chained.ledger.path.write_bytes(flipped)
        line = content[: bit // 8].count(b"\n") + 1
        with pytest.raises(RegistryError, match=rf"line {line}\b"):
            chained.entries()


def test_the_end_of_the_last_line_is_covered_by_the_alias(chained: Registry) -> None:
    """Without its end it is a line that a killed writer began."""
    content = chained.ledger.path.read_bytes()
    chained.ledger.path.write_bytes(content[:-1] + b"\x0b")
    assert "where line 6 is gone" in refusal(chained)


@pytest.mark.parametrize("line", range(5))
def test_a_line_that_was_taken_out_is_noticed(line: int, chained: Registry) -> None:
    """Regression: nobody noticed, and a rollback went to another version."""
    lines = chained.ledger.path.read_bytes().splitlines(keepends=True)
    chained.ledger.path.write_bytes(b"".join(lines[:line] + lines[line + 1 :]))
    assert f"line {line + 1}: " in refusal(chained)


@pytest.mark.parametrize("left", range(6))
def test_a_ledger_that_was_cut_is_noticed(left: int, chained: Registry) -> None:
    lines = chained.ledger.path.read_bytes().splitlines(keepends=True)
    chained.ledger.path.write_bytes(b"".join(lines[:left]))
    sentence = refusal(chained)
    assert f"where line {left + 1} is gone" in sentence
    assert "Restore it from a backup; or, if champion.json is what was changed" in sentence
    chained.alias.unlink()
    assert len(chained.entries()) == left


def test_lines_that_changed_places_are_noticed(chained: Registry) -> None:
    lines = chained.ledger.path.read_bytes().splitlines(keepends=True)
    chained.ledger.path.write_bytes(b"".join([*lines[:3], lines[4], lines[3], lines[5]]))
    assert "line 4: " in refusal(chained)


def test_another_ledger_that_is_whole_is_noticed(chained: Registry) -> None:
    chained.ledger.path.unlink()
    alias = chained.alias.read_bytes()
    chained.alias.unlink()
    for version in ("3", "1", "2", "1", "2", "1", "2"):
        chained.promote(version, by="a", reason="another history")
    chained.alias.write_bytes(alias)
    assert "where line 6 or one above it was changed" in refusal(chained)


def test_a_champion_that_was_not_the_one_before_is_refused(registry: Registry) -> None:
    """Also among lines from before the chain. Regression: champion_before was compared with nothing."""
    registry.promote("1", by="a", reason="b")
    registry.promote("2", by="a", reason="b")
    registry.promote("3", by="a", reason="b")
    lines = as_before_the_chain(registry.ledger.path.read_bytes().splitlines())
    lines[1] = lines[1].replace(b'"champion_after": "2"', b'"champion_after": "1"')
    registry.ledger.path.write_bytes(b"\n".join([*lines, b""]))
    assert "and 1 was the champion before it" in refusal(registry)


def test_a_ledger_from_before_the_chain_is_read_and_covered_by_the_next_line(chained: Registry) -> None:
    lines = as_before_the_chain(chained.ledger.path.read_bytes().splitlines())
    chained.ledger.path.write_bytes(b"\n".join([*lines, b""]))
    chained.alias.unlink()
    assert [entry.version for entry in chained.entries()] == ["1", "3", "2", "1", "1", "3"]
    assert chained.champion() == "3"
    alias = json.loads(chained.alias.read_text())
    assert alias["ledger"] == {"lines": 6, "digest": chained.entries()[-1].digest}
    chained.promote("2", by="a", reason="b")
    whole = chained.ledger.path.read_bytes()
    assert whole.startswith(b"\n".join(lines))
    for position in (20, whole.index(b"better"), whole.rindex(b"digest") + 20):
        changed = bytearray(whole)
        changed[position] ^= 1
        chained.ledger.path.write_bytes(changed)
        refusal(chained)
    chained.ledger.path.write_bytes(whole + lines[1] + b"\n")  # and no line without a digest may follow
    assert "line 8: " in refusal(chained)


@pytest.mark.parametrize("behind", range(1, 6))
def test_an_alias_that_is_behind_is_brought_up(behind: int, chained: Registry) -> None:
    """Its writer was killed after the line, once or more often."""
    right, entry = json.loads(chained.alias.read_text()), chained.entries()[5 - behind]
    end = {"lines": 6 - behind, "digest": entry.digest}
    chained.alias.write_text(json.dumps(right | {"version": entry.champion_after, "ledger": end}))
    assert chained.champion() == "3"
    assert json.loads(chained.alias.read_text()) == right


def test_an_alias_that_was_moved_by_hand_is_repaired_loudly(
    chained: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    right = chained.alias.read_text()
    chained.alias.write_text(right.replace('"version": "3"', '"version": "1"'))
    assert chained.champion() == "3"
    assert "champion.json was changed by hand" in caplog.text
    assert chained.alias.read_text() == right


def test_the_ledger_only_grows(registry: Registry) -> None:
    grown = b""
    for write in (
        lambda: registry.promote("1", by="a", reason="a\nb\u2028c"),  # a reason stays one line
        lambda: registry.record(decision("kept", "2", "1"), by="b"),
        lambda: registry.promote("2", by="a", reason="b"),
        lambda: registry.rollback(by="a", reason="b"),
        lambda: registry.protect("3", by="a", reason="b"),
    ):
        write()
        content = registry.ledger.path.read_bytes()
        assert content.startswith(grown)
        assert content.count(b"\n") == grown.count(b"\n") + 1
        grown = content
    assert registry.entries()[0].reason == "a\nb\u2028c"


def test_a_person_is_user_and_host(monkeypatch: pytest.MonkeyPatch) -> None:
    user, _, host = person().partition("@")
    assert user
    assert host
    monkeypatch.setattr("getpass.getuser", lambda: (_ for _ in ()).throw(KeyError("uid")))
    assert person().partition("@")[0].isdigit()


# --- processes beside each other, and processes that die


def killing(*arguments: object) -> dict[str, Any]:
    """What tests.hemline.registry.killing saw, in a process that never imports TensorFlow and so may fork."""
    command = [sys.executable, "-m", "tests.hemline.registry.killing", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr[-3000:]
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def test_twenty_promoters_at_once(tmp_path: Path) -> None:
    seen = killing("promoters", tmp_path, 20)
    assert seen["exit_codes"] == [0] * 20
    registry = Registry(tmp_path, "tiny")
    entries = registry.entries()
    assert sorted((entry.version for entry in entries), key=int) == registry.versions()
    assert len(entries) == 20
    before = None
    for entry in entries:  # each replaced the one before it
        assert (entry.champion_before, entry.champion_after) == (before, entry.version)
        before = entry.version
    assert registry.champion() == before
    champion = alias(registry)
    assert champion is not None
    assert champion["version"] == before


def test_twenty_deciders_at_once_decide_against_the_champion_there_is(tmp_path: Path) -> None:
    """Each compares again until its champion is the present one, so none overtakes another."""
    seen = killing("deciders", tmp_path, 20)
    assert seen["exit_codes"] == [0] * 20
    champion = "0"
    for entry in Registry(tmp_path, "tiny").entries():
        # The rule of these deciders: the higher number is the better model.
        assert entry.reason == f"{entry.version} against {champion}"
        assert entry.decision == ("promoted" if int(entry.version) > int(champion) else "kept")
        champion = max(champion, entry.version, key=int)
    assert Registry(tmp_path, "tiny").champion() == "20"


@pytest.mark.parametrize("operation", ["publish", "promote", "rollback", "prune"])
def test_killed_before_every_touch_of_a_file(operation: str, tmp_path: Path) -> None:
    """Dies before its first, second, third ... touch, until one goes through; the state is checked each time."""
    seen = killing("every", tmp_path, operation)
    assert seen["kills"] >= 10
    assert seen["problems"] == []


def test_killed_at_random_moments(tmp_path: Path) -> None:
    seen = killing("random", tmp_path, 50)
    assert seen["kills"] == 50
    assert seen["problems"] == []
    assert seen["entries"] > 5
