"""Retrains on several machines at once: as many runs of `retrain` as there are workers, which share every batch.

    prefect deployment run cluster/retrain --param workers=2 --param config='{"batch_size": 256}' --watch

Each of them needs a slot of the work pool, and so does this one, which computes nothing: it tells them where the others
are, ends all if one is gone, brings them back together, and ends as worker 0 does. A cluster that is killed comes back
as every run does, and finds its members.
"""

import time
from datetime import UTC, datetime
from typing import Annotated

from prefect import flow, runtime
from prefect.exceptions import Abort
from prefect.states import State
from pydantic import Field

from flows.attempt import working_on
from flows.names import dated
from flows.places import confine
from hemline.config.retrain import RetrainConfig
from hemline.errors import ConfigurationError, SupersededError
from hemline.storage.attempts import reached
from hemline.storage.files import write_json
from hemline.storage.runs import CLUSTERS, run_directory
from tasks.members import Members

LOOK_SECONDS = 2.0  # between two looks at the members
Workers = Annotated[int, Field(ge=2, le=1000, description="machines, or processes, that share every batch")]


@flow(
    name="cluster",
    flow_run_name=dated(lambda config, workers: (config.title, f"on {workers}")),
    result_serializer="json",
)
def cluster(config: RetrainConfig = {}, workers: Workers = 2) -> None:  # type: ignore[assignment]  # noqa: B006  as in retrain
    """Retrain the image classifier on several workers at once, which share every batch.

    Its final state is that of worker 0, which publishes: *Promoted*, *Kept*, and so on. A member that dies takes the
    others with it, and all of them come back from the newest common checkpoint. Cancel and *Retry* this run, not its
    members. Read on in `docs/operate.md`.
    """
    confine(artifacts_dir=config.artifacts_dir)
    if config.resume is not None:
        raise ConfigurationError(
            "the members of a cluster resume their own runs. "
            f"Received: resume={config.resume}. Leave it out, and Retry the cluster's run."
        )
    this = runtime.flow_run
    config = config.of_night(this.scheduled_start_time)  # here: members may be scheduled on both sides of midnight
    directory = run_directory(config, this.scheduled_start_time, str(this.id), CLUSTERS)
    write_json(directory / "config.json", config.model_dump(mode="json"))
    members = Members(directory.name, config, workers, began=datetime.now(UTC))
    try:
        members.start()
        with working_on(directory, config.attempts):
            return _end_of(members)  # type: ignore[return-value]  # Prefect takes it for the run's state
    except SupersededError:  # they are another attempt's now
        raise
    except (Abort, Exception) as error:
        members.end(str(error))
        raise


def _end_of(members: Members) -> State:
    while not (state := members.look()):
        reached(f"{datetime.now(UTC):%Y-%m-%d %H:%M}")  # so that a crash in a long training is not taken for a repeat
        time.sleep(LOOK_SECONDS)
    return state
