"""The device a run computes on, and the settings that change its bits.

    device = select("gpu")              # DeviceError at once if TensorFlow sees none
    with tf.device(device.name): ...

Not run by this project's tests: a real GPU. All but the device itself is tested with a list of
physical devices given by hand.
"""

import os
import platform
from pathlib import Path

from pydantic import BaseModel

from hemline.config import Device
from hemline.errors import DeviceError


class DeviceInfo(BaseModel):
    """What computed, as the manifest and the report name it."""

    name: str  # TensorFlow's, e.g. '/GPU:0'
    kind: str  # 'cpu' or 'gpu'
    description: str
    settings: dict[str, str]  # what changes the bits of a result besides seed and versions


def select(wanted: Device) -> DeviceInfo:
    """The device to use; memory growth is on for every GPU there is.

    'gpu' requires one, 'cpu' ignores it, 'auto' takes one if there is one.
    """
    import tensorflow as tf

    gpus = [] if wanted == "cpu" else tf.config.list_physical_devices("GPU")
    if wanted == "gpu" and not gpus:
        seen = ", ".join(device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices())
        raise DeviceError(
            "device 'gpu' needs a GPU that TensorFlow can see. "
            f"Received: device='gpu', TensorFlow {tf.__version__} sees {seen}; built with CUDA: "
            f"{tf.test.is_built_with_cuda()}; CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES', 'unset')}. "
            "Check nvidia-smi, install the extra with `pip install -e .[gpu]`, or set device to 'auto' or 'cpu'."
        )
    for gpu in gpus:
        if not tf.config.experimental.get_memory_growth(gpu):
            tf.config.experimental.set_memory_growth(gpu, True)
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        name, kind, description = "/GPU:0", "gpu", details.get("device_name", "GPU")
    else:
        name, kind, description = "/CPU:0", "cpu", _cpu_model()
    return DeviceInfo(name=name, kind=kind, description=description, settings=_settings())


def _settings() -> dict[str, str]:
    return {
        "xla": "on",
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "cpus": str(os.cpu_count()),
    }


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
