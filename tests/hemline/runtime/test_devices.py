"""Which device is chosen, with lists of devices given by hand."""

from pathlib import Path
from typing import NamedTuple

import pytest
import tensorflow as tf

from hemline.errors import DeviceError
from hemline.runtime.devices import select, set_up


class Physical(NamedTuple):
    name: str
    device_type: str


CPU = Physical("/physical_device:CPU:0", "CPU")
GPUS = [Physical("/physical_device:GPU:0", "GPU"), Physical("/physical_device:GPU:1", "GPU")]


class Machine:
    """The physical devices TensorFlow sees, and which of them grow their memory as needed."""

    def __init__(self, devices: list[Physical]):
        self.devices = devices
        self.growing: dict[Physical, bool] = {}

    def list_physical_devices(self, kind: str | None = None) -> list[Physical]:
        return [device for device in self.devices if kind in (None, device.device_type)]

    def get_memory_growth(self, device: Physical) -> bool:
        return self.growing.get(device, False)

    def set_memory_growth(self, device: Physical, enable: bool) -> None:
        self.growing[device] = enable

    def get_device_details(self, device: Physical) -> dict[str, str]:
        return {"device_name": f"Model of {device.name}"}


def machine(monkeypatch: pytest.MonkeyPatch, devices: list[Physical]) -> Machine:
    made = Machine(devices)
    monkeypatch.setattr(tf.config, "list_physical_devices", made.list_physical_devices)
    monkeypatch.setattr("hemline.runtime.devices.GPU_NODES", [Path("/dev/null")] if GPUS[0] in devices else [])
    for name in ("get_memory_growth", "set_memory_growth", "get_device_details"):
        monkeypatch.setattr(tf.config.experimental, name, getattr(made, name))
    return made


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return machine(monkeypatch, [CPU])


@pytest.fixture
def with_two_gpus(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return machine(monkeypatch, [CPU, *GPUS])


@pytest.mark.usefixtures("without_gpu")
def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    with pytest.raises(DeviceError) as caught:
        select("gpu")
    message = str(caught.value)
    assert message.startswith("device 'gpu' needs a GPU that TensorFlow can see. Received: device='gpu', ")
    assert f"TensorFlow {tf.__version__} sees CPU:0; built with CUDA: {tf.test.is_built_with_cuda()}; " in message
    assert "CUDA_VISIBLE_DEVICES=-1." in message
    assert message.endswith("or set device to 'auto' or 'cpu'.")


@pytest.mark.usefixtures("without_gpu")
def test_an_unset_variable_is_said_to_be_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(DeviceError, match="CUDA_VISIBLE_DEVICES=unset"):
        select("gpu")


@pytest.mark.usefixtures("without_gpu")
def test_auto_takes_the_cpu_where_there_is_no_gpu() -> None:
    device = select("auto")
    assert (device.name, device.kind) == ("/CPU:0", "cpu")
    assert device.description


@pytest.mark.parametrize("wanted", ["auto", "gpu"])
def test_the_first_gpu_is_taken_and_memory_grows_on_all(wanted: str, with_two_gpus: Machine) -> None:
    # TensorFlow refuses growth on some of them only.
    device = select(wanted)  # type: ignore[arg-type]
    assert with_two_gpus.growing == {}  # regression: looking changed the process
    set_up(device)
    assert (device.name, device.kind) == ("/GPU:0", "gpu")
    assert device.description == "Model of /physical_device:GPU:0"
    assert with_two_gpus.growing == dict.fromkeys(GPUS, True)


def test_growth_that_is_on_is_not_set_again(with_two_gpus: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    # Once TensorFlow has started, setting it raises.
    with_two_gpus.growing = dict.fromkeys(GPUS, True)
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda *args: pytest.fail("set again"))
    set_up(select("gpu"))


def test_cpu_leaves_the_gpus_alone(with_two_gpus: Machine) -> None:
    device = select("cpu")
    set_up(device)
    assert device.name == "/CPU:0"
    assert with_two_gpus.growing == {}


@pytest.mark.usefixtures("without_gpu")
def test_settings_that_change_bits_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    settings = select("cpu").settings
    assert settings["onednn"] == "0"
    assert settings["xla_flags"] == "--xla_cpu_enable_fast_math=false"
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    assert select("cpu").settings["onednn"] == "default"
