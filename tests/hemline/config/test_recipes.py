"""Every recipe is a whole configuration, and options go before it."""

import json
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from hemline.config import recipes
from hemline.config.data import DataConfig
from hemline.config.explain import explain
from hemline.config.retrain import RetrainConfig
from hemline.runtime.devices import select
from hemline.training.run import check_model

OF_THE_MACHINE = {"replicas", "streaming", "data_dir", "manual_dir", "artifacts_dir", "device"}
OF_THE_OPERATION = {"name", "checks", "gate", "recipe", "resume"}
OF_THE_OPERATION |= {
    "early_stopping",
    "checkpoint_steps",
    "keep_checkpoints",
    "attempts",
    "log_lines",
    "only_train",
    "tensorboard",
    "force",
    "seeds",
}
# Of data that comes as a recipe's does not: its images are of one size, and it has a test split.
OF_OTHER_DATA = {"image_key", "label_key", "image_size", "grayscale", "test_share", "split_seed", "unreadable"}
NAMES = list(recipes.known())


def test_the_recipes_there_are() -> None:
    assert {"best-mlp", "chapter", "chapter-listing"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_complete_and_valid(name: str) -> None:
    """A default that changes later must not change what a recipe stands for."""
    text = recipes.known()[name].read_text()
    assert text.startswith("# ")  # what it is for
    values = yaml.safe_load(text)
    assert set(values) == set(RetrainConfig.model_fields) - OF_THE_MACHINE - OF_THE_OPERATION - OF_OTHER_DATA
    config = RetrainConfig(recipe=name)
    assert config == RetrainConfig.model_validate(values)
    assert set(config.groups.by_name()) == set(values["groups"])
    for group in values["groups"].values():
        assert {"layers", "optimizer", "learning_rate", "schedule"} <= set(group)
        assert "kind" in group["schedule"]
    check_model(config, select("cpu"), (28, 28, 1), classes=10)


def test_the_listing_trains_its_four_variables_and_freezes_the_rest() -> None:
    from hemline.models.mlp import build_mlp
    from hemline.training.groups import assign, labelled_variables

    config = RetrainConfig(recipe="chapter-listing")
    labels = list(labelled_variables(build_mlp((28, 28, 1), 10, seed=0)))
    owner = assign(labels, {name: group.layers for name, group in config.groups.by_name().items()}, config.frozen)
    assert {label: group for label, group in owner.items() if group} == {
        "norm_1/alpha": "lower",
        "norm_1/beta": "lower",
        "logits/kernel": "upper",
        "logits/bias": "upper",
    }


def test_what_is_given_goes_before_the_recipe() -> None:
    config = RetrainConfig.model_validate(
        {"recipe": "best-mlp", "epochs": 3, "groups": {"matrices": {"learning_rate": 0.02}}}
    )
    recipe = RetrainConfig(recipe="best-mlp")
    assert config.epochs == 3
    assert config.batch_size == recipe.batch_size
    matrices = config.groups.by_name()["matrices"]
    assert matrices == recipe.groups.by_name()["matrices"].model_copy(update={"learning_rate": 0.02})
    assert config.groups.by_name()["upper"] == recipe.groups.by_name()["upper"]


@pytest.mark.parametrize("given", [{"epochs": 5, "seed": 42}, {"validation": 5000}])
def test_a_value_that_is_given_counts_even_where_it_is_the_default(given: dict[str, Any]) -> None:
    """Regression: beside more than half of the fields, values as by default were taken for not given."""
    everything = RetrainConfig(recipe="best-mlp", seed=1, epochs=9).model_dump(mode="json")
    config = RetrainConfig.model_validate(everything | given | {"recipe": "best-mlp"})
    for name, value in given.items():
        assert getattr(config, name) == value


def test_the_forms_schema_has_no_defaults_to_send() -> None:
    """Regression: the UI's form filled in every default and sent it, which overrode the recipe."""
    schema = json.dumps(RetrainConfig.model_json_schema())
    assert '"default":' not in schema
    assert '"boolean"' not in schema  # of which it sends false
    assert "passes over the training examples  [default: 5; at least 1; at most 10000]" in schema


def test_a_made_configuration_needs_no_recipe_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest must load when the recipe it was made from has changed or gone."""
    config = RetrainConfig(recipe="best-mlp", epochs=3)
    monkeypatch.setattr(recipes, "known", dict)
    assert RetrainConfig.model_validate_json(config.model_dump_json()) == config
    assert config.recipe is None


def refused_by_python(**given: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        RetrainConfig(**given)
    return explain(caught.value, "Set it under parameters in prefect.yaml.")


@pytest.mark.parametrize("name", ["chapters", "../pyproject", ["chapter"], 3])
def test_an_unknown_recipe_is_refused_with_the_known_ones(name: Any) -> None:
    assert refused_by_python(recipe=name) == (
        f"recipe must be one of {', '.join(NAMES)}, or the path of a YAML file under HEMLINE_ROOT. Received: "
        f"recipe={name!r}. Set it under parameters in prefect.yaml."
    )


def test_a_recipe_says_nothing_of_where_data_is() -> None:
    assert RetrainConfig(recipe="chapter").data == DataConfig(
        data_dir=DataConfig().data_path, manual_dir=DataConfig().manual_path
    )
