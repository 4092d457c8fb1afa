"""A challenger takes the champion's place when it is proven better, and a sentence says why or why not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemline import bundle, promotion
from hemline.config import Gate, RetrainConfig
from hemline.dataset import DatasetRef
from hemline.errors import BundleError, ConfigurationError, RegistryError
from hemline.evaluation import compile_predict
from hemline.files import whole_directory
from hemline.models import build_mlp
from hemline.promotion import Contender, Opposition, bootstrap, compare, decide, judge, mcnemar
from hemline.record import Decision, Evaluation, Latency, Record
from hemline.registry import Registry

from .conftest import CPU, write_dataset
from .versions import RECORD, make_version

NAMES = ["a", "b"]


def pair(better: int, worse: int, both: int = 0, neither: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, the champion's and the challenger's logits; classes in turn within each of the four kinds."""
    kinds = [(better, False, True), (worse, True, False), (both, True, True), (neither, False, False)]
    rows = [(i % 2, before, after) for n, before, after in kinds for i in range(n)]
    labels, before, after = (np.array(column) for column in zip(*rows, strict=True))
    one_hot = np.eye(2)
    return labels, one_hot[np.where(before, labels, 1 - labels)], one_hot[np.where(after, labels, 1 - labels)]


def decided(gate: Gate, *counts: int, **opposition: Any) -> Decision:
    """Of challenger 0008 against champion 0007."""
    labels, before, after = pair(*counts)
    usual = Opposition("0007", Contender("0007", before))
    challenger = Contender("0008", after, latency_ms=0.5, size_mb=1.5)
    return decide(gate, labels, NAMES, challenger, replace(usual, **opposition))


# --- numbers


def test_mcnemar_worked_by_hand() -> None:
    # Of 12 examples that differ, 2 or fewer on the one side: (1 + 12 + 66) / 2^12, and as many on the other.
    assert mcnemar(10, 2) == pytest.approx(2 * 79 / 4096)
    assert mcnemar(2, 10) == mcnemar(10, 2)
    assert mcnemar(5, 0) == pytest.approx(2 / 32)
    assert mcnemar(3, 3) == mcnemar(0, 0) == 1


def test_the_bootstrap_agrees_with_resampling_examples() -> None:
    """The naive twin draws 400 examples 4,000 times; both have a standard error of about 0.03 points."""
    gains = np.array([1] * 30 + [-1] * 18 + [0] * 352)
    rng = np.random.default_rng(1)
    means = [100 * rng.choice(gains, size=400).mean() for _ in range(4000)]
    assert bootstrap(30, 18, 400) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.26)
    # And both with the normal one: 3 +- 1.96 sqrt(0.12 - 0.03^2) / sqrt(400), in points.
    assert bootstrap(30, 18, 400) == pytest.approx((3 - 3.383, 3 + 3.383), abs=0.26)


def test_the_bootstrap_is_the_same_every_time_and_seeded() -> None:
    assert bootstrap(290, 282, 10_000) == bootstrap(290, 282, 10_000)
    assert bootstrap(290, 282, 10_000) == pytest.approx(bootstrap(290, 282, 10_000, seed=1), abs=0.03)


@given(better=st.integers(0, 300), worse=st.integers(0, 300), same=st.integers(1, 3000))
def test_the_shape_of_the_interval(better: int, worse: int, same: int) -> None:
    examples = better + worse + same
    low, high = bootstrap(better, worse, examples)
    difference = 100 * (better - worse) / examples
    assert -100 <= low <= difference <= high <= 100
    assert (low, high) == (0, 0) or better + worse > 0
    assert 0 <= mcnemar(better, worse) <= 1
    # A challenger that wins ten more examples which nobody got right is never judged worse for it.
    more = bootstrap(better + 10, worse, examples + 10)
    assert more[0] >= low - 0.3
    assert more[1] >= high - 0.3 or better > same


def test_a_comparison_worked_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    before = np.eye(2)[[0, 0, 0, 1, 1, 1, 1, 1, 0, 0]]  # recall 3/4 and 4/6
    after = np.eye(2)[[0, 0, 1, 1, 1, 1, 1, 1, 1, 1]]  # recall 2/4 and 6/6
    result = compare(labels, before, after, NAMES)
    assert (result.challenger_only_right, result.champion_only_right) == (2, 1)
    assert result.difference_points == pytest.approx(10)
    assert (result.worst_class, result.worst_class_drop) == ("a", pytest.approx(25))
    assert result.p_value == 1
    assert not result.same_predictions


def test_a_class_without_examples_cannot_fall() -> None:
    labels, before, after = pair(better=1, worse=0, both=5)
    assert compare(np.zeros_like(labels), before, after, NAMES).worst_class == "a"


# --- verdicts and sentences


def test_not_proven_better_is_kept() -> None:
    decision = decided(Gate(), 290, 278, 8500, 932)
    assert decision.verdict == "kept"
    assert decision.sentence == (
        "kept 0007: challenger 0008 is 0.12 points better, 95 % interval -0.35 to 0.58 includes 0"
    )
    assert decision.numbers == {
        "examples": 10_000,
        "accuracy": pytest.approx(0.879),
        "compared_with": "0007",
        "compared_accuracy": pytest.approx(0.8778),
        "difference_points": pytest.approx(0.12),
        "interval_low": pytest.approx(-0.34, abs=0.02),
        "interval_high": pytest.approx(0.59, abs=0.02),
        "challenger_only_right": 290,
        "champion_only_right": 278,
        "p_value": pytest.approx(0.644, abs=0.001),
        "worst_class": decision.numbers["worst_class"],
        "worst_class_drop": pytest.approx(-0.12),
        "same_predictions": False,
        "latency_ms": 0.5,
        "size_mb": 1.5,
    }


def test_proven_better_is_promoted() -> None:
    decision = decided(Gate(), 412, 183, 8592, 813)
    assert decision.verdict == "promoted"
    assert decision.sentence.startswith("promoted 0008 over 0007: challenger 0008 is 2.29 points better, 95 % int")
    assert decision.sentence.endswith(" is above 0")


def test_proven_worse_is_kept() -> None:
    decision = decided(Gate(), 183, 412, 8592, 813)
    assert decision.verdict == "kept"
    assert "challenger 0008 is 2.29 points worse, 95 % interval -2.7" in decision.sentence
    assert decision.sentence.endswith(" is below 0")


@pytest.mark.parametrize(
    ("margin", "verdict", "relation"),
    [(1.5, "promoted", "is above 1.5"), (2, "kept", "includes 2"), (5, "kept", "is below 5")],
)
def test_a_margin_must_be_exceeded(margin: float, verdict: str, relation: str) -> None:
    decision = decided(Gate(margin=margin), 412, 183, 8592, 813)
    assert (decision.verdict, decision.sentence.rpartition(" to ")[2].partition(" ")[2]) == (verdict, relation)


def test_a_negative_margin_takes_one_that_is_hardly_worse() -> None:
    assert decided(Gate(margin=-0.5), 200, 212, 8800, 788).verdict == "kept"  # perhaps 0.52 worse
    decision = decided(Gate(margin=-1), 200, 212, 8800, 788)
    assert decision.verdict == "promoted"
    assert "is 0.12 points worse, 95 % interval -0.51 to 0.28 " in decision.sentence
    assert decision.sentence.endswith("is above -1")


def test_a_handful_of_examples_proves_nothing() -> None:
    """With 5:0 the bootstrap's interval is above 0, but so uneven a split has a chance of 1 in 16."""
    decision = decided(Gate(), 5, 0, 90, 5)
    assert decision.verdict == "kept"
    assert decision.sentence.endswith("is above 0, but McNemar's p is 0.062: too few examples differ")
    assert decided(Gate(), 6, 0, 90, 4).verdict == "promoted"


def test_the_same_predictions_are_kept() -> None:
    for margin in (0, -5):
        decision = decided(Gate(margin=margin), 0, 0, 90, 10)
        assert decision.sentence == "kept 0007: challenger 0008 makes the same predictions"
        assert (decision.verdict, decision.numbers["same_predictions"]) == ("kept", True)


def test_other_mistakes_on_the_same_examples_are_kept() -> None:
    labels, before, after = np.array([0, 1]), np.eye(3)[[0, 0]], np.eye(3)[[0, 2]]
    opposition = Opposition("0007", Contender("0007", before))
    decision = decide(Gate(), labels, ["a", "b", "c"], Contender("0008", after), opposition)
    assert decision.sentence == "kept 0007: challenger 0008 is right on the same examples"


def test_a_class_that_falls_is_said() -> None:
    labels = np.repeat([0, 1], [900, 100])
    before = np.eye(2)[np.where(np.arange(1000) < 100, 1 - labels, labels)]  # 100 wrong of the first class
    after = np.eye(2)[np.where(np.arange(1000) >= 980, 1 - labels, labels)]  # 20 wrong of the second
    contenders = Contender("0008", after), Opposition("0007", Contender("0007", before))
    decision = decide(Gate(max_class_drop=10), labels, NAMES, *contenders)
    assert decision.verdict == "kept"
    assert decision.sentence.endswith("is above 0; recall of b fell by 20.00 points, more than max_class_drop 10")
    assert decide(Gate(max_class_drop=20), labels, NAMES, *contenders).verdict == "promoted"


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
    assert decision.sentence.endswith(f" is above 0; {reason}")
    first = decided(gate, 412, 183, 8593, 812, champion=None, opponent=None, remarks=["there was no champion"])
    assert first.sentence == f"kept no champion: there was no champion; challenger 0008 has accuracy 90.05%; {reason}"


def test_what_is_not_known_does_not_pass_a_limit() -> None:
    gate = Gate(max_latency_ms=5, max_size_mb=5)
    decision = decide(gate, np.array([0]), NAMES, Contender("0008", np.eye(2)[[0]]), Opposition(None))
    assert decision.verdict == "kept"
    assert "; its latency is not known, with max_latency_ms 5; its size is not known, with" in decision.sentence


def test_a_person_is_asked_where_the_gate_is_manual() -> None:
    decision = decided(Gate(promotion="manual"), 412, 183, 8592, 813)
    assert decision.verdict == "needs approval"
    assert decision.sentence.startswith("needs approval to replace 0007: challenger 0008 is 2.29 points better")
    assert decision.sentence.endswith(" is above 0; promotion is manual")
    assert decided(Gate(promotion="manual"), 183, 412, 8592, 813).verdict == "kept"
    first = decided(Gate(promotion="manual"), 1, 0, 9, champion=None, opponent=None)
    assert first.sentence.startswith("needs approval to be the first champion: challenger 0008 has accuracy 100.00%")


@given(
    counts=st.tuples(st.integers(0, 80), st.integers(0, 80), st.integers(1, 400), st.integers(0, 100)),
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
        assert plain.numbers["p_value"] < 0.05  # type: ignore[operator]


def test_the_gate_does_not_change_what_is_computed() -> None:
    assert RetrainConfig(gate={"margin": 1}).what_is_computed() == RetrainConfig().what_is_computed()


# --- judging published versions: the special cases, with models that answer what the test wants


class Bench:
    """A registry of fake versions; each answers the first `right` of 200 examples rightly."""

    def __init__(self, artifacts: Path, dataset: DatasetRef):
        self.registry, self.dataset, self.right = Registry(artifacts), dataset, dict[str, int]()
        self.artifacts, self.met = artifacts, list[str]()

    def version(self, right: int, **changes: Any) -> str:
        fingerprint = {"dataset": self.dataset, "fingerprint": self.dataset.fingerprint}
        latency = Latency(single_ms=0.5, batch_ms=1, batch_size=100, repeats=50)
        evaluation = RECORD.evaluation.model_copy(update={"latency": latency, "size_bytes": 1_500_000})
        record = RECORD.model_copy(update={**fingerprint, "evaluation": evaluation, **changes})
        version = make_version(self.artifacts, record=record)
        self.right[version] = right
        return version

    def champion(self, right: int, **changes: Any) -> str:
        version = self.version(right, **changes)
        self.registry.promote(version, by="test", reason="to begin with")
        return version

    def judge(self, version: str, **gate: Any) -> Decision:
        return judge(self.registry, version, self.dataset, Gate(max_class_drop=100, **gate), "nightly (0b1c)", CPU)

    def contender(self, registry: Registry, version: str, images: np.ndarray, *device: object) -> Contender:
        self.met.append(version)
        _, labels = promotion.load_split(self.dataset, "test")
        right = np.arange(len(labels)) < self.right[version]
        manifest = registry.verified(version)
        assert manifest.evaluation.latency
        return Contender(version, np.eye(3)[np.where(right, labels, (labels + 1) % 3)], 0.5, 1.5)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(tmp_path, write_dataset(tmp_path / "tiny", {"test": 200}))
    monkeypatch.setattr(promotion, "_contender", bench.contender)
    return bench


def test_the_first_version_is_promoted_by_the_absolute_rules(bench: Bench) -> None:
    assert bench.judge(bench.version(150), minimum_accuracy=0.8).sentence == (
        "kept no champion: there was no champion; challenger 0001 has accuracy 75.00%; "
        "accuracy 75.00% is below minimum_accuracy 80.00%"
    )
    assert bench.registry.champion() is None
    decision = bench.judge(bench.version(170), minimum_accuracy=0.8)
    assert decision.sentence == "promoted 0002: there was no champion; challenger 0002 has accuracy 85.00%"
    assert bench.registry.champion() == "0002"


def test_a_decision_is_in_the_ledger_word_for_word(bench: Bench) -> None:
    bench.champion(150)
    decision = bench.judge(bench.version(180))
    assert decision.verdict == "promoted"
    entry = bench.registry.entries()[-1]
    assert (entry.decision, entry.version, entry.by) == ("promoted", "0002", "nightly (0b1c)")
    assert (entry.champion_before, entry.champion_after) == ("0001", "0002")
    assert (entry.reason, entry.evidence) == (decision.sentence, decision.numbers)
    assert bench.judge(bench.version(180)).sentence == "kept 0002: challenger 0003 makes the same predictions"
    assert [entry.decision for entry in bench.registry.entries()] == ["promoted", "promoted", "kept"]


def remove(version: Path) -> None:
    for path in sorted(version.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    version.rmdir()


def spoil(version: Path) -> None:
    (version / "model.keras").write_bytes(b"other")


@pytest.mark.parametrize(
    ("damage", "words"),
    [(remove, "0002 cannot be used (it is missing)"), (spoil, "0002 cannot be used (model.keras was")],
)
def test_a_champion_that_is_not_whole_is_named_and_its_predecessor_compared(
    damage: Callable[[Path], None], words: str, bench: Bench
) -> None:
    bench.champion(150), bench.champion(155)
    damage(bench.registry.path("0002"))
    decision = bench.judge(bench.version(152))
    assert decision.verdict == "kept"
    assert decision.sentence.startswith(f"kept 0002: {words}")
    assert "challenger 0003 is 1.00 points better than 0001, a champion before it, 95 % interval" in decision.sentence
    assert decision.sentence.endswith("; roll back to 0001")
    decision = bench.judge(bench.version(190))
    assert decision.sentence.startswith(f"promoted 0004 over 0002: {words}")
    assert (decision.champion, decision.numbers["compared_with"]) == ("0002", "0001")
    assert bench.registry.champion() == "0004"
    assert bench.registry.entries()[-1].champion_before == "0002"


def test_where_no_champion_is_whole_the_absolute_rules_decide(bench: Bench) -> None:
    bench.champion(190), bench.champion(195)
    spoil(bench.registry.path("0001"))
    spoil(bench.registry.path("0002"))
    assert bench.judge(bench.version(100), minimum_accuracy=0.6).verdict == "kept"
    decision = bench.judge(bench.version(130), minimum_accuracy=0.6)
    assert decision.sentence == (
        "promoted 0004 over 0002: 0002 cannot be used (model.keras was changed); challenger 0004 has accuracy 65.00%"
    )


def test_other_data_needs_approval(bench: Bench) -> None:
    bench.champion(150, fingerprint="e" * 64)
    data = f"0001 was trained on other data (fingerprint eeeeeeee, now {bench.dataset.fingerprint[:8]})"
    decision = bench.judge(bench.version(180))
    assert decision.verdict == "needs approval"
    assert decision.sentence.startswith("needs approval to replace 0001: challenger 0002 is 15.00 points better")
    assert f"is above 0; {data}, so test examples may be among what it has seen" in decision.sentence
    assert bench.registry.champion() == "0001"
    worse = bench.judge(bench.version(149))
    assert worse.verdict == "kept"
    assert data in worse.sentence
    decision = bench.judge(bench.version(180, fingerprint="d" * 64))
    assert decision.verdict == "needs approval"
    assert "0004 was trained on other data (fingerprint dddddddd" in decision.sentence


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"class_names": ["dark", "bright"]}, "0001 has other classes (dark, bright), so the two were not compared"),
        (
            {"class_names": ["bright", "middling", "dark"]},
            "0001 has other classes (bright, middling, dark), so the two were not compared",
        ),
        ({"image_shape": (8, 8, 1)}, "0001 takes images of shape (8, 8, 1), so the two were not compared"),
    ],
)
def test_other_classes_are_never_compared(change: dict[str, Any], words: str, bench: Bench) -> None:
    bench.champion(150, dataset=bench.dataset.model_copy(update=change))
    decision = bench.judge(bench.version(199))
    assert decision.verdict == "needs approval"
    assert decision.sentence == (f"needs approval to replace 0001: challenger 0002 has accuracy 99.50%; {words}")
    assert bench.met == ["0002"]
    assert bench.judge(bench.version(20), minimum_accuracy=0.8).verdict == "kept"


def test_a_version_of_other_classes_cannot_be_judged(bench: Bench) -> None:
    version = bench.version(150, dataset=bench.dataset.model_copy(update={"class_names": ["x", "y", "z"]}))
    with pytest.raises(ConfigurationError, match=r"Received: 0001, which has other classes \(x, y, z\)"):
        bench.judge(version)
    assert bench.registry.entries() == []


def test_a_version_that_does_not_verify_is_not_judged(bench: Bench) -> None:
    spoil(bench.registry.path(bench.version(150)))
    with pytest.raises(BundleError, match=r"model.keras was changed"):
        bench.judge("0001")
    with pytest.raises(RegistryError, match=r"version must be one in"):
        bench.judge("0002")
    assert bench.registry.entries() == []


def test_a_champion_that_changes_meanwhile_is_compared_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.champion(150)
    challenger, other = bench.version(170), bench.version(199)
    record = bench.registry.record

    def overtaken(decision: Decision, by: str) -> Any:
        assert decision.verdict == "promoted"
        monkeypatch.setattr(bench.registry, "record", record)
        bench.registry.promote(other, by="another", reason="first")
        return record(decision, by)

    monkeypatch.setattr(bench.registry, "record", overtaken)
    decision = bench.judge(challenger)
    assert decision.sentence.startswith("kept 0003: challenger 0002 is 14.50 points worse")
    assert bench.met == ["0001", "0002", "0003"]  # each once
    assert [entry.version for entry in bench.registry.entries()] == ["0001", "0003", "0002"]


def test_a_run_that_goes_on_after_its_promotion_keeps_it(bench: Bench) -> None:
    bench.champion(150)
    version = bench.version(190)
    assert bench.judge(version).verdict == "promoted"
    again = bench.judge(version)
    assert (again.verdict, again.sentence) == ("kept", "kept 0002: it is the champion already")


def test_a_rolled_back_version_that_is_judged_again_meets_the_champion(bench: Bench) -> None:
    bench.champion(150), bench.champion(190)
    bench.registry.rollback(by="a", reason="b")
    assert bench.judge("0002").verdict == "promoted"


def test_judging_with_real_models(tmp_path: Path) -> None:
    """Two networks that know nothing, on real bundles: both are loaded, and their answers compared."""
    dataset = write_dataset(tmp_path / "tiny", {"test": 200})
    record = RECORD.model_copy(update={"dataset": dataset, "fingerprint": dataset.fingerprint})
    models = {f"000{seed}": build_mlp((4, 4, 1), classes=3, seed=seed) for seed in (1, 2)}
    for version, model in models.items():
        publish_model(tmp_path, model, record, version)
    registry = Registry(tmp_path)
    registry.promote("0001", by="a", reason="b")
    decision = judge(registry, "0002", dataset, Gate(max_size_mb=1), "me", CPU)
    images, labels = promotion.load_split(dataset, "test")
    right = {version: (compile_predict(model)(images).argmax(1) == labels).mean() for version, model in models.items()}
    assert decision.numbers["accuracy"] == pytest.approx(right["0002"])
    assert decision.numbers["compared_accuracy"] == pytest.approx(right["0001"])
    assert "its size is not known" in decision.sentence


def publish_model(artifacts: Path, model: keras.Model, record: Record, version: str) -> None:
    evaluation = Evaluation(split="test", examples=200, loss=1.0, accuracy=0.3, class_accuracy={})
    with whole_directory(artifacts / "models" / version) as directory:
        model.save(directory / "model.keras")
        bundle.seal(directory, record.model_copy(update={"evaluation": evaluation}), version)
