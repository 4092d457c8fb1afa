"""A run is called for what a person looks for, whatever becomes of it."""

from pathlib import Path
from typing import Any

import pytest
from prefect import Flow
from prefect.client.orchestration import get_client

from flows.prune import prune
from flows.rollback import rollback
from flows.verify import verify
from hemline.config.verify import VerifyConfig
from hemline.errors import HemlineError


@pytest.mark.parametrize(
    ("flow", "given", "name"),
    [
        (rollback, {"reason": "a test", "name": "tiny"}, "rollback tiny"),
        (rollback, {"reason": "a test"}, "rollback"),
        (prune, {}, "prune look"),
        (prune, {"delete": True, "name": "tiny"}, "prune tiny"),
    ],
)
def test_it_says_what_of_which_model_and_when(
    flow: Flow[..., Any], given: dict[str, Any], name: str, tmp_path: Path
) -> None:
    state = flow(**given, artifacts_dir=tmp_path, return_state=True)
    assert name_and_day(state) == name


def test_a_proof_names_its_device() -> None:
    state = verify(VerifyConfig(device="gpu"), return_state=True)
    with pytest.raises(HemlineError, match="needs a GPU"):
        state.result()
    assert name_and_day(state) == "verify gpu"


def name_and_day(state: Any) -> str:
    """The name, without the day that it must end with."""
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(state.state_details.flow_run_id)
    name, _, day = run.name.rpartition(" ")
    assert day == f"{run.expected_start_time:%Y-%m-%d}"
    return name
