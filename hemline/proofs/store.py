"""What has been proved on this machine, kept until something changes that it depends on.

    proofs = Proofs(artifacts / "proofs", device)
    if earlier := proofs.find("parity-default", "hemline.proofs.parity"):
        earlier.text, earlier.made          # as it was kept, and when
    else:
        proofs.keep("parity-default", "hemline.proofs.parity", text)

A proof holds for its surroundings (package versions, device, kernel settings, TensorFlow's and Keras's global
settings) and for the code of the module that proves it, with what that imports. If any of them differs, there is no
proof.
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
from hemline.runtime.code import digest_of
from hemline.runtime.devices import DeviceInfo
from hemline.runtime.provenance import package_versions
from hemline.storage.files import write_json

log = logging.getLogger(__name__)


class KeptProof(BaseModel):
    """What was proved, as text, and what it holds for."""

    made: datetime
    surroundings: dict[str, Any]
    code: str  # digest of the code that proved it
    digest: str  # SHA-256 of the text
    text: str


class Proofs:
    """The proofs of one device. directory: where they are kept, a file for each name and surroundings."""

    def __init__(self, directory: Path, device: DeviceInfo):
        self.device = device
        self._directory = directory
        self._surroundings = _surroundings(device)

    def find(self, name: str, module: str) -> KeptProof | None:
        """The proof of this name if there is one, it is whole, and the code of the module is as it was."""
        path = self._path(name)
        try:
            proof = KeptProof.model_validate_json(path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError, UnicodeDecodeError) as error:
            log.warning("%s is proved again: %s cannot be read: %s", name, path, error)
            return None
        if proof.surroundings != self._surroundings or proof.digest != _digest(proof.text):
            log.warning("%s is proved again: %s was changed", name, path)
            return None
        if proof.code != digest_of(module):
            log.info("%s is proved again: its code has changed", name)
            return None
        return proof

    def keep(self, name: str, module: str, text: str) -> None:
        """Keeps the text of what the module has proved. A directory that cannot be written costs time, not the run."""
        proof = KeptProof(
            made=datetime.now(UTC),
            surroundings=self._surroundings,
            code=digest_of(module),
            digest=_digest(text),
            text=text,
        )
        try:
            write_json(self._path(name), proof.model_dump(mode="json"))
        except (OSError, StorageError) as error:
            log.warning("%s will be proved again by the next run: %s", name, error)

    def forget(self) -> None:
        """Removes every proof for these surroundings: what is about to be proved may not hold any more."""
        for path in self._directory.glob(self._path("*").name):
            path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}-{_digest(json.dumps(self._surroundings, sort_keys=True))[:16]}.json"


def _surroundings(device: DeviceInfo) -> dict[str, Any]:
    """Everything besides the code that could make a proof fail."""
    import keras
    import tensorflow as tf

    return {
        "versions": package_versions() | {"ml_dtypes": version("ml_dtypes")},
        "cuda": {name: str(value) for name, value in tf.sysconfig.get_build_info().items() if "version" in name},
        "tf32_override": os.environ.get("NVIDIA_TF32_OVERRIDE", ""),
        "device": device.model_dump(include={"name", "kind", "description", "settings"}),
        "run_functions_eagerly": tf.config.functions_run_eagerly(),
        "deterministic_ops": os.environ.get("TF_DETERMINISTIC_OPS", ""),
        "tensor_float_32": tf.config.experimental.tensor_float_32_execution_enabled(),
        "floatx": keras.config.floatx(),
        "dtype_policy": keras.config.dtype_policy().name,
        "backend": keras.config.backend(),
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
