"""The model, before data is fetched and a night is spent on it: device = check_model(config, device, on_disk)."""

from prefect import get_run_logger

from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import DatasetRef
from hemline.runtime.devices import DeviceInfo, set_up
from tasks.step import step


@step("check-model", timeout_seconds=300)
def check_model(config: RetrainConfig, device: DeviceInfo, on_disk: DatasetRef | None) -> DeviceInfo:
    """The device as it computes this model. Raises a HemlineError if the model or the data set cannot be used.

    on_disk: the data, if it need not be prepared. What it was made of may be on another machine.
    """
    set_up(device)

    from hemline.data.decoding import examples_of
    from hemline.training import run

    examples = on_disk or examples_of(config.data)
    device = run.check_model(config, device, examples.image_shape, len(examples.class_names))
    log = get_run_logger()
    log.info("device: %s, %s, XLA %s", device.kind, device.description, device.settings["xla"])
    if device.kind == "cpu" and config.precision != "float32":
        log.warning("precision %s is emulated on a CPU: right, but slower than float32", config.precision)
    return device
