"""A published version in MLflow too, for those who look there: with the extra `mlflow` and MLFLOW_TRACKING_URI set.

    track(version, decision)        # at the end of a run; again after a crash adds nothing

MLflow's run has the configuration, the metrics of every epoch and the version's files; the registered model
`hemline-<name>` has the version, with Hemline's champion under the alias `champion`. What MLflow downloads, Hemline
verifies:

    hemline.load(mlflow.artifacts.download_artifacts("models:/hemline-fashion_mnist@champion"))

MLflow runs in a process of its own, which is killed after SECONDS: down, slow or broken, it costs a run no more than
that and a warning. Its settings and its 4 s of import stay there.
"""

import importlib.util
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hemline.config.nested import flat
from hemline.records.run import Decision, ModelVersion
from hemline.registry.catalogue import metrics
from hemline.registry.versions import MANIFEST, Manifest, verify
from hemline.storage.files import sha256_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

log = logging.getLogger(__name__)

ADDRESS = "MLFLOW_TRACKING_URI"
SECONDS = 120  # for everything
SETTINGS = {  # of MLflow, for our process alone
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds; 120 by default
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # 7 by default, with waits that double
    "MLFLOW_DISABLE_TELEMETRY": "true",  # it does not take DO_NOT_TRACK=1 for a yes
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
NAME = "hemline"  # of the experiment, unless MLFLOW_EXPERIMENT_NAME says another; registered models' begin with it
DIRECTORY = "version"  # of the version's files among the artifacts of MLflow's run
KEY, VALUE, BATCH = 250, 6000, 100  # MLflow's limits: characters of a key and of a parameter, parameters a call


def track(version: ModelVersion, decision: Decision) -> None:
    """Writes a version, and who is the champion after the decision, to MLflow. Never fails."""
    address = os.environ.get(ADDRESS)
    if not address:
        return
    if importlib.util.find_spec("mlflow") is None:
        log.warning("%s is set, but MLflow is not installed: pip install 'hemline[mlflow]'", ADDRESS)
        return
    champion = decision.challenger if decision.verdict == "promoted" else decision.champion
    command = [sys.executable, "-m", "hemline.registry.tracking", str(version.path), champion or ""]
    env = os.environ | SETTINGS
    try:
        subprocess.run(command, env=env, capture_output=True, errors="replace", check=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        reason = f"it took longer than {SECONDS:g} s"
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1]
    except OSError as error:
        reason = str(error)
    else:
        log.info("model %s is in MLflow", version.title)
        return
    # The address may have a password in it.
    log.warning("model %s is not, or not all, in MLflow: %s", version.title, reason.replace(address, f"${ADDRESS}"))


def send(client: "MlflowClient", path: Path, champion: str | None) -> None:
    """What `track` does, in the process that may be killed. Everything can be done again."""
    manifest = verify(path)
    run = _run(client, manifest)
    if run.info.status != "FINISHED":
        _log(client, run.info.run_id, manifest)
        client.log_artifacts(run.info.run_id, str(path), DIRECTORY)
        client.set_terminated(run.info.run_id)
    name = f"{NAME}-{manifest.config.name}"
    _register(client, run, name, manifest.version, sha256_of(path / MANIFEST))
    # The champion may have changed by a person's hand since the last run.
    numbers = [v.version for v in _registered(client, name) if v.tags.get("hemline.version") == champion]
    if numbers:
        client.set_registered_model_alias(name, "champion", max(numbers, key=int))


def _run(client: "MlflowClient", manifest: Manifest) -> "Run":
    """The run of this flow run, made now if it is not there."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or NAME
    experiment = client.get_experiment_by_name(name)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(name)
    found = client.search_runs([experiment_id], f"tags.`hemline.flow_run` = '{manifest.flow_run.id}'")
    if found:
        return found[0]
    tags = {
        "hemline.flow_run": manifest.flow_run.id,
        "hemline.name": manifest.config.name,
        "hemline.version": manifest.version,
        "hemline.fingerprint": manifest.fingerprint,
        "mlflow.source.git.commit": manifest.git_commit or "",
        "mlflow.source.name": "hemline",
    }
    return client.create_run(experiment_id, _moment(manifest), tags, manifest.flow_run.name)


def _log(client: "MlflowClient", run_id: str, manifest: Manifest) -> None:
    from mlflow.entities import Metric, Param

    configuration = flat(manifest.config.model_dump(mode="json"))
    by_key = {_key(name): str(value)[:VALUE] for name, value in configuration.items()}  # a key twice is refused
    params = [Param(*pair) for pair in by_key.items()]
    values = [(int(row["epoch"]), *pair) for row in manifest.epochs for pair in row.items() if pair[0] != "epoch"]
    values += [(len(manifest.epochs), *pair) for pair in metrics([], manifest.evaluation).items()]
    points = [Metric(_key(name), value, _moment(manifest), step) for step, name, value in values]
    for start in range(0, max(len(params), len(points)), BATCH):
        batch = slice(start, start + BATCH)
        client.log_batch(run_id, params=params[batch], metrics=points[batch])


def _register(client: "MlflowClient", run: "Run", name: str, version: str, digest: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    if not any(known.tags.get("hemline.manifest") == digest for known in _registered(client, name)):
        tags = {"hemline.version": version, "hemline.manifest": digest}
        client.create_model_version(name, f"{run.info.artifact_uri}/{DIRECTORY}", run.info.run_id, tags=tags)


def _registered(client: "MlflowClient", name: str) -> list[Any]:
    return list(client.search_model_versions(f"name = '{name}'"))


def _key(name: str) -> str:
    """A name as MLflow takes it; where it is too long, its end says more."""
    return re.sub(r"[^\w\-. :]", "_", name)[-KEY:]


def _moment(manifest: Manifest) -> int:
    """In milliseconds; the same for the same version: MLflow keeps equal values once."""
    return int(manifest.created.timestamp() * 1000)


if __name__ == "__main__":
    from mlflow import MlflowClient

    send(MlflowClient(), Path(sys.argv[1]), sys.argv[2] or None)
