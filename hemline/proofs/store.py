"""What a gate has proved, kept for as long as nothing changes that it depends on.

    proofs = Proofs(artifacts / "proofs", device)
    if earlier := proofs.find("parity"):
        earlier.text, earlier.made          # as it was kept, and when
    else:
        proofs.keep("parity", text)         # only what has passed

A proof holds for its surroundings: package versions, device, kernel settings, TensorFlow's and Keras's global
settings, and every line of this package. Any of them differs, and there is no proof.
"""

import hashlib
import json
import logging
import os
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from hemline.errors import StorageError
from hemline.runtime.devices import DeviceInfo
from hemline.runtime.provenance import package_versions
from hemline.storage.files import write_json

log = logging.getLogger(__name__)


class Proof(BaseModel):
    """A gate's table, as text, and what it holds for."""

    made: datetime
    surroundings: dict[str, Any]
    digest: str  # SHA-256 of the text
    text: str


class Proofs:
    """The proofs of one machine. directory: where they are kept, a file for each gate and surroundings."""

    def __init__(self, directory: Path, device: DeviceInfo):
        self._directory = directory
        self._surroundings = surroundings(device)

    def find(self, gate: str) -> Proof | None:
        """The proof of a gate for these surroundings, if there is one and it is whole."""
        path = self._path(gate)
        try:
            proof = Proof.model_validate_json(path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError, UnicodeDecodeError) as error:
            log.warning("%s is proved again: %s cannot be read: %s", gate, path, error)
            return None
        if proof.surroundings != self._surroundings or proof.digest != _digest(proof.text):
            log.warning("%s is proved again: %s was changed", gate, path)
            return None
        return proof

    def keep(self, gate: str, text: str, now: datetime | None = None) -> None:
        """Keeps the text of a gate that was passed. A directory that cannot be written costs time, not the run."""
        made = now or datetime.now(UTC)
        proof = Proof(made=made, surroundings=self._surroundings, digest=_digest(text), text=text)
        try:
            write_json(self._path(gate), proof.model_dump(mode="json"))
        except (OSError, StorageError) as error:
            log.warning("%s will be proved again by the next run: %s", gate, error)

    def forget(self) -> None:
        """Removes every proof for these surroundings: what is about to be proved may not hold any more."""
        for path in self._directory.glob(self._path("*").name):
            path.unlink(missing_ok=True)

    def _path(self, gate: str) -> Path:
        return self._directory / f"{gate}-{_digest(json.dumps(self._surroundings, sort_keys=True))[:16]}.json"


def surroundings(device: DeviceInfo) -> dict[str, Any]:
    """Everything that could make a gate answer otherwise."""
    import keras
    import tensorflow as tf

    sources = sorted(Path(__file__).parent.glob("*.py"))
    return {
        "versions": package_versions() | {"ml_dtypes": version("ml_dtypes")},
        "cuda": {name: str(value) for name, value in tf.sysconfig.get_build_info().items() if "version" in name},
        "tf32_override": os.environ.get("NVIDIA_TF32_OVERRIDE", ""),
        "device": device.model_dump(include={"name", "kind", "description", "settings"}),
        "code": _digest("".join(_digest(path.read_text()) for path in sources)),
        "run_functions_eagerly": tf.config.functions_run_eagerly(),
        "deterministic_ops": os.environ.get("TF_DETERMINISTIC_OPS", ""),
        "tensor_float_32": tf.config.experimental.tensor_float_32_execution_enabled(),
        "floatx": keras.config.floatx(),
        "dtype_policy": keras.config.dtype_policy().name,
        "backend": keras.config.backend(),
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
