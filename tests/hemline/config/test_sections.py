"""The order of the form and of the options is the one in which a person chooses."""

from itertools import chain
from typing import Any

import pytest

from hemline.config.retrain import RetrainConfig
from hemline.config.sections import SECTIONS


@pytest.fixture
def fields() -> dict[str, dict[str, Any]]:
    properties: dict[str, dict[str, Any]] = RetrainConfig.model_json_schema()["properties"]
    return properties


def test_every_field_has_its_place_once(fields: dict[str, dict[str, Any]]) -> None:
    """Else a new one would be in neither form nor help."""
    placed = list(chain.from_iterable(SECTIONS.values()))
    assert sorted(placed) == sorted(RetrainConfig.model_fields)
    assert list(fields) == placed
    assert [field["position"] for field in fields.values()] == list(range(len(placed)))


def test_a_title_has_section_words_and_unit(fields: dict[str, dict[str, Any]]) -> None:
    titles = [fields[name]["title"] for name in ("recipe", "image_size", "model", "groups", "ema_momentum", "gate")]
    assert titles == [
        "Recipe",
        "Data: Image size (pixels)",
        "Model: Model",
        "Training: Groups",
        "Training: EMA momentum",
        "Judgement: Gate",
    ]


def test_what_is_trained_on_what_comes_before_how_it_is_judged_and_where(fields: dict[str, dict[str, Any]]) -> None:
    order = [name for name in fields if name in {"dataset", "model", "epochs", "groups", "gate", "device", "resume"}]
    assert order == ["dataset", "model", "epochs", "groups", "gate", "device", "resume"]
