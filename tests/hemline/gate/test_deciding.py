"""A challenger takes the champion's place when it is proven better, and a sentence says why or why not."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from hemline.config.gate import Gate
from hemline.config.retrain import RetrainConfig
from hemline.gate.case import CHANGES, Candidate, Case
from hemline.gate.rules import RULES, decide
from hemline.gate.spending import Look
from hemline.records.run import Decision
from tests.hemline.registry.published import RECORD

NAMES = ["a", "b"]


def pair(better: int, worse: int, both: int = 0, neither: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, the champion's and the challenger's predictions; classes in turn within each of the four kinds."""
    kinds = [(better, False, True), (worse, True, False), (both, True, True), (neither, False, False)]
    rows = [(i % 2, before, after) for n, before, after in kinds for i in range(n)]
    labels, before, after = (np.array(column) for column in zip(*rows, strict=True))
    return labels, np.where(before, labels, 1 - labels), np.where(after, labels, 1 - labels)


def candidate(version: str, predictions: np.ndarray) -> Candidate:
    """0.5 ms, 1.5 MB. predictions: (N,), or (models, N)."""
    return Candidate(version, np.atleast_2d(predictions), RECORD.evaluation)


def case(labels: np.ndarray, before: np.ndarray, after: np.ndarray, names: Sequence[str] = NAMES) -> Case:
    """Challenger 8 against champion 7, on a test split that is for 365 decisions."""
    challenger, champion = candidate("8", after), candidate("7", before)
    return Case("tiny", labels, names, challenger, "7", champion, Look("5" * 64, 0.05 / 365, 1, 364))


def decided(gate: Gate, *counts: int, **changes: Any) -> Decision:
    return decide(gate, replace(case(*pair(*counts)), **changes))


def test_every_limit_of_the_gate_has_its_rule() -> None:
    assert RULES.keys() == Gate.model_fields.keys() - {"decisions", "promotion", "approval_hours"}


def test_not_proven_better_is_kept() -> None:
    decision = decided(Gate(), 290, 278, 8500, 932)
    assert decision.verdict == "kept"
    assert decision.sentence == (
        "kept tiny 7: challenger 8 is 0.12 points better, 95 % interval -0.35 to 0.59, p 0.32 is above the level "
        "0.00014; 568 examples differ, so it had to be 0.88 points better; 364 more decisions on this test split"
    )
    assert decision.measurements == {
        "examples": 10_000,
        "accuracy": pytest.approx(0.879),
        "compared_with": "7",
        "compared_accuracy": pytest.approx(0.8778),
        "difference_points": pytest.approx(0.12),
        "interval_low": pytest.approx(-0.347, abs=0.001),
        "interval_high": pytest.approx(0.587, abs=0.001),
        "challenger_only_right": 290,
        "negative_flips": 278,
        "negative_flip_rate": 0.0278,
        "p_value": pytest.approx(0.322, abs=0.001),
        "level": 0.05 / 365,
        "test_split": "5" * 64,
        "decision_number": 1,
        "worst_class": decision.measurements["worst_class"],
        "worst_class_drop": pytest.approx(-0.12),
        "same_predictions": False,
        "latency_ms": 0.5,
        "size_mb": 1.5,
    }


def test_proven_better_is_promoted() -> None:
    decision = decided(Gate(), 412, 183, 8592, 813)
    assert decision.verdict == "promoted"
    assert decision.sentence == (
        "promoted tiny 8 over 7: challenger 8 is 2.29 points better, 95 % interval 1.81 to 2.77, p 1.4e-21 is below "
        "the level 0.00014; 364 more decisions on this test split"
    )


def test_an_interval_above_0_is_no_proof_on_one_of_many_nights() -> None:
    """Regression: among a year of equally good challengers one in forty has such an interval by chance."""
    decision = decided(Gate(), 310, 250, 8500, 940)
    assert decision.verdict == "kept"
    assert "0.60 points better, 95 % interval 0.14 to 1.06, p 0.0063 is above the level 0.00014" in decision.sentence
    once = decided(Gate(), 310, 250, 8500, 940, look=Look())
    assert once.verdict == "promoted"
    assert once.sentence.endswith("p 0.0063 is below the level 0.05; 0 more decisions on this test split")


def test_proven_worse_is_kept() -> None:
    decision = decided(Gate(), 183, 412, 8592, 813)
    assert decision.verdict == "kept"
    assert "challenger 8 is 2.29 points worse, 95 % interval -2.77 to -1.81, p 1 is above the" in decision.sentence


@pytest.mark.parametrize(
    ("margin", "verdict", "words"),
    [
        (1, "promoted", "p 3.5e-08 for a margin of 1 is below the level 0.00014; 364"),
        (
            1.5,
            "kept",
            "p 0.00048 for a margin of 1.5 is above the level 0.00014; 595 examples differ, so it had to be 2.37",
        ),
        (5, "kept", "p 1 for a margin of 5 is above the level 0.00014; 595 examples differ, so it had to be 5.81"),
        (7, "kept", "p 1 for a margin of 7 is above the level 0.00014; 595 examples differ, too few to prove any gain"),
    ],
)
def test_a_margin_must_be_exceeded(margin: float, verdict: str, words: str) -> None:
    decision = decided(Gate(margin=margin), 412, 183, 8592, 813)
    assert decision.verdict == verdict
    assert words in decision.sentence


def test_a_negative_margin_takes_one_that_is_hardly_worse() -> None:
    kept = decided(Gate(margin=-0.5), 200, 212, 8800, 788)  # perhaps 0.52 worse
    assert kept.verdict == "kept"
    assert "412 examples differ, so it had to be 0.26 points better" in kept.sentence
    assert "so it had to be 0.24 points worse" in decided(Gate(margin=-1), 180, 232, 8800, 788).sentence
    decision = decided(Gate(margin=-1), 200, 212, 8800, 788)
    assert decision.verdict == "promoted"
    assert "is 0.12 points worse, 95 % interval -0.52 to 0.28, p " in decision.sentence


def test_a_handful_of_examples_proves_nothing() -> None:
    decision = decided(Gate(), 12, 0, 90, 5)
    assert decision.verdict == "kept"
    assert "p 0.00024 is above the level 0.00014; 12 examples differ, too few to prove any gain" in decision.sentence
    assert decided(Gate(), 13, 0, 90, 4).verdict == "promoted"


def test_a_test_split_that_is_used_up_asks_for_new_examples() -> None:
    decision = decided(Gate(), 412, 183, 8592, 813, look=Look("5" * 64, 0.05 / 365, 366, -1))
    assert decision.verdict == "needs approval"
    assert decision.sentence.endswith(
        "; 0 more decisions on this test split; this test split has been used for as many decisions as gate.decisions "
        "allows: bring new test examples"
    )


def test_of_several_models_a_side_the_means_count() -> None:
    """Two of each on 20,000 examples: what one of them alone gets right is half an example."""
    labels = np.zeros(20_000, int)
    before, after = np.zeros((2, 2, 20_000), int)
    before[0, :300] = before[:, 300:400] = 1  # wrong: 300 by one model, 100 by both
    after[1, 200:300] = after[1, 400:500] = 1  # 100 of them by the other, and 100 that both had right
    decision = decide(Gate(), case(labels, before, after))
    assert decision.measurements["difference_points"] == pytest.approx(100 * (150 + 100 - 100) / 20_000)
    # Of the 100 that one model of each side has wrong, a quarter of the pairs flips each way.
    assert decision.measurements["challenger_only_right"] == pytest.approx(200 / 2 + 100 / 4 + 100)
    assert decision.measurements["negative_flips"] == pytest.approx(100 / 4 + 100 / 2)
    squares = 200 / 4 + 100 + 100 / 4
    assert decision.measurements["p_value"] == pytest.approx(norm.sf(150 / np.sqrt(squares)))
    assert decision.verdict == "promoted"


def test_the_same_predictions_are_kept() -> None:
    for margin in (0, -5):
        decision = decided(Gate(margin=margin), 0, 0, 90, 10)
        assert decision.sentence == (
            "kept tiny 7: challenger 8 makes the same predictions; 364 more decisions on this test split"
        )
        assert (decision.verdict, decision.measurements["same_predictions"]) == ("kept", True)


def test_other_mistakes_on_the_same_examples_are_kept() -> None:
    labels, before, after = np.array([0, 1]), np.array([0, 0]), np.array([0, 2])
    decision = decide(Gate(), case(labels, before, after, ["a", "b", "c"]))
    assert decision.sentence.startswith("kept tiny 7: challenger 8 is right on the same examples; 364 more")


def test_a_decision_says_what_became_of_each_class() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    before = np.array([0, 0, 1, 1, 1, 0, 0])
    after = np.array([1, 0, 0, 0, 1, 0, 0])  # of the first class one lost and two gained
    decision = decide(Gate(), case(labels, before, after, ["a", "b", "c", "absent"]))
    assert [tuple(one.model_dump().values()) for one in decision.classes] == [
        ("a", 4, 25.0, 1.0),
        ("b", 2, 0.0, 0.0),
        ("c", 1, 0.0, 0.0),
    ]
    assert decided(Gate(), 1, 0, 9, champion=None, compared_with=None).classes == []
    assert Decision.model_validate(decision.model_dump(exclude={"classes"})).classes == []  # of an early run


def test_of_many_classes_a_decision_names_those_that_changed_most() -> None:
    """Whatever the number of classes, it is small; equal changes are told apart by their flips."""
    classes = CHANGES + 10
    labels = np.repeat(np.arange(classes), 10)
    before = np.where(np.arange(10 * classes) % 10 == 0, (labels + 1) % classes, labels)  # one of ten is wrong
    after = before.copy()
    changed = np.arange(0, classes, 3)[:CHANGES]
    after[10 * changed + 5] = (changed + 1) % classes  # lost
    after[10 * changed[::2]] = changed[::2]  # and as much gained
    decision = decide(Gate(), case(labels, before, after, [f"class {number}" for number in range(classes)]))
    assert len(decision.classes) == CHANGES
    names = [one.name for one in decision.classes]
    assert {f"class {number}" for number in changed} <= set(names)
    assert names == sorted(names, key=lambda name: int(name.split()[1]))


def test_a_class_that_falls_is_said() -> None:
    labels = np.repeat([0, 1], [900, 100])
    before = np.where(np.arange(1000) < 100, 1 - labels, labels)  # 100 wrong of the first class
    after = np.where(np.arange(1000) >= 980, 1 - labels, labels)  # 20 wrong of the second
    falling = case(labels, before, after)
    decision = decide(Gate(max_class_drop=10), falling)
    assert decision.verdict == "kept"
    assert "; recall of b fell by 20.00 points, more than max_class_drop 10; 364 more" in decision.sentence
    assert decide(Gate(max_class_drop=20), falling).verdict == "promoted"


@pytest.mark.parametrize(
    ("gate", "reason"),
    [
        (Gate(minimum_accuracy=0.95), "accuracy 90.05% is below minimum_accuracy 95.00%"),
        (Gate(max_latency_ms=0.4), "its latency 0.50 ms is more than max_latency_ms 0.4"),
        (Gate(max_size_mb=1), "its size 1.50 MB is more than max_size_mb 1"),
    ],
)
def test_what_breaks_an_absolute_rule_is_kept_however_much_better(gate: Gate, reason: str) -> None:
    decision = decided(gate, 412, 183, 8593, 812)
    assert decision.verdict == "kept"
    assert f" is below the level 0.00014; {reason}; 364 more" in decision.sentence
    first = decided(gate, 412, 183, 8593, 812, champion=None, compared_with=None, remarks=["there was no champion"])
    assert (
        first.sentence
        == f"kept tiny without a champion: there was no champion; challenger 8 has accuracy 90.05%; {reason}"
    )


def test_everything_that_is_broken_is_said_and_nothing_twice() -> None:
    decision = decided(Gate(margin=5, minimum_accuracy=0.95, max_latency_ms=0.4), 412, 183, 8593, 812)
    assert decision.sentence.startswith("kept tiny 7: challenger 8 is 2.29 points better, 95 % interval ")
    assert decision.sentence.partition(" points better; ")[2] == (
        "accuracy 90.05% is below minimum_accuracy 95.00%; its latency 0.50 ms is more than max_latency_ms 0.4; "
        "364 more decisions on this test split"
    )
    assert decision.sentence.count("challenger") == 1


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ([0, 0], "makes the same predictions as 6, a champion before it"),
        ([0, 2], "is right on the same examples as 6, a champion before it"),
        (
            [1, 1],
            "is 0.00 points better than 6, a champion before it, 95 % interval -100.00 to 100.00, p 0.75 is above the "
            "level 0.00014; 2 examples differ, too few to prove any gain",
        ),
    ],
)
def test_a_champion_before_the_champion_is_named(after: list[int], words: str) -> None:
    """Regression: 'makes the same predictions than 6'."""
    before = candidate("6", np.array([0, 0]))
    compared = case(np.array([0, 1]), before.predictions, np.array(after), ["a", "b", "c"])
    decision = decide(Gate(max_class_drop=100), replace(compared, compared_with=before))
    assert decision.sentence == (
        f"kept tiny 7: challenger 8 {words}; 364 more decisions on this test split; roll back to 6"
    )


def test_a_person_is_asked_where_the_gate_is_manual() -> None:
    decision = decided(Gate(promotion="manual"), 412, 183, 8592, 813)
    assert decision.verdict == "needs approval"
    assert decision.sentence.startswith("needs approval to replace tiny 7: challenger 8 is 2.29 points better")
    assert decision.sentence.endswith("; 364 more decisions on this test split; promotion is manual")
    assert decided(Gate(promotion="manual"), 183, 412, 8592, 813).verdict == "kept"
    first = decided(Gate(promotion="manual"), 1, 0, 9, champion=None, compared_with=None)
    assert first.sentence.startswith(
        "needs approval to be the first champion of tiny: challenger 8 has accuracy 100.00%"
    )


@given(
    counts=st.tuples(st.integers(0, 160), st.integers(0, 80), st.integers(1, 400), st.integers(0, 100)),
    margin=st.sampled_from([-2, 0, 1]),
    manual=st.booleans(),
    doubt=st.booleans(),
)
def test_the_shape_of_a_verdict(counts: tuple[int, int, int, int], margin: float, manual: bool, doubt: bool) -> None:
    gate = Gate(margin=margin, max_class_drop=100)
    plain = decided(gate, *counts)
    asked = gate.model_copy(update={"promotion": "manual" if manual else "auto"})
    decision = decided(asked, *counts, doubts=["the moon is full"] * doubt)
    # Doubt and manual only ever turn a promotion into a question.
    expected = "needs approval" if plain.verdict == "promoted" and (manual or doubt) else plain.verdict
    assert decision.verdict == expected
    assert decision.sentence.startswith(decision.verdict)
    assert "\n" not in decision.sentence
    assert ("the moon is full" in decision.sentence) == doubt
    assert Decision.model_validate_json(decision.model_dump_json()) == decision
    better, worse, _, _ = counts
    if plain.verdict == "promoted" and margin >= 0:
        assert better > worse
        assert plain.measurements["p_value"] <= 0.05 / 365  # type: ignore[operator]


def test_the_gate_does_not_change_what_is_computed() -> None:
    assert RetrainConfig(gate={"margin": 1}).what_is_computed() == RetrainConfig().what_is_computed()
