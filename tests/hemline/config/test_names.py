"""A model's name: what may be one, and what a data set gives."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hemline.config.explain import explain
from hemline.config.names import LONGEST, checked, is_name, model_name
from hemline.config.retrain import RetrainConfig


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("fashion_mnist", "fashion_mnist"),
        ("fashion_mnist:3.0.1", "fashion_mnist"),
        ("fashion_mnist:3.*.*", "fashion_mnist"),
        ("emnist/letters:3.1.0", "emnist_letters"),
        ("folder:/srv/My Pictures", "My_Pictures"),
        ("folder:/srv/pets/", "pets"),
        ("folder:pets", "pets"),
        ("folder:~/B\u00f6se..Bilder", "B_se.Bilder"),
        ("folder:/srv/.hidden", "hidden"),
        ("folder:/", "data"),
        ("folder:/srv/..", "data"),
        ("package.module:Builder", "builder"),
        ("package.module:MyPetImages", "my_pet_images"),
        ("module:HTTPLog2", "http_log2"),
        ("module:_Private", "private"),
    ],
)
def test_a_data_set_gives_a_name(dataset: str, name: str) -> None:
    assert model_name(dataset) == name
    assert RetrainConfig(dataset=dataset).name == name


@given(kind=st.sampled_from(["", "folder:", "package.module:"]), text=st.text(max_size=200))
def test_every_data_set_gives_one_that_may_be_one(kind: str, text: str) -> None:
    assert checked(model_name(kind + text))


@pytest.mark.parametrize("name", ["a", "7", "fashion_mnist", "A-1.2_b", "x" * LONGEST])
def test_what_may_be_one(name: str) -> None:
    assert RetrainConfig(name=name, dataset="mnist").name == name


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "a/b", "/", "a..b", "../a", ".a", "-a", "_a", "a b", "a\n", "a\0", "x" * (LONGEST + 1)),
        *("\uff41", "caf\u00e9", "a\u200b", "\u0430bc", "1\u0660"),
    ],
)
def test_what_may_not_be_one(name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RetrainConfig(name=name)
    sentence = explain(caught.value, "See --help.")
    assert sentence.startswith("name: a model's name must be of letters, digits, '_', '-' and '.', begin with a letter")
    assert f"Received: name={name!r}. Choose another." in sentence
    assert not is_name(name)


def test_a_refused_data_set_has_one_line_and_not_one_for_the_name_that_it_would_give() -> None:
    with pytest.raises(ValidationError) as caught:
        RetrainConfig(dataset="")
    assert [line.split()[0] for line in explain(caught.value, "").splitlines()] == ["dataset"]


@pytest.mark.parametrize("fields", [{}, {"name": "other"}, {"recipe": "chapter", "dataset": "mnist"}])
def test_a_configuration_that_was_written_keeps_its_name(fields: dict[str, Any]) -> None:
    config = RetrainConfig(**fields)
    assert RetrainConfig.model_validate_json(config.model_dump_json()).name == config.name


def test_a_name_does_not_change_what_is_computed() -> None:
    assert RetrainConfig(name="other").what_is_computed() == RetrainConfig().what_is_computed()
