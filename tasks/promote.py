"""The gate: the new version against the champion on the same examples, and one sentence of reason.

    decision = promote(config, version, found.doubts)
    decision.sentence       # 'kept fashion_mnist 7: challenger 8 is 0.12 points better, 95 % interval ...'

The decision is in the ledger before it is shown.
"""

from prefect import get_run_logger, runtime
from prefect.artifacts import create_markdown_artifact

from hemline.config.retrain import RetrainConfig
from hemline.records.decider import by_run
from hemline.records.run import Decision, ModelVersion
from hemline.report.blocks import sentence
from hemline.report.markdown import decision_markdown
from tasks.live import in_ui
from tasks.step import step


@step("promote", timeout_seconds=1800)
def promote(config: RetrainConfig, version: ModelVersion, doubts: list[str]) -> Decision:
    """Judges the version, and makes it the champion if it passes. doubts: about the data, for a person."""
    from hemline.gate.judging import answers_on, judge
    from hemline.registry.champion import Registry

    registry = Registry(config.artifacts_path, config.name)
    decision = judge(
        registry, version.version, version.dataset, config.gate, this_run(), answers_on(version.device), doubts
    )
    show(decision)
    return decision


def this_run() -> str:
    """The flow run, as the ledger names it."""
    return by_run(runtime.flow_run.name, runtime.flow_run.id)


def show(decision: Decision) -> None:
    """In the log and in the UI."""
    get_run_logger().info(decision.sentence)
    in_ui(
        create_markdown_artifact,
        key="decision",
        markdown=decision_markdown(decision),
        description=sentence(decision.sentence),
    )
