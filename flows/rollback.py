"""Makes an earlier model version the champion again.

    prefect deployment run 'rollback/champion' --param reason="shirts are not recognised any more"
    prefect deployment run 'rollback/champion' --param name=fashion_mnist --param to=7 --param reason="..."

The version is verified before the alias moves, and the ledger keeps the reason. `hemline rollback` does the same
without Prefect.
"""

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact

from flows.names import dated
from flows.places import confine
from hemline.config.fields import Place
from hemline.config.paths import artifacts_at, default_artifacts
from hemline.registry.champion import registry_of
from hemline.report.blocks import sentence
from tasks.live import in_ui
from tasks.production import show_production
from tasks.promote import this_run


@flow(name="rollback", flow_run_name=dated(lambda name, **_: ("rollback", name)), result_serializer="json")
def rollback(reason: str, to: str | None = None, name: str | None = None, artifacts_dir: Place | None = None) -> str:
    """Make an earlier version the champion again.

    The version is verified first, and the ledger keeps the reason. Read on in `docs/gate-and-registry.md`.

    Args:
        reason: why, in a sentence; it is written into the ledger
        to: the version, e.g. 7, which must be a former champion; null takes the one before the present one
        name: the model's; may be left out where there is one alone
        artifacts_dir: directory of runs and models, as in the configuration of retrain
    """
    artifacts_dir = artifacts_dir or default_artifacts()
    confine(artifacts_dir=artifacts_dir)
    registry = registry_of(artifacts_at(artifacts_dir), name)
    # A run that was killed after its line was written, and is retried, must not go back twice.
    done = [entry for entry in registry.entries() if (entry.decision, entry.by) == ("rolled back", this_run())]
    entry = done[0] if done else registry.rollback(this_run(), reason, to)
    said = f"rolled back {registry.name} from {entry.champion_before} to {entry.champion_after}: {reason}"
    get_run_logger().info(said)
    in_ui(create_markdown_artifact, key="decision", markdown=sentence(said), description=sentence(said))
    show_production(registry.artifacts, registry.name)
    return str(entry.champion_after)
