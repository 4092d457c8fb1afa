"""Everything that can be refused in seconds, before a night is spent on it: device = preflight(config)."""

from prefect import get_run_logger

from hemline.config.retrain import RetrainConfig
from hemline.registry.champion import Registry
from hemline.registry.signatures import check_keys
from hemline.runtime.compile_cache import use_compile_cache
from hemline.runtime.devices import DeviceInfo, select, set_up
from tasks.step import step


@step("preflight", timeout_seconds=300)
def preflight(config: RetrainConfig) -> DeviceInfo:
    """The device to train on. Raises a HemlineError if device, model, data set, ledger or keys cannot work."""
    Registry(config.artifacts_path, config.name).champion()  # without which nothing can be published or compared
    check_keys()
    use_compile_cache(config.programs_path)  # first: from here on TensorFlow is imported
    device = select(config.device, config.replicas, config.batch_size)
    set_up(device)

    from hemline.data.decoding import examples_of
    from hemline.training.run import check_model

    examples = examples_of(config.data)
    device = check_model(config, device, examples.image_shape, len(examples.class_names))
    log = get_run_logger()
    log.info("device: %s, %s, XLA %s", device.kind, device.description, device.settings["xla"])
    if device.kind == "cpu" and config.precision != "float32":
        log.warning("precision %s is emulated on a CPU: right, but slower than float32", config.precision)
    return device
