"""Each check finds what it is for, says it in a sentence, and finds nothing in data that is as it was."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemline.config.checks import Checks
from hemline.data.checks import CHECKS, NAMED, check, cliffs_delta, require
from hemline.data.checks_case import MEASURES, Before, Case, Told, counted, measured
from hemline.data.checks_found import Finding
from hemline.data.dataset import DatasetRef, load_split
from hemline.errors import DatasetError

NAMES = ["coat", "bag"]


def split(labels: list[int], first: int, **measures: float) -> pd.DataFrame:
    """Examples whose pixels are all different, from a hash on, with the same measures."""
    hashes = np.arange(first, first + len(labels), dtype=np.uint64)
    values = {name: np.float32(measures.get(name, 50)) for name in MEASURES}
    return pd.DataFrame({"label": np.array(labels, np.int32), "hash": hashes, **values})


def sound() -> dict[str, pd.DataFrame]:
    return {"train": split([0, 1] * 200, first=0), "test": split([0, 1] * 100, first=1000)}


def before(**changes: pd.DataFrame) -> Before:
    splits = sound() | changes
    counts = {name: counted(of_it["label"], NAMES) for name, of_it in splits.items()}
    return Before("7", NAMES, counts, splits, error=0.1)


def found(case: Case, **answers: str) -> list[Finding]:
    return check(case, Checks(**answers), name_of=lambda name, index: f"{name}[{index}]")


def only(case: Case, name: str) -> Finding:
    """The finding, if there is no other."""
    (finding,) = found(case)
    assert finding.check == name
    return finding


@pytest.mark.parametrize("champion", [None, before()])
def test_data_that_is_as_it_was_has_no_findings(champion: Before | None) -> None:
    assert found(Case(NAMES, sound(), champion)) == []


def test_a_label_outside_the_classes_is_refused_by_name() -> None:
    splits = sound()
    splits["train"].loc[3, "label"], splits["train"].loc[5, "label"] = -1, 2
    finding = only(Case(NAMES, splits), "labels")
    assert (finding.answer, finding.size) == ("refuse", 2)
    assert finding.text == "train has 2 labels outside 0 to 1 (-1, 2): train[3], train[5]"
    with pytest.raises(DatasetError) as caught:
        require([finding])
    assert str(caught.value) == (
        f"data must pass its checks before it is trained on. Received: {finding.text}. Repair the data, or give "
        "checks.labels another answer."
    )


def test_a_class_that_a_split_lacks_is_refused() -> None:
    finding = only(Case(NAMES, sound() | {"test": split([0] * 100, 1000)}), "missing_classes")
    assert (finding.answer, finding.sentence) == ("refuse", "test has no example of bag")


@pytest.mark.parametrize(
    ("then", "change", "size"),
    [
        (["coat", "boot"], "bag came and boot went", 2),
        (["bag", "coat"], "they are in another order", 2),
    ],
)
def test_other_classes_than_the_champions_are_asked_about(then: list[str], change: str, size: int) -> None:
    champion = Before("7", then, {}, None, error=0.1)
    finding = only(Case(NAMES, sound(), champion), "classes")
    assert (finding.answer, finding.size) == ("ask", size)
    assert finding.sentence == f"the classes are not those of champion 7: {change}"


def test_other_shares_of_the_classes_are_warned_of() -> None:
    champion = Before("7", NAMES, {"train": {"coat": 300, "bag": 100}}, None, error=0.1)
    finding = only(Case(NAMES, sound(), champion), "balance")
    assert (finding.answer, finding.size) == ("warn", 0.25)  # half of |0.5 - 0.75| + |0.5 - 0.25|
    assert "by 25.0% in all: most of all coat, 50.0% instead of 75.0%" in finding.sentence


@pytest.mark.parametrize("counts", [{"coat": 3, "bag": 1}, {"coat": 205, "bag": 195}, {"coat": 0, "bag": 0}])
def test_shares_that_differ_by_accident_are_no_finding(counts: dict[str, int]) -> None:
    assert found(Case(NAMES, sound(), Before("7", NAMES, {"train": counts}, None, error=0.1))) == []


@pytest.mark.parametrize(("measure", "word"), [("brightness", "darker"), ("contrast", "poorer"), ("sharpness", "less")])
def test_new_images_that_look_otherwise_are_asked_about(measure: str, word: str) -> None:
    new = split([0, 1] * 100, first=5000, **{measure: 40})
    finding = only(Case(NAMES, sound() | {"test": new}, before()), measure)
    assert finding.answer == "ask"
    assert finding.sentence.startswith(f"200 new images are {word}")
    assert finding.sentence.endswith("in 100% of pairs of the same class (Cliff's delta -1.00)")
    # 3.09 standard errors below 1; n = 100 of a class with m = 300 there: sqrt(2 x 100 x 401 / 900) / 200
    assert finding.size == pytest.approx(1 - 3.09 * np.sqrt(200 * 401 / 900) / 200)


@pytest.mark.parametrize(("word", "usual", "most", "least"), [("darker", 40, 10, 45), ("brighter", 60, 90, 55)])
def test_the_images_that_differ_most_are_named_and_those_of_a_new_class_are_not(
    word: str, usual: int, most: int, least: int
) -> None:
    new = split([0, 1] * 100, first=5000, brightness=usual)
    new.loc[[3, 7], "brightness"] = most
    new.loc[[5, 9], "brightness"] = least
    new.loc[7, "label"] = 2  # a boot, which the champion does not know
    case = Case([*NAMES, "boot"], sound() | {"test": new}, before())
    finding = next(finding for finding in found(case) if finding.check == "brightness")
    assert finding.sentence.startswith(f"199 new images are {word}")
    assert [example.index for example in finding.examples[:2]] == [3, 0]


def test_a_few_new_images_prove_nothing() -> None:
    new = split([0, 1], first=5000, brightness=40)
    splits = {"train": pd.concat([sound()["train"], new], ignore_index=True), "test": sound()["test"]}
    assert found(Case(NAMES, splits, before())) == []


def test_new_images_are_compared_with_those_of_their_class() -> None:
    """Bags are brighter, and more of them came: the shares have changed, and no class looks otherwise."""
    then = sound()
    then["train"].loc[then["train"]["label"] == 1, "brightness"] = 200
    then["test"].loc[then["test"]["label"] == 1, "brightness"] = 200
    new = split([1] * 300, first=5000, brightness=200)
    now = {"train": pd.concat([then["train"], new], ignore_index=True), "test": then["test"]}
    assert [finding.check for finding in found(Case(NAMES, now, before(**then)))] == ["balance"]


@given(st.lists(st.integers(0, 5), min_size=1), st.lists(st.integers(0, 5), min_size=1))
def test_cliffs_delta_is_that_of_all_pairs(values: list[int], others: list[int]) -> None:
    signs = [np.sign(one - other) for one in values for other in others]
    assert cliffs_delta(np.array(values), np.array(others)) == pytest.approx(np.mean(signs))


def test_duplicates_within_a_split_are_counted_but_for_the_first() -> None:
    splits = sound()
    splits["train"].loc[[10, 20, 30], "hash"] = splits["train"]["hash"][0]  # all are coats
    finding = only(Case(NAMES, splits), "duplicates")
    assert (finding.answer, finding.size) == ("note", 3 / 400)
    assert finding.text == (
        "train has 3 examples of 400 (0.8%) with the pixels of an earlier one: train[10], train[20], train[30]"
    )


@pytest.mark.parametrize(("leaked", "answer"), [(1, "warn"), (40, "ask")])
def test_test_examples_that_are_trained_on_are_asked_about(leaked: int, answer: str) -> None:
    splits = sound()
    splits["test"].loc[: leaked - 1, "hash"] = splits["train"]["hash"][:leaked]  # the labels are the same
    finding = only(Case(NAMES, splits), "leaks")
    assert (finding.answer, finding.size) == (answer, leaked / 200)
    assert len(finding.examples) == min(leaked, NAMED)
    assert finding.more == max(0, leaked - NAMED)


def test_the_same_pixels_with_two_labels_are_asked_about_wherever_they_are() -> None:
    splits = sound()
    splits["test"].loc[[1, 3], "hash"] = splits["train"]["hash"][[0, 2]].to_numpy()  # bags, and were coats
    conflict = next(finding for finding in found(Case(NAMES, splits)) if finding.check == "conflicts")
    assert (conflict.answer, conflict.size) == ("ask", 4 / 600)
    assert {example.name for example in conflict.examples} == {"train[0]", "train[2]", "test[1]", "test[3]"}


def test_images_that_show_nothing_are_counted_among_those_that_were_looked_at() -> None:
    splits = sound()
    splits["train"].loc[200:, "contrast"] = np.nan
    splits["train"].loc[:2, "contrast"] = 1.9
    finding = only(Case(NAMES, splits), "flat_images")
    assert (finding.answer, finding.size) == ("ask", 3 / 200)
    assert "3 examples of 200 (1.5%) of one colour, or nearly: train[0], train[1], train[2]" in finding.text


def test_other_labels_than_in_the_champions_data_are_asked_about() -> None:
    splits = sound()
    splits["test"]["label"] = 1 - splits["test"]["label"]
    finding = only(Case(NAMES, splits, before()), "relabelled")
    assert (finding.answer, finding.size) == ("ask", 1)
    assert finding.sentence == "test has 200 examples of 200 (100.0%) with another label than in the data of champion 7"


def told(against: int, asked: int) -> Case:
    contradicts = np.arange(asked) < against
    answer = Told(np.arange(asked), contradicts, np.where(contradicts, np.arange(asked) + 1.0, 0))
    return Case(NAMES, sound(), before(), {"train": answer})


def test_new_labels_that_the_champion_contradicts_are_asked_about() -> None:
    finding = only(told(50, 100), "contradicted")
    assert finding.answer == "ask"
    assert 0.2 < finding.size < 0.3  # 0.5 - 0.1, less the width of an interval of 99.9 %: 3.3 x 0.05
    assert finding.sentence == (
        "champion 7 contradicts 50 of the labels of 100 new examples of train (50.0%), and got 10.0% of its own test "
        "split wrong"
    )
    assert finding.examples[0].name == "train[49]"  # of which it is surest
    assert finding.more == 50 - NAMED


@pytest.mark.parametrize(("against", "asked"), [(100, 1000), (4, 10)])
def test_errors_as_in_its_test_or_of_a_few_examples_are_no_finding(against: int, asked: int) -> None:
    assert found(told(against, asked)) == []


@pytest.mark.parametrize("name", CHECKS)
def test_what_is_ignored_is_not_looked_for(name: str) -> None:
    splits = {"train": split([0] * 300, 0, brightness=1, contrast=1, sharpness=1), "test": split([2, 0] * 150, 0)}
    case = Case(["coat", "boot"], splits, before(), {"train": Told(*np.ones((3, 300), int))})
    everything = {finding.check for finding in found(case)}
    assert {finding.check for finding in found(case, **{name: "ignore"})} == everything - {name}


def test_what_is_asked_about_is_not_refused() -> None:
    require([Finding(check="leaks", answer="ask", sentence="test leaks", size=1)])


def test_fashion_mnist_has_no_findings(fashion_mnist: DatasetRef) -> None:
    splits = {split: measured(*load_split(fashion_mnist, split)) for split in fashion_mnist.splits}
    assert found(Case(fashion_mnist.class_names, splits)) == []
