"""Removes old versions and runs, stale checkpoints, and what killed processes left.

    prefect deployment run 'prune/look'                         # says what would go, and how many bytes
    prefect deployment run 'prune/look' --param delete=true     # removes it

Never the champion, its predecessor, a protected version or a run that is being written. `hemline prune` does the
same without Prefect.
"""

from datetime import UTC, datetime

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact

from flows.names import dated
from flows.places import confine
from hemline.config.data import DataConfig
from hemline.config.fields import Place
from hemline.config.paths import artifacts_at, default_artifacts
from hemline.registry.prune import Retention, removable, remove, summary
from hemline.report.blocks import sentence
from tasks.live import in_ui
from tasks.production import show_production


@flow(
    name="prune",
    flow_run_name=dated(lambda name, delete, **_: ("prune" if delete else "prune look", name)),
    result_serializer="json",
)
def prune(
    retention: Retention = Retention(),  # noqa: B008  it is frozen
    delete: bool = False,
    name: str | None = None,
    artifacts_dir: Place | None = None,
) -> int:
    """Remove what is old; by default only say what would go. Returns bytes.

    Its artifact `pruned` has the list. Read on in `docs/gate-and-registry.md`.

    Args:
        retention: what is kept of each model's name
        delete: whether to remove it
        name: the model's; null for all
        artifacts_dir: directory of runs and models, as in the configuration of retrain
    """
    artifacts_dir = artifacts_dir or default_artifacts()
    confine(artifacts_dir=artifacts_dir)
    artifacts = artifacts_at(artifacts_dir)
    removals = removable(artifacts, DataConfig().data_path, retention, datetime.now(UTC), name)
    if delete:
        removals = remove(removals, artifacts)
    said = f"{'removed' if delete else 'would remove'} {summary(removals)}"
    get_run_logger().info(said)
    rows = [{"what": each.kind, **each.model_dump(mode="json", exclude={"kind"})} for each in removals]
    in_ui(create_table_artifact, key="pruned", table=rows or [{"what": "nothing"}], description=sentence(said))
    show_production(artifacts)
    return sum(each.bytes for each in removals)
