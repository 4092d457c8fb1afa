"""Every recipe is a whole configuration, and options go before it."""

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from hemline import recipes
from hemline.config import DataConfig, LowerGroup, RetrainConfig, explain
from hemline.options import parse
from hemline.run import check_groups

OF_THE_MACHINE = {"replicas", "streaming", "data_dir", "manual_dir", "artifacts_dir", "device"}
OF_THE_OPERATION = {"gate", "recipe", "early_stopping", "checkpoint_steps", "keep_checkpoints", "resume"}
NAMES = ["best-mlp", "chapter", "chapter-listing"]


def test_the_recipes_there_are() -> None:
    assert list(recipes.known()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_complete_and_valid(name: str) -> None:
    """A default that changes later must not change what a recipe stands for."""
    text = recipes.known()[name].read_text()
    assert text.startswith("# ")  # what it is for
    values = yaml.safe_load(text)
    assert set(values) == set(RetrainConfig.model_fields) - OF_THE_MACHINE - OF_THE_OPERATION
    config = RetrainConfig(recipe=name)
    assert config == RetrainConfig.model_validate(values)
    assert set(config.groups.by_name()) == set(values["groups"])
    for group in values["groups"].values():
        assert {"layers", "optimizer", "learning_rate"} <= set(group)
    check_groups(config)


def test_the_listing_trains_its_four_variables_and_freezes_the_rest() -> None:
    from hemline.models import build_mlp
    from hemline.optimizer_groups import assign, labelled_variables

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


@pytest.mark.parametrize("name", recipes.known())
def test_the_form_of_the_ui_takes_a_recipe(name: str) -> None:
    """Regression: it sends every field with its default, which went before all of the recipe."""
    form = RetrainConfig().model_dump(mode="json") | {"recipe": name}
    assert RetrainConfig.model_validate(form) == RetrainConfig(recipe=name)
    form |= {"epochs": 7}
    form["groups"]["upper"]["learning_rate"] = 0.7
    expected = RetrainConfig.model_validate({"recipe": name, "epochs": 7, "groups": {"upper": {"learning_rate": 0.7}}})
    assert RetrainConfig.model_validate(form) == expected


def test_a_made_configuration_needs_no_recipe_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest must load when the recipe it was made from has changed or gone."""
    config = RetrainConfig(recipe="best-mlp", epochs=3)
    monkeypatch.setattr(recipes, "known", dict)
    assert RetrainConfig.model_validate_json(config.model_dump_json()) == config
    assert config.recipe is None


def test_the_command_line_takes_a_recipe_and_options_over_it() -> None:
    config = parse(
        RetrainConfig,
        "retrain",
        "Retrains.",
        ["--recipe", "chapter-listing", "--epochs", "3", "--groups.upper.learning-rate", "0.2"],
    )
    assert config.frozen == ["hidden_1", "hidden_2", "norm_2"]
    assert (config.epochs, config.validation) == (3, "test")
    assert config.groups.by_name()["upper"].learning_rate == 0.2
    assert config.groups.by_name()["lower"] == LowerGroup(layers=["norm_1"])


def refused_by_python(**given: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        RetrainConfig(**given)
    return explain(caught.value, "Set it under parameters in prefect.yaml.")


@pytest.mark.parametrize("name", ["chapters", "../pyproject", ["chapter"], 3])
def test_an_unknown_recipe_is_refused_with_the_known_ones(name: Any) -> None:
    assert refused_by_python(recipe=name) == (
        f"recipe must be one of best-mlp, chapter, chapter-listing. Received: recipe={name!r}. "
        "Set it under parameters in prefect.yaml."
    )


def test_an_unknown_recipe_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(RetrainConfig, "retrain", "Retrains.", ["--recipe", "chapters"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        "recipe must be one of best-mlp, chapter, chapter-listing. Received: recipe='chapters'. See retrain --help.\n"
    )


def test_a_recipe_says_nothing_of_where_data_is() -> None:
    assert RetrainConfig(recipe="chapter").data == DataConfig(
        data_dir=DataConfig().data_path, manual_dir=DataConfig().manual_path
    )


@pytest.mark.parametrize(
    ("base", "over", "expected"),
    [
        ({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}, {"a": {"x": 1, "y": 3}}),
        ({"a": {"x": 1}}, {"a": None}, {"a": None}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": {"x": 1}}, {"a": {"x": 1}}),
    ],
)
def test_mappings_are_merged_and_all_else_is_replaced(base: Any, over: Any, expected: Any) -> None:
    assert recipes.merge(base, over) == expected
