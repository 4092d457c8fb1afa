"""The run's result as a numbered model version.

    version = publish(config, parity, trained, evaluation)

A run that is retried publishes once.
"""

from prefect import get_run_logger, runtime

from hemline.config.retrain import RetrainConfig
from hemline.records.proofs import Parity
from hemline.records.run import Evaluation, FlowRun, ModelVersion, Record, TrainedRun
from hemline.runtime.provenance import provenance
from tasks.compare import identity
from tasks.step import step


@step("publish", timeout_seconds=1800)
def publish(config: RetrainConfig, parity: Parity, trained: TrainedRun, evaluation: Evaluation) -> ModelVersion:
    """Writes the version, unless this run did before it was killed."""
    from hemline.registry import versions

    artifacts, flow_run = config.artifacts_path, runtime.flow_run
    if earlier := versions.published_by(artifacts, config.name, trained.directory, str(flow_run.id)):
        get_run_logger().info("this run has published model %s already", earlier.title)
        return earlier
    record = Record(
        config=config,
        dataset=trained.dataset,
        device=trained.device,
        parity=parity,
        epochs=trained.epochs,
        evaluation=evaluation,
        flow_run=FlowRun(id=str(flow_run.id), name=flow_run.name),
        fingerprint=trained.dataset.fingerprint,
        identity=identity(config, trained.dataset, trained.device),
        **provenance(),
    )
    version = versions.publish(artifacts, record, trained.directory)
    get_run_logger().info("published model %s to %s", version.title, version.path)
    return version
