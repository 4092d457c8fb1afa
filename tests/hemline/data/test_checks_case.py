"""What is measured of an example, and what is new in a data set: worked by hand, or twice."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemline.data import checks_case
from hemline.data.checks_case import Before, Case, measured, measures
from hemline.data.checks_found import Change


def test_measures_of_one_image_by_hand() -> None:
    image = np.zeros((3, 4, 1), np.uint8)
    image[1, 1] = 12
    (found,) = measures(image[None])
    # The Laplacian at the two inner pixels: -4 x 12 at the spot, 12 beside it; their variance is 30 x 30.
    np.testing.assert_allclose(found, [1, np.sqrt(11), 900], rtol=1e-6)


def test_an_image_in_colour_is_measured_in_the_mean_of_its_channels() -> None:
    images = np.random.default_rng(0).integers(256, size=(5, 6, 7, 3), dtype=np.uint8)
    grey = images.mean(axis=-1)
    np.testing.assert_allclose(measures(images)[:, 0], grey.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(measures(images)[:, 1], grey.std(axis=(1, 2)), rtol=1e-5)


def test_an_image_without_an_inner_pixel_has_no_sharpness() -> None:
    assert measures(np.full((1, 2, 2, 1), 7, np.uint8)).tolist() == [[7, 0, 0]]


def test_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(256, size=(10, 4, 4, 1), dtype=np.uint8)
    whole = measured(images, np.arange(10))
    monkeypatch.setattr(checks_case, "PIECE", 3 * 16)
    pd.testing.assert_frame_equal(measured(images, np.arange(10)), whole)
    assert whole["label"].tolist() == list(range(10))


def test_of_large_images_a_sample_is_measured_and_each_has_its_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks_case, "VALUES", 4 * 16)
    table = measured(np.random.default_rng(0).integers(256, size=(10, 4, 4, 1), dtype=np.uint8), np.zeros(10, int))
    assert np.flatnonzero(table["brightness"].notna()).tolist() == [0, 3, 6, 9]
    assert table["hash"].nunique() == 10


def test_an_empty_split_has_no_rows() -> None:
    assert len(measured(np.empty((0, 4, 4, 1), np.uint8), np.empty(0, int))) == 0


def table(*examples: tuple[int, int]) -> pd.DataFrame:
    """A split of examples, each a hash and a label."""
    hashes, labels = np.array(examples, np.int64).reshape(-1, 2).T
    return pd.DataFrame({"label": labels.astype(np.int32), "hash": hashes.astype(np.uint64)})


def before(classes: list[str], **splits: pd.DataFrame) -> Before:
    return Before("7", classes, {}, splits, error=0.1)


def test_what_came_went_and_was_relabelled() -> None:
    now = {"train": table((1, 0), (2, 1), (4, 0)), "test": table((5, 1))}
    case = Case(["a", "b"], now, before(["a", "b"], train=table((1, 0), (2, 0), (3, 1)), test=table((5, 1))))
    assert case.change == Change(new=1, gone=1, relabelled=1)  # 4; 3; 2
    assert case.new.tolist() == [False, False, True, False]
    assert case.relabelled.tolist() == [False, True, False, False]


def test_what_moved_to_the_other_split_is_not_new() -> None:
    case = Case(
        ["a"], {"train": table((1, 0)), "test": table((2, 0))}, before(["a"], train=table((2, 0)), test=table((1, 0)))
    )
    assert case.change == Change(new=0, gone=0, relabelled=0)


def test_a_label_is_compared_by_the_name_of_its_class() -> None:
    case = Case(["b", "c"], {"train": table((1, 0), (2, 1))}, before(["a", "b"], train=table((1, 1), (2, 0))))
    assert case.relabelled.tolist() == [False, True]  # 1 is a b still; 2 was an a


def test_pixels_that_had_two_labels_are_not_relabelled_with_either() -> None:
    case = Case(["a", "b"], {"train": table((1, 1))}, before(["a", "b"], train=table((1, 0), (1, 1))))
    assert not case.relabelled.any()


def test_without_the_champions_examples_nothing_is_known_to_be_new() -> None:
    for champion in (None, Before("7", ["a"], {}, None, error=0.1)):
        case = Case(["a"], {"train": table((1, 0))}, champion)
        assert case.change is None
        assert not case.new.any()


EXAMPLES = st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 2)), max_size=12)


@given(EXAMPLES, EXAMPLES)
def test_the_change_is_that_of_sets(now: list[tuple[int, int]], then: list[tuple[int, int]]) -> None:
    """By a naive twin; labels -1 and 2 are of no class, and alike."""
    names = ["a", "b"]
    case = Case(names, {"train": table(*now)}, before(names, train=table(*then)))
    known, pairs = {pixels for pixels, _ in then}, {(pixels, label) for pixels, label in then if label in (0, 1)}
    assert case.new.tolist() == [pixels not in known for pixels, _ in now]
    expected = [pixels in known and (pixels, label) not in pairs for pixels, label in now if label in (0, 1)]
    assert case.relabelled[[label in (0, 1) for _, label in now]].tolist() == expected


def ask(case: Case, answers: np.ndarray) -> Case:
    """The champion answers an image, whose one pixel is its place in the split, with that row."""
    images = {split: np.arange(len(of_it)) for split, of_it in case.splits.items()}
    return case.answered(images, lambda asked: answers[asked])


def test_the_champion_is_asked_about_new_examples_of_classes_that_it_knows() -> None:
    now = {"train": table((1, 0), (2, 1), (3, 2), (4, 0), (5, -1))}
    case = Case(["b", "a", "new"], now, before(["a", "b"], train=table((1, 0))))
    answers = np.array([[9, 9], [3.0, 1.0], [9, 9], [2.5, 0.5], [9, 9]])  # logits of a and b
    told = ask(case, answers).told["train"]
    assert told.where.tolist() == [1, 3]
    assert told.contradicts.tolist() == [False, True]  # 2 is an a, and so it says; 4 is a b
    assert told.surprise.tolist() == [0, 2]


def test_of_many_new_examples_it_is_asked_about_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks_case, "ASKED", 3)
    now = {"train": table(*((i, 0) for i in range(10))), "test": table((20, 0), (21, 0))}
    case = Case(["a", "b"], now, before(["a", "b"], train=table((0, 0))))
    told = ask(case, np.array([[1.0, 0.0]] * 10)).told
    assert len(set(told["train"].where)) == 3
    assert 0 not in told["train"].where
    assert told["test"].where.tolist() == [0, 1]


def test_without_new_examples_it_is_not_asked() -> None:
    case = Case(["a"], {"train": table((1, 0))}, before(["a"], train=table((1, 0))))
    assert ask(case, np.empty(0)).told == {}
