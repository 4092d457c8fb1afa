"""The run's result as a numbered model version, and its report in the UI.

    version = publish(config, dataset, device, parity, trained, evaluation)

The version is there for whoever serves models; the report for whoever wakes up and looks.
"""

from prefect import get_run_logger, runtime, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from hemline.config import RetrainConfig
from hemline.dataset import DatasetRef
from hemline.devices import DeviceInfo
from hemline.layout import models_directory
from hemline.record import Evaluation, FlowRun, ModelVersion, Parity, Record, TrainedRun, provenance


@task(name="publish", cache_policy=NO_CACHE, timeout_seconds=1800, result_serializer="json")
def publish(
    config: RetrainConfig,
    dataset: DatasetRef,
    device: DeviceInfo,
    parity: Parity,
    trained: TrainedRun,
    evaluation: Evaluation,
) -> ModelVersion:
    """Writes the version, report.html of the run and the report of the UI."""
    import pandas as pd

    from hemline import bundle, report
    from hemline.charts import learning_curves, parity_map
    from hemline.files import whole_file

    record = Record(
        config=config,
        dataset=dataset,
        device=device,
        parity=parity,
        epochs=trained.epochs,
        evaluation=evaluation,
        flow_run=FlowRun(id=str(runtime.flow_run.id), name=runtime.flow_run.name),
        fingerprint=dataset.fingerprint,
        **provenance(),
    )
    version = bundle.publish(models_directory(config.artifacts_path), record, trained.directory)
    picture = report.data_uri(learning_curves(pd.DataFrame(record.epochs)))
    parity_picture = report.data_uri(parity_map(pd.read_csv(trained.directory / "parity.csv")))
    title = f"{record.flow_run.name}: model {version.version}"
    text = report.markdown(record, title=title, picture=picture, parity=parity_picture)
    with whole_file(trained.directory / "report.html") as path:
        path.write_text(report.html(text))
    create_markdown_artifact(key="report", markdown=text, description=f"model {version.version}")
    get_run_logger().info("published model %s to %s", version.version, version.path)
    return version
