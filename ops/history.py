"""Some nights of a model, on a machine of its own: each ends in another state, for a reason that does not change.

    with Lane(root) as lane:
        nights = make(lane, prepare(DataConfig()))      # two minutes on 2 quiet cores
        nights.runs["waiting"]                          # the flow run's id: it is Paused until a person answers
        nights.page("better")                           # its page in the UI
        with serving(nights) as nights:                 # `hemline serve`, at nights.served

Data and training are real, and so are the crash and the way back from it: `make screenshots` takes its pictures of
these nights, and the tests look at them in a browser.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from prefect.client.schemas.filters import ArtifactFilter
from prefect.client.schemas.objects import State
from prefect.client.schemas.sorting import ArtifactSort

from hemline.config.paths import CHECKOUT
from hemline.data.dataset import DatasetRef
from ops.chaos.lane import Lane, wait_until

NAME = "fashion_mnist"  # of the data set, and so of the model
BETTER: dict[str, Any] = {"recipe": "best-mlp", "validation": 5000}  # not on the test split, which is to compare


@dataclass(frozen=True)
class Night:
    """A run that is asked for, and the state in which it must end."""

    ends: str
    config: Mapping[str, Any] = field(default_factory=dict)
    rollback: str = ""  # its reason, if the run takes the champion back instead of training
    killed: bool = False  # once, in training, after its first checkpoint


# In this order, one after the other.
NIGHTS = {
    "first": Night("Promoted", {"epochs": 1}),
    "same": Night("Unchanged", {"epochs": 1}),
    "worse": Night("Kept", {"recipe": "chapter-listing", "epochs": 1}),
    "refused": Night("Failed", {"groups": {"lower": {"layers": ["norm_1"]}}}),  # as the chapter: six variables stay out
    "better": Night("Promoted", BETTER | {"epochs": 5}, killed=True),
    "back": Night("Completed", rollback="shirts are not recognised any more"),
    "waiting": Night("Paused", BETTER | {"epochs": 2, "gate": {"promotion": "manual"}}),
}


@dataclass(frozen=True)
class History:
    """The nights, and where a person sees them. runs: flow runs by the night's name."""

    lane: Lane
    runs: dict[str, UUID]
    served: str = ""  # address of the page of `hemline serve`, while that runs

    @property
    def ui(self) -> str:
        """Address of the UI, without a slash at its end."""
        return self.lane.url.removesuffix("/api")

    def page(self, name: str) -> str:
        """Address of a run's page."""
        return f"{self.ui}/runs/flow-run/{self.runs[name]}"

    def form(self) -> str:
        """Address of the form of a custom run."""
        deployment = self.lane.client.read_deployment_by_name("retrain/smoke")
        return f"{self.ui}/deployments/deployment/{deployment.id}/run"

    def artifact(self, name: str, key: str) -> str:
        """Address of a run's artifact, the newest of that key."""
        of_run = ArtifactFilter.model_validate(
            {"key": {"any_": [key]}, "flow_run_id": {"any_": [str(self.runs[name])]}}
        )
        newest, *_ = self.lane.client.read_artifacts(artifact_filter=of_run, sort=ArtifactSort.CREATED_DESC)
        return f"{self.ui}/artifacts/artifact/{newest.id}"

    def index(self) -> str:
        """Address of the page that needs no server."""
        return (self.lane.root / "artifacts" / "index.html").as_uri()


def make(lane: Lane, dataset: DatasetRef) -> History:
    """dataset: Fashion-MNIST as it was decoded."""
    shutil.copytree(dataset.path, lane.root / "data" / "decoded" / NAME)
    return History(lane, {name: _pass(lane, name, night) for name, night in NIGHTS.items()})


@contextmanager
def serving(nights: History) -> Iterator[History]:
    """With the champion served, on a free port, until the block ends."""
    words = [sys.executable, "-m", "flows.command", "serve", "--port", "0"]
    env = nights.lane.environment
    with subprocess.Popen(words, env=env, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            while not (found := re.search(r"http://127\.0\.0\.1:\d+", line := process.stderr.readline())):
                assert line, "it has ended"
            yield replace(nights, served=found[0])
        finally:
            process.kill()


def _pass(lane: Lane, name: str, night: Night) -> UUID:
    if night.rollback:
        run = lane.run("rollback/champion", {"reason": night.rollback})
    else:
        run = lane.run("retrain/smoke", {"config": {"device": "cpu", **night.config}})
    if night.killed:
        _kill(lane, run)
    state = wait_until(lambda: _ended(lane, run), f"the end of the night {name}", pause=0.2)
    if state.name != night.ends:
        raise RuntimeError(
            f"The night {name} must end as {night.ends}. Received: {state.name} ({state.message}). "
            f"Look at {lane.root}/lane.log and at the run's own run.log."
        )
    return run


def _kill(lane: Lane, run: UUID) -> None:
    """By SIGKILL, as soon as there is something to go on from."""
    checkpoints = f"artifacts/runs/*-{run.hex[:8]}/checkpoints/epoch-*"
    wait_until(lambda: any(lane.root.glob(checkpoints)), "a checkpoint", pause=0.05)
    process = lane.process(run)
    assert process
    process.kill()
    wait_until(lambda: (state := lane.state(run)) and state.is_crashed(), "a crash", pause=0.2)


def _ended(lane: Lane, run: UUID) -> State | None:
    """Its state, if nothing but a person's answer follows. A crash is no end: the run comes back."""
    state = lane.state(run)
    if state and (state.is_paused() or (state.is_final() and not state.is_crashed())):
        return state
    return None
