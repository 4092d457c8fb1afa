"""prefect.yaml against Prefect's own schema. Prefect ignores unknown keys, so a typo would go unnoticed."""

from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from prefect.cli.deploy._models import PrefectYamlModel
from prefect.client.schemas.objects import ConcurrencyLimitStrategy
from prefect.exceptions import ParameterTypeError
from prefect.utilities.callables import parameter_schema

from flows.retrain import retrain
from hemline.config import recipes
from hemline.config.retrain import RetrainConfig

ROOT = Path(__file__).parents[1]


def strict(schema: Any) -> Any:
    """The schema with every object of known properties closed to others."""
    if isinstance(schema, dict):
        closed = {"additionalProperties": False} if "properties" in schema else {}
        return {key: strict(value) for key, value in schema.items()} | closed
    return [strict(value) for value in schema] if isinstance(schema, list) else schema


@pytest.fixture
def document() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    del loaded["definitions"]  # anchors only
    return loaded


@pytest.fixture
def deployments(document: dict[str, Any]) -> dict[str, Any]:
    return {deployment["name"]: deployment for deployment in document["deployments"]}


def test_document_matches_prefects_schema(document: dict[str, Any]) -> None:
    jsonschema.validate(document, strict(PrefectYamlModel.model_json_schema()))


@pytest.mark.parametrize("typo", ["shedules", "concurency_limit", "work-pool"])
def test_a_typo_is_refused(document: dict[str, Any], typo: str) -> None:
    document["deployments"][0][typo] = None
    with pytest.raises(jsonschema.ValidationError, match=typo):
        jsonschema.validate(document, strict(PrefectYamlModel.model_json_schema()))


def test_every_entrypoint_is_a_flow_and_takes_its_parameters(deployments: dict[str, Any]) -> None:
    for deployment in deployments.values():
        module, _, name = deployment["entrypoint"].partition(":")
        flow = getattr(import_module(module), name)
        assert flow.name == name
        required = {
            "rollback": {"reason": "to see that it is one"},
            "sweep": {"config": {"space": {"epochs": [1, 2]}}},
        }.get(name, {})
        flow.validate_parameters(deployment.get("parameters", {}) | required)


@pytest.mark.parametrize("name", recipes.known())
def test_a_deployments_run_takes_a_recipe_by_name(name: str) -> None:
    given = {"config": {"recipe": name, "epochs": 3}}
    jsonschema.validate(given, parameter_schema(retrain).model_dump())
    assert retrain.validate_parameters(given)["config"] == RetrainConfig(recipe=name, epochs=3)


def test_a_deployments_run_with_an_unknown_recipe_does_not_start() -> None:
    with pytest.raises(ParameterTypeError, match="recipe must be one of best-mlp, "):
        retrain.validate_parameters({"config": {"recipe": "chapters"}})


def test_nightly_runs_at_two_one_at_a_time_on_a_gpu(deployments: dict[str, Any]) -> None:
    nightly = deployments["nightly"]
    (schedule,) = nightly["schedules"]
    assert (schedule["cron"], schedule["slug"]) == ("0 2 * * *", "nightly")
    assert schedule["timezone"]
    assert nightly["concurrency_limit"] == {"limit": 1, "collision_strategy": ConcurrencyLimitStrategy.CANCEL_NEW.value}
    assert nightly["parameters"]["config"]["device"] == "gpu"


def test_smoke_is_one_epoch_on_any_device(deployments: dict[str, Any]) -> None:
    assert deployments["smoke"]["parameters"]["config"] == {"epochs": 1, "device": "auto", "force": True}
    assert "schedules" not in deployments["smoke"]


def test_all_run_on_the_pool_that_make_up_creates(deployments: dict[str, Any]) -> None:
    from ops.up import POOL

    assert {deployment["work_pool"]["name"] for deployment in deployments.values()} == {POOL}
