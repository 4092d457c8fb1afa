"""Who decided: a flow run's id is told from its name, and of a person nothing is cut off."""

import pytest

from hemline.records.decider import by_run, decider

ID = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0"


@pytest.mark.parametrize(
    "name", ["nightly", "fashion_mnist mlp 2026-11-29", "a (b)", "of\ntwo lines", "(0b1c2d3e)", ""]
)
def test_a_flow_run_is_its_name_and_its_id(name: str) -> None:
    assert decider(by_run(name, ID)) == (name, ID)


@pytest.mark.parametrize("person", ["ada@laptop", "Ada (night shift)", "ada (0b1c)", f"({ID})", ""])
def test_a_person_has_no_id(person: str) -> None:
    assert decider(person) == (person, None)
