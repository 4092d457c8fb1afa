"""The device or devices a run computes on, and the settings that change its bits.

    device = select("gpu")              # DeviceError at once if TensorFlow sees none; changes nothing
    set_up(device)                      # once, before TensorFlow computes anything
    with scope(device): ...             # variables made inside belong to all replicas

One device; `replicas` of one machine (MirroredStrategy); or the workers named in TF_CONFIG, each of which runs the same
flow (MultiWorkerMirroredStrategy; flows/cluster.py starts them). Tests run on no real GPU: on made-up devices, logical
CPUs and two processes.
"""

import functools
import os
import platform
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from hemline.config.fields import Device
from hemline.errors import DeviceError
from hemline.runtime.cluster import place
from hemline.runtime.quick_import import import_tensorflow

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


# Without one of these no process of Linux has a GPU: NVIDIA's driver, the one of WSL, AMD's.
GPU_NODES = [Path("/dev/nvidiactl"), Path("/dev/dxg"), Path("/dev/kfd")]


class DeviceInfo(BaseModel):
    """What computed."""

    name: str  # TensorFlow's, e.g. '/GPU:0'
    kind: str  # 'cpu' or 'gpu'
    description: str
    settings: dict[str, str]  # what changes the bits of a result besides seed and versions
    replicas: int = 1  # devices of this machine
    workers: int = 1  # machines
    worker: int = 0  # which of them this is; 0 evaluates and publishes

    def computing(self, model: "keras.Model") -> "DeviceInfo":
        """The same with the settings that hold for this model."""
        return self.model_copy(update={"settings": self.settings | {"xla": "on" if under_xla(model) else "off"}})


def select(wanted: Device, replicas: int = 1, batch_size: int | None = None) -> DeviceInfo:
    """The device to use; changes nothing. batch_size: what the replicas share."""
    worker, workers = place(os.environ.get("TF_CONFIG"))
    shares = replicas * workers
    _check_shares(replicas, workers, batch_size)
    if gpu := _gpu(replicas, required=wanted == "gpu") if wanted != "cpu" else None:
        name, kind, description = "/GPU:0", "gpu", gpu
    else:
        name, kind, description = "/CPU:0", "cpu", _cpu_model()
    settings = {
        "xla": "on",
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "cpus": str(os.cpu_count()),
        "workers": str(workers),
    }
    shown = description if shares == 1 else f"{shares} times {description}"
    return DeviceInfo(
        name=name, kind=kind, description=shown, settings=settings, replicas=replicas, workers=workers, worker=worker
    )


def _gpu(replicas: int, required: bool) -> str | None:
    """The first GPU's name; None if there is none and none is required. Imports TensorFlow only if there may be one."""
    if not required and sys.platform == "linux" and not any(node.exists() for node in GPU_NODES):
        return None
    import_tensorflow()
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if required and not gpus:
        seen = ", ".join(device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices())
        raise DeviceError(
            "device 'gpu' needs a GPU that TensorFlow can see. "
            f"Received: device='gpu', TensorFlow {tf.__version__} sees {seen}; built with CUDA: "
            f"{tf.test.is_built_with_cuda()}; CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES', 'unset')}. "
            "Check nvidia-smi, install the extra with `pip install -e .[gpu]`, or set device to 'auto' or 'cpu'."
        )
    if gpus and replicas > len(gpus):
        raise DeviceError(
            f"replicas must be <= the GPUs there are. Received: replicas={replicas} with {len(gpus)}. Lower replicas."
        )
    return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else None


def set_up(device: DeviceInfo) -> None:
    """Makes this process ready for the device, before TensorFlow computes anything. Doing it again changes nothing."""
    import_tensorflow()
    import tensorflow as tf

    if os.environ.get("TF_CONFIG") == "":
        del os.environ["TF_CONFIG"]  # which TensorFlow would read as JSON
    if device.kind == "gpu":
        for gpu in tf.config.list_physical_devices("GPU"):  # all: TensorFlow refuses memory growth for only some
            if not tf.config.experimental.get_memory_growth(gpu):
                tf.config.experimental.set_memory_growth(gpu, True)
    elif device.replicas > 1:
        _divide_cpu(device.replicas)
    _strategy(device.kind, device.replicas, device.workers)


def scope(device: DeviceInfo) -> AbstractContextManager[Any]:
    """Where to make, train and save a model: on the device, or mirrored on all of them."""
    import tensorflow as tf

    strategy = _strategy(device.kind, device.replicas, device.workers)
    return strategy.scope() if strategy else tf.device(device.name)


def under_xla(model: "keras.Model") -> bool:
    """Whether XLA is to compile what this model computes in the present scope: but for convolutions on a CPU.

    There XLA does not get done with compiling them (100 s and more), and TensorFlow's own loop runs oneDNN's.
    """
    import tensorflow as tf

    if tf.DeviceSpec.from_string(tf.zeros([]).device).device_type != "CPU":
        return True
    specs = [tf.TensorSpec(images.shape, images.dtype) for images in model.inputs]
    forward = tf.function(lambda x: model(x, training=False), autograph=False)
    graph = forward.get_concrete_function(*specs).graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return not any("Conv" in node.op for node in nodes)  # e.g. Conv2D, DepthwiseConv2dNative, also a layer's own


def smallest(value: int) -> int:
    """The smallest value that any worker calls this with, inside `scope`."""
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    if strategy.num_replicas_in_sync == 1:
        return value
    values = strategy.run(lambda: tf.constant([value], tf.int64))
    return int(tf.reduce_min(strategy.gather(values, axis=0)))


@functools.cache  # two strategies of one process would wait for each other
def _strategy(kind: str, replicas: int, workers: int) -> "tf.distribute.Strategy | None":
    import tensorflow as tf

    if workers > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if replicas > 1:
        return tf.distribute.MirroredStrategy([f"/{kind.upper()}:{number}" for number in range(replicas)])
    return None


def _divide_cpu(replicas: int) -> None:
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    parts = tf.config.get_logical_device_configuration(cpu) or [None]
    if len(parts) >= replicas:
        return
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    except RuntimeError as error:
        raise DeviceError(
            "a CPU can be divided only before TensorFlow computes. "
            f"Received: replicas={replicas} in a process with {len(parts)}. Start a new process."
        ) from error


def _check_shares(replicas: int, workers: int, batch_size: int | None) -> None:
    shares = replicas * workers
    if replicas > 1 and workers > 1:
        raise DeviceError(
            "workers share batches by themselves, so replicas must be 1 where TF_CONFIG names several. "
            f"Received: replicas={replicas}, {workers} workers. Remove one of the two."
        )
    if batch_size is not None and batch_size % shares:
        raise DeviceError(
            f"every replica takes an equal share of a batch. Received: batch_size={batch_size} for {shares} replicas. "
            f"Set batch_size to {-(-batch_size // shares) * shares}, or change replicas."
        )


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
