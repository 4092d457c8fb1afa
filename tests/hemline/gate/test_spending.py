"""How often a test split has been looked at, and what is left."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemline.data.dataset import Split
from hemline.gate.spending import CHANCE, Look, next_look
from hemline.registry.decisions import Entry

SPLIT = Split(examples=10, images="1" * 64, labels="2" * 64)


def entry(look: Look | None, version: str = "8", **changes: Any) -> Entry:
    """Of a decision that compared on a look, or of one that did not."""
    keys = ("test_split", "level", "decision_number")
    fields = {"at": datetime(2026, 1, 2, tzinfo=UTC), "by": "a", "decision": "kept", "version": version, "reason": "b"}
    fields |= {"measurements": {key: getattr(look, key) for key in keys} if look else {}}
    return Entry(**fields | {"champion_before": "7", "champion_after": "7", "manifest": None} | changes)


def night_after_night(entries: list[Entry], nights: int, decisions: int) -> list[Look]:
    looks = []
    for _ in range(nights):
        looks.append(next_look(entries, SPLIT, decisions))
        entries.append(entry(looks[-1], version=str(len(entries))))
    return looks


def test_a_year_is_365_equal_shares_of_5_percent() -> None:
    looks = night_after_night([], 367, decisions=365)
    assert {look.level for look in looks} == {0.05 / 365}
    assert [look.decision_number for look in looks] == list(range(1, 368))
    assert [look.left for look in looks[:365]] == list(range(364, -1, -1))
    assert [bool(look.doubt) for look in looks] == [False] * 365 + [True] * 2


def test_only_comparisons_on_this_split_count() -> None:
    first = next_look([], SPLIT, 10)
    relabelled = Split(examples=10, images=SPLIT.images, labels="3" * 64)
    entries = [entry(None), entry(first), entry(next_look([], relabelled, 10), version="9")]
    assert next_look(entries, SPLIT, 10).decision_number == 2
    assert next_look(entries, relabelled, 10).decision_number == 2


def test_an_approval_is_no_look_of_its_own() -> None:
    """It has the measurements of the question that it answers."""
    first = next_look([], SPLIT, 10)
    asked = [entry(first, decision="needs approval"), entry(first, decision="promoted")]
    assert next_look(asked, SPLIT, 10).left == 8
    beside = [entry(first, version="8"), entry(first, version="9")]  # two runs that decided at the same time
    assert next_look(beside, SPLIT, 10).left == 7


@given(parts=st.lists(st.tuples(st.integers(1, 400), st.integers(1, 30)), max_size=5))
def test_what_is_spent_without_a_doubt_never_exceeds_5_percent(parts: list[tuple[int, int]]) -> None:
    """Even if `decisions` changes on the way."""
    entries: list[Entry] = []
    looks = [look for decisions, nights in parts for look in night_after_night(entries, nights, decisions)]
    assert sum(look.level for look in looks if not look.doubt) <= CHANCE * (1 + 1e-6)


def test_fewer_decisions_that_are_left_are_worth_more() -> None:
    entries: list[Entry] = []
    night_after_night(entries, 50, decisions=100)
    assert next_look(entries, SPLIT, 10).level == pytest.approx(0.005)
    assert next_look(entries, SPLIT, 10).left == 4
