"""What can be refused at once: device = preflight(config)."""

from hemline.config.retrain import RetrainConfig
from hemline.registry.champion import Registry
from hemline.registry.signatures import check_keys
from hemline.runtime.compile_cache import use_compile_cache
from hemline.runtime.devices import DeviceInfo, select
from tasks.step import step


@step("preflight", timeout_seconds=300)
def preflight(config: RetrainConfig) -> DeviceInfo:
    """The device to train on. Raises a HemlineError if device, ledger or keys cannot work."""
    Registry(config.artifacts_path, config.name).champion()  # without which nothing can be published or compared
    check_keys()
    use_compile_cache(config.programs_path)  # first: from here on TensorFlow may be imported
    return select(config.device, config.replicas, config.batch_size)
