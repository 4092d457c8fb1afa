"""Retrains the classifier: verified data and layers in, a published model version out.

    hemline retrain --epochs 5                          # here and now
    prefect deployment run 'retrain/smoke' --watch      # on a worker

Everything a run writes is described in artifacts/README.md.
"""

import os

from prefect import flow, runtime
from prefect.states import Completed

from flows.approval import ask
from flows.attempt import working_on
from flows.names import dated
from flows.nights import made_up_for
from flows.places import confine
from hemline.config.retrain import RetrainConfig
from hemline.proofs.questions import RELIED_ON
from hemline.records.run import Outcome, published_epoch
from hemline.registry.champion import Registry
from hemline.registry.tracking import track
from hemline.runtime.cluster import place, unintroduced
from hemline.runtime.native_log import noise_in
from hemline.storage.files import write_json
from hemline.storage.runs import CLUSTERS, RUNS, TRAINED, open_run
from tasks.check_data import check_data
from tasks.check_model import check_model
from tasks.compare import unchanged
from tasks.evaluate import evaluate
from tasks.join import join
from tasks.preflight import preflight
from tasks.prepare_dataset import at_hand, prepare_dataset
from tasks.production import show_after, shown_in_the_end
from tasks.promote import promote
from tasks.publish import publish
from tasks.report import report
from tasks.train import train
from tasks.verify_claims import verify_claims
from tasks.verify_layers import verify_layers


@flow(
    name="retrain",
    flow_run_name=dated(lambda config: (config.title,)),
    result_serializer="json",
    on_crashed=[show_after],
    on_cancellation=[show_after],
)
def retrain(config: RetrainConfig = {}) -> Outcome | None:  # type: ignore[assignment]  # noqa: B006  of a RetrainConfig() the UI's form would send every field
    """Retrain the image classifier, publish it as a model version, and promote it if it is better.

    Its final state is the verdict: *Promoted*, *Kept*, *Needs approval*, or *Unchanged* if there was nothing to train.

    While it trains, its artifact `training` grows; afterwards `report` has all of it. A run that fails or is cancelled
    goes on from its newest checkpoint by *Retry*. Read on in `docs/use.md` and `docs/operate.md`.
    """
    places = {"data_dir": config.data_dir, "manual_dir": config.manual_dir, "resume": config.resume_path}
    confine(artifacts_dir=config.artifacts_dir, dataset=config.folder, **places)
    this = runtime.flow_run
    if skipped := made_up_for():  # only of several late nights
        return skipped  # type: ignore[return-value]  # Prefect takes it for the run's state, and its data for the result
    config = config.of_night(this.scheduled_start_time)
    worker, _ = place(tf_config := os.environ.get("TF_CONFIG"))
    directory = open_run(config, this.scheduled_start_time, str(this.id), CLUSTERS if worker else RUNS)
    log = noise_in(directory / "run.log", loggers=("absl", "tensorflow"), copied=("prefect", "hemline"))
    with log, shown_in_the_end(config), working_on(directory, config.attempts):
        if unintroduced(tf_config):
            join()
        selected = preflight(config)
        on_disk = at_hand(config, directory)
        if same := unchanged(config, on_disk, selected, directory):
            return same  # type: ignore[return-value]
        device = check_model(config, selected, on_disk)
        dataset = prepare_dataset(config, on_disk, directory, wait_for=[device])
        if on_disk is None and (same := unchanged(config, dataset, device, directory)):  # decoded anew, to the same
            return same  # type: ignore[return-value]
        found = check_data(config, dataset, device, directory)
        parity = verify_layers(device, config.proofs_path, directory)
        claims = verify_claims(device, config.proofs_path, only=tuple(RELIED_ON))
        trained = train(config, dataset, device, directory, wait_for=[found, parity, claims])
        if device.worker > 0:  # every worker has trained the same model; the first one publishes it
            return None
        if config.only_train:
            sentence = f"validation accuracy {published_epoch(config, trained.epochs)['val_accuracy']:.4f}"
            write_json(directory / TRAINED, {"sentence": sentence})
            return Completed(name="Trained", message=sentence)  # type: ignore[return-value]
        evaluation = evaluate(trained)
        version = publish(config, parity, trained, evaluation)
        decision = promote(config, version, found.doubts)
        if decision.verdict == "needs approval" and config.gate.promotion == "manual" and runtime.deployment.id:
            decision = ask(decision, Registry(config.artifacts_path, config.name), config.gate.approval_hours)
        report(version, decision)
        track(version, decision)  # in MLflow, if the machine is set up for it
        outcome = Outcome(version=version, decision=decision)
        return Completed(name=decision.verdict.capitalize(), message=decision.sentence, data=outcome)  # type: ignore[return-value]
