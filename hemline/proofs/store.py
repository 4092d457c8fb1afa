"""What training relies on, proved on this machine and kept until something changes that it depends on.

    text, seconds = Proofs(artifacts / "proofs", device).obtain("parity-default", "hemline.proofs.parity", prove)

A proof holds for its surroundings (package versions, device, kernel settings, TensorFlow's and Keras's global
settings) and for the code of the module that proves it, with what that imports.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from hemline.errors import StorageError
from hemline.runtime.code import digest_of
from hemline.runtime.devices import DeviceInfo
from hemline.runtime.provenance import package_versions
from hemline.storage.files import write_json

log = logging.getLogger(__name__)


class KeptProof(BaseModel):
    """The file of a proof: what was proved, as text, and what it holds for."""

    made: datetime
    surroundings: dict[str, Any]
    code: str  # digest of the code that proved it
    digest: str  # SHA-256 of the text
    text: str


class Proofs:
    """The proofs of one device. directory: where they are kept, a file for each name and surroundings."""

    def __init__(self, directory: Path, device: DeviceInfo):
        self._directory, self._device = directory, device.name
        self._surroundings = _surroundings(device)

    def obtain(self, name: str, module: str, prove: Callable[[], tuple[str, bool]]) -> tuple[str, float | None]:
        """The text of the earlier proof, or of a new one and the seconds that it took.

        name: of its file. module: that proves it. prove: gives the text, and whether it holds: it is kept if it does.
        """
        import tensorflow as tf

        code = digest_of(module)
        if kept := self._find(name, code):
            log.info("nothing has changed since %s was proved at %s", name, f"{kept.made:%F %H:%M} UTC")
            return kept.text, None
        log.info("%s is being proved, which takes some seconds", name)
        began = time.perf_counter()
        with tf.device(self._device):
            text, holds = prove()
        seconds = time.perf_counter() - began
        if holds:
            log.info("%s is proved, in %.1f s", name, seconds)
            self._keep(name, code, text)
        return text, seconds

    def forget(self) -> None:
        """Removes every proof for these surroundings: what is about to be proved may not hold any more."""
        for path in self._directory.glob(self._path("*").name):
            path.unlink(missing_ok=True)

    def _find(self, name: str, code: str) -> KeptProof | None:
        """The proof as it is kept, if it is whole and nothing has changed since."""
        path = self._path(name)
        try:
            kept = KeptProof.model_validate_json(path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:  # not UTF-8, not JSON or not a proof
            log.warning("%s is proved again: %s cannot be read: %s", name, path, error)
            return None
        if kept.surroundings != self._surroundings or kept.digest != _digest(kept.text):
            log.warning("%s is proved again: %s was changed", name, path)
            return None
        if kept.code != code:
            log.info("%s is proved again: its code has changed", name)
            return None
        return kept

    def _keep(self, name: str, code: str, text: str) -> None:
        """A directory that cannot be written costs time, not the run."""
        made, digest = datetime.now(UTC), _digest(text)
        kept = KeptProof(made=made, surroundings=self._surroundings, code=code, digest=digest, text=text)
        try:
            write_json(self._path(name), kept.model_dump(mode="json"))
        except (OSError, StorageError) as error:
            log.warning("%s will be proved again by the next run: %s", name, error)

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}-{_digest(json.dumps(self._surroundings, sort_keys=True))[:16]}.json"


def _surroundings(device: DeviceInfo) -> dict[str, Any]:
    """Everything besides the code that could make a proof fail."""
    import keras
    import tensorflow as tf

    return {
        "packages": package_versions() | {"ml_dtypes": version("ml_dtypes")},
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
