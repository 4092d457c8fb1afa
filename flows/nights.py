"""After nights without a worker one run happens, not one for each night.

    if skipped := made_up_for():
        return skipped                                  # the run's final state: *Skipped*, and by which run

A worker that comes back finds all scheduled runs late. The first trains; those after it find a run that was started
after their own time, and ended well, so there is nothing left for them to do.
"""

from uuid import UUID

from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter
from prefect.states import Cancelled, State


def made_up_for() -> State | None:
    """The state in which a scheduled run ends whose work a later start of its deployment has done; else None."""
    if not runtime.deployment.id or runtime.flow_run.run_count > 1:
        return None
    with get_client(sync_client=True) as client:
        this = client.read_flow_run(UUID(str(runtime.flow_run.id)))
        if not this.auto_scheduled or not this.expected_start_time:
            return None
        done = client.read_flow_runs(
            deployment_filter=DeploymentFilter.model_validate({"id": {"any_": [this.deployment_id]}}),
            flow_run_filter=FlowRunFilter.model_validate(
                {"state": {"type": {"any_": ["COMPLETED"]}}, "start_time": {"after_": this.expected_start_time}}
            ),
            limit=1,
        )
    if not done:
        return None
    night = f"{this.expected_start_time:%Y-%m-%d %H:%M} UTC"
    return Cancelled(name="Skipped", message=f"the run of {night} is late, and {done[0].name} was started after it")
