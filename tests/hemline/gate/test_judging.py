"""What becomes of a published version, in every special case: with models that answer what the test wants."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from hemline.config.gate import Gate
from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef, hashes, load_split
from hemline.errors import ConfigurationError, RegistryError, VersionError
from hemline.evaluation.scores import compile_predict
from hemline.gate.judging import answers_on, judge
from hemline.models.mlp import build_mlp
from hemline.records.run import Decision, Record
from hemline.registry.champion import Registry
from hemline.registry.versions import seal
from hemline.storage.files import whole_directory
from tests.hemline.conftest import CPU, write_dataset
from tests.hemline.registry.published import RECORD, make_version

CONFIG = RetrainConfig(name="tiny", epochs=1, validation=60)


class Bench:
    """A registry of fake versions; each answers the first `right` of 200 examples rightly."""

    def __init__(self, artifacts: Path, dataset: DatasetRef):
        self.registry, self.dataset, self.right = Registry(artifacts, "tiny"), dataset, dict[str, int]()
        self.artifacts, self.asked = artifacts, list[str]()

    def version(self, right: int, seen: np.ndarray | None = None, **changes: Any) -> str:
        fingerprint = {"dataset": self.dataset, "fingerprint": self.dataset.fingerprint}
        validated = {"config": CONFIG, "epochs": [{"epoch": 1, "val_accuracy": right / 200}]}
        record = RECORD.model_copy(update={**fingerprint, **validated, **changes})
        version = make_version(self.artifacts, record=record, seen=seen)
        self.right[version] = right
        return version

    def champion(self, right: int, **changes: Any) -> str:
        version = self.version(right, **changes)
        self.registry.promote(version, by="test", reason="to begin with")
        return version

    def judge(self, version: str, doubts: Sequence[str] = (), **gate: Any) -> Decision:
        limits = Gate(max_class_drop=100, **gate)
        return judge(self.registry, version, self.dataset, limits, "nightly (0b1c)", self.answers, doubts)

    def answers(self, path: Path, images: np.ndarray) -> np.ndarray:
        self.asked.append(path.name)
        _, labels = load_split(self.dataset, "test")
        right = np.arange(len(labels)) < self.right[path.name]
        return np.eye(3)[np.where(right, labels, (labels + 1) % 3)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, write_dataset(tmp_path / "tiny", {"test": 200, "train": 300}))


def test_the_first_version_is_promoted_by_the_absolute_rules(bench: Bench) -> None:
    assert bench.judge(bench.version(150), minimum_accuracy=0.8).sentence == (
        "kept tiny without a champion: there was no champion; challenger 1 has accuracy 75.00%; "
        "accuracy 75.00% is below minimum_accuracy 80.00%"
    )
    assert bench.registry.champion() is None
    decision = bench.judge(bench.version(170), minimum_accuracy=0.8)
    assert decision.sentence == "promoted tiny 2: there was no champion; challenger 2 has accuracy 85.00%"
    assert bench.registry.champion() == "2"


def test_a_decision_is_in_the_ledger_word_for_word(bench: Bench) -> None:
    bench.champion(150)
    decision = bench.judge(bench.version(180))
    assert decision.verdict == "promoted"
    entry = bench.registry.entries()[-1]
    assert (entry.decision, entry.version, entry.by) == ("promoted", "2", "nightly (0b1c)")
    assert (entry.champion_before, entry.champion_after) == ("1", "2")
    assert (entry.reason, entry.measurements) == (decision.sentence, decision.measurements)
    assert bench.judge(bench.version(180)).sentence == (
        "kept tiny 2: challenger 3 makes the same predictions; 363 more decisions on this test split"
    )
    assert [entry.decision for entry in bench.registry.entries()] == ["promoted", "promoted", "kept"]


def remove(version: Path) -> None:
    for path in sorted(version.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    version.rmdir()


def spoil(version: Path) -> None:
    (version / "model.keras").write_bytes(b"other")


@pytest.mark.parametrize(
    ("damage", "words"),
    [(remove, "2 cannot be used (it is missing)"), (spoil, "2 cannot be used (model.keras was")],
)
def test_a_champion_that_is_not_whole_is_named_and_its_predecessor_compared(
    damage: Callable[[Path], None], words: str, bench: Bench
) -> None:
    bench.champion(150), bench.champion(155)
    damage(bench.registry.path("2"))
    decision = bench.judge(bench.version(152))
    assert decision.verdict == "kept"
    assert decision.sentence.startswith(f"kept tiny 2: {words}")
    assert "challenger 3 is 1.00 points better than 1, a champion before it, 95 % interval" in decision.sentence
    assert decision.sentence.endswith("; roll back to 1")
    decision = bench.judge(bench.version(190))
    assert decision.sentence.startswith(f"promoted tiny 4 over 2: {words}")
    assert (decision.champion, decision.measurements["compared_with"]) == ("2", "1")
    assert bench.registry.champion() == "4"
    assert bench.registry.entries()[-1].champion_before == "2"


def test_where_no_champion_is_whole_a_person_decides_on_what_keeps_the_absolute_rules(bench: Bench) -> None:
    bench.champion(190), bench.champion(195)
    spoil(bench.registry.path("1"))
    spoil(bench.registry.path("2"))
    assert bench.judge(bench.version(100), minimum_accuracy=0.6).verdict == "kept"
    decision = bench.judge(bench.version(130), minimum_accuracy=0.6)
    assert decision.sentence == (
        "needs approval to replace tiny 2: 2 cannot be used (model.keras was changed); challenger 4 has accuracy "
        "65.00%; there is no champion that it could be compared with"
    )


def test_where_no_champion_is_whole_a_manual_gate_says_so_too(bench: Bench) -> None:
    spoil(bench.registry.path(bench.champion(190)))
    assert bench.judge(bench.version(130), promotion="manual").sentence.endswith(
        "; there is no champion that it could be compared with; promotion is manual"
    )


def test_other_data_needs_approval(bench: Bench) -> None:
    bench.champion(150, fingerprint="e" * 64)
    data = f"1 was trained on other data (fingerprint eeeeeeee, now {bench.dataset.fingerprint[:8]})"
    decision = bench.judge(bench.version(180))
    assert decision.verdict == "needs approval"
    assert decision.sentence.startswith("needs approval to replace tiny 1: challenger 2 is 15.00 points better")
    assert f"; {data}, so test examples may be among what it has seen" in decision.sentence
    assert bench.registry.champion() == "1"
    worse = bench.judge(bench.version(149))
    assert worse.verdict == "kept"
    assert data in worse.sentence
    decision = bench.judge(bench.version(180, fingerprint="d" * 64))
    assert decision.verdict == "needs approval"
    assert "4 was trained on other data (fingerprint dddddddd" in decision.sentence


def seen_of(bench: Bench, test: int) -> np.ndarray:
    """Hashes of training examples, and of so many of the first test examples."""
    images, _ = load_split(bench.dataset, "test")
    return np.concatenate([np.arange(300, dtype="<u8"), hashes(images[:test])])


def test_data_that_grew_is_compared_on_what_neither_has_seen(bench: Bench) -> None:
    bench.champion(150, fingerprint="e" * 64, seen=seen_of(bench, 37))
    decision = bench.judge(bench.version(180, seen=seen_of(bench, 20)))
    assert decision.verdict == "promoted"
    assert decision.sentence.startswith(
        "promoted tiny 2 over 1: 37 test examples were left out: one of the two was trained on them; challenger 2 is "
        "18.40 points better, 95 % interval"
    )
    assert decision.measurements["examples"] == 163
    assert decision.measurements["accuracy"] == pytest.approx((180 - 37) / 163)
    assert decision.measurements["compared_accuracy"] == pytest.approx((150 - 37) / 163)


def test_an_example_that_only_one_has_seen_is_left_out(bench: Bench) -> None:
    images, _ = load_split(bench.dataset, "test")
    bench.champion(150, seen=hashes(images[:1]))
    decision = bench.judge(bench.version(180, seen=hashes(images[-1:])))
    assert "2 test examples were left out" in decision.sentence
    decision = bench.judge(bench.version(150, seen=seen_of(bench, 0)))
    assert "1 test example was left out: one of the two was trained on it; " in decision.sentence


def test_too_few_new_examples_need_a_person(bench: Bench) -> None:
    bench.champion(150, seen=seen_of(bench, 101))
    decision = bench.judge(bench.version(180, seen=seen_of(bench, 0)))
    assert decision.verdict == "needs approval"
    assert decision.sentence.endswith(
        "; 101 of 200 test examples are not new, since one of the two was trained on them, and too few are left to do "
        "without these"
    )
    assert decision.measurements["examples"] == 200  # compared on all of them, for the person's information
    everything = bench.judge(bench.version(180, seen=seen_of(bench, 200)))
    assert "200 of 200 test examples are not new" in everything.sentence


def test_a_small_test_split_that_is_new_is_enough(tmp_path: Path) -> None:
    small = Bench(tmp_path, write_dataset(tmp_path / "tiny", {"test": 60, "train": 300}))
    small.champion(30, seen=seen_of(small, 0))
    assert small.judge(small.version(55, seen=seen_of(small, 0))).verdict == "promoted"


def test_a_first_version_is_not_judged_on_what_it_was_trained_on(bench: Bench) -> None:
    decision = bench.judge(bench.version(170, seen=seen_of(bench, 60)))
    assert decision.sentence == (
        "promoted tiny 1: there was no champion; 60 test examples were left out: it was trained on them; challenger 1 "
        "has accuracy 78.57%"
    )


@pytest.mark.parametrize(("right", "words"), [(0, "0.00%"), (30, "15.00%"), (40, "20.00%")])
def test_a_first_version_that_knows_nothing_needs_a_person(right: int, words: str, bench: Bench) -> None:
    """Regression: for want of a champion anything became one."""
    decision = bench.judge(bench.version(right))
    assert decision.verdict == "needs approval"
    assert decision.sentence.startswith(
        f"needs approval to be the first champion of tiny: there was no champion; challenger 1 has accuracy {words}; "
        "it is not proven better than always answering "
    )
    assert bench.registry.champion() is None


def test_the_doubts_of_other_steps_need_a_person(bench: Bench) -> None:
    doubts = ["the labels of 12 examples look wrong"]
    first = bench.judge(bench.version(150), doubts)
    assert (first.verdict, first.sentence.rpartition("; ")[2]) == ("needs approval", doubts[0])
    bench.champion(150)
    second = bench.judge(bench.version(180), doubts)
    assert (second.verdict, second.sentence.rpartition("; ")[2]) == ("needs approval", doubts[0])


def test_every_comparison_spends_and_the_last_one_is_said(bench: Bench) -> None:
    bench.champion(150)
    sentences = [bench.judge(bench.version(right), decisions=2).sentence for right in (150, 151, 180)]
    assert "; 1 more decision on this test split" in sentences[0]
    assert "; 0 more decisions on this test split" in sentences[1]
    assert sentences[2].startswith("needs approval to replace tiny 1: challenger 4 is 15.00 points better")
    assert sentences[2].endswith("as many decisions as gate.decisions allows: bring new test examples")
    numbers = [entry.measurements.get("decision_number") for entry in bench.registry.entries()]
    assert numbers == [None, 1, 2, 3]
    # A person can still decide.
    bench.registry.promote("4", by="ada@laptop", reason="looked at the mistakes")
    assert bench.registry.champion() == "4"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"class_names": ["dark", "bright"]}, "1 has other classes (dark, bright), so the two were not compared"),
        (
            {"class_names": ["bright", "middling", "dark"]},
            "1 has other classes (bright, middling, dark), so the two were not compared",
        ),
        ({"image_shape": (8, 8, 1)}, "1 takes images of shape (8, 8, 1), so the two were not compared"),
    ],
)
def test_other_classes_are_never_compared(change: dict[str, Any], words: str, bench: Bench) -> None:
    bench.champion(150, dataset=bench.dataset.model_copy(update=change))
    decision = bench.judge(bench.version(199))
    assert decision.verdict == "needs approval"
    assert decision.sentence == (f"needs approval to replace tiny 1: challenger 2 has accuracy 99.50%; {words}")
    assert bench.asked == ["2"]
    assert bench.judge(bench.version(20), minimum_accuracy=0.8).verdict == "kept"


def test_a_version_of_other_classes_cannot_be_judged(bench: Bench) -> None:
    version = bench.version(150, dataset=bench.dataset.model_copy(update={"class_names": ["x", "y", "z"]}))
    with pytest.raises(ConfigurationError, match=r"Received: 1, which has other classes \(x, y, z\)"):
        bench.judge(version)
    assert bench.registry.entries() == []


def test_a_version_that_does_not_verify_is_not_judged(bench: Bench) -> None:
    spoil(bench.registry.path(bench.version(150)))
    with pytest.raises(VersionError, match=r"model.keras was changed"):
        bench.judge("1")
    with pytest.raises(RegistryError, match=r"version must be one in"):
        bench.judge("2")
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
    assert decision.sentence.startswith("kept tiny 3: challenger 2 is 14.50 points worse")
    assert sorted(bench.asked) == ["1", "2", "3"]  # each once
    assert [entry.version for entry in bench.registry.entries()] == ["1", "3", "2"]


def test_a_run_that_goes_on_after_its_promotion_does_not_undo_what_a_person_did_since(bench: Bench) -> None:
    bench.champion(150)
    version = bench.version(190)
    assert bench.judge(version).verdict == "promoted"
    bench.registry.rollback(by="ada@laptop", reason="shirts are not recognised")
    assert bench.judge(version).verdict == "promoted"  # as it was decided, and not decided again
    assert bench.registry.champion() == "1"


def test_a_rolled_back_version_that_is_judged_again_meets_the_champion(bench: Bench) -> None:
    bench.champion(150), bench.champion(190)
    bench.registry.rollback(by="a", reason="b")
    assert bench.judge("2").verdict == "promoted"


def test_judging_with_real_models(tmp_path: Path) -> None:
    """Two networks that know nothing, on real versions: both are loaded, and their answers compared."""
    dataset = write_dataset(tmp_path / "tiny", {"test": 200})
    record = RECORD.model_copy(update={"dataset": dataset, "fingerprint": dataset.fingerprint})
    models = {str(seed): build_mlp((4, 4, 1), classes=3, seed=seed) for seed in (1, 2)}
    for version, model in models.items():
        publish_model(tmp_path, model, record, version)
    registry = Registry(tmp_path, "tiny")
    registry.promote("1", by="a", reason="b")
    decision = judge(registry, "2", dataset, Gate(max_size_mb=1), "me", answers_on(CPU))
    images, labels = load_split(dataset, "test")
    right = {version: (compile_predict(model)(images).argmax(1) == labels).mean() for version, model in models.items()}
    assert decision.measurements["accuracy"] == pytest.approx(right["2"])
    assert decision.measurements["compared_accuracy"] == pytest.approx(right["1"])
    assert "its size 1.50 MB is more than max_size_mb 1" in decision.sentence


def test_all_seeds_of_a_version_are_compared(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "tiny", {"test": 200})
    record = RECORD.model_copy(update={"dataset": dataset, "fingerprint": dataset.fingerprint})
    models = {seed: build_mlp((4, 4, 1), classes=3, seed=seed) for seed in (1, 2, 3, 4)}
    publish_model(tmp_path, models[1], record, "1")
    publish_model(tmp_path, models[2], record, "2", seeds={seed: models[seed] for seed in (2, 3, 4)})
    registry = Registry(tmp_path, "tiny")
    registry.promote("1", by="a", reason="b")
    decision = judge(registry, "2", dataset, Gate(), "me", answers_on(CPU))
    images, labels = load_split(dataset, "test")
    right = {seed: (compile_predict(model)(images).argmax(1) == labels).mean() for seed, model in models.items()}
    assert decision.measurements["accuracy"] == pytest.approx(np.mean([right[seed] for seed in (2, 3, 4)]))
    assert decision.measurements["compared_accuracy"] == pytest.approx(right[1])


def publish_model(
    artifacts: Path, model: keras.Model, record: Record, version: str, seeds: Mapping[int, keras.Model] | None = None
) -> None:
    with whole_directory(artifacts / "models" / "tiny" / version) as directory:
        model.save(directory / "model.keras")
        for seed, other in (seeds or {}).items():
            (directory / "seeds").mkdir(exist_ok=True)
            other.save(directory / "seeds" / f"{seed}.keras")
        seal(directory, record, version)
