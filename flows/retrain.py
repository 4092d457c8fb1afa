"""Retrains the classifier: verified data and layers in, a published model version out.

    python -m flows.retrain --epochs 5                  # here and now, with an embedded Prefect
    prefect deployment run 'retrain/smoke' --watch      # on a worker

One flow run, one worker, one device. Everything a run writes is described in artifacts/README.md.
"""

import sys

from prefect import flow, runtime

from hemline.config import RetrainConfig
from hemline.errors import HemlineError
from hemline.layout import lease, open_run
from hemline.native_log import noise_in
from hemline.record import ModelVersion
from tasks.evaluate import evaluate
from tasks.preflight import preflight
from tasks.prepare_dataset import prepare_dataset
from tasks.publish import publish
from tasks.train import train
from tasks.verify_layers import verify_layers


@flow(name="retrain", flow_run_name="retrain-{config.dataset}-{config.epochs}-epochs", result_serializer="json")
def retrain(config: RetrainConfig = RetrainConfig()) -> ModelVersion | None:  # noqa: B008  it is frozen
    """Retrain the image classifier and publish it as a model version."""
    this = runtime.flow_run
    directory = open_run(config, this.scheduled_start_time, this.name, str(this.id))
    log = noise_in(directory / "run.log", loggers=("absl", "tensorflow"), copied=("prefect", "hemline"))
    with lease(directory), log:
        device = preflight(config)
        dataset = prepare_dataset(config, directory)
        parity = verify_layers(device, directory)
        trained = train(config, dataset, device, directory)
        if device.worker > 0:  # every worker has trained the same model; the first one publishes it
            return None
        evaluation = evaluate(dataset, device, trained)
        return publish(config, dataset, device, parity, trained, evaluation)


def main() -> None:
    """The flow from the command line: options are the fields of the configuration."""
    from flows.terminal import connect, quiet_refusals, summary
    from hemline.options import parse

    config = parse(RetrainConfig, "python -m flows.retrain", __doc__.partition("\n")[0], sys.argv[1:])
    connect()
    quiet_refusals()
    try:
        version = retrain(config)
    except KeyboardInterrupt:
        raise SystemExit("\nInterrupted. What was written is whole; README.md says how to go on.") from None
    except HemlineError as error:
        raise SystemExit(f"\n{type(error).__name__}: {error}") from None
    if version:
        print(summary(version))


if __name__ == "__main__":
    main()
