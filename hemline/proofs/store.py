"""What training relies on, proved on this machine and kept until something changes that it depends on.

    proof = Proof("parity-default", "hemline.proofs.parity", prove=compare, holds=..., require=require, ...)
    table, seconds = Proofs(artifacts / "proofs", device).obtain(proof, show)

A proof holds for its surroundings (package versions, device, kernel settings, TensorFlow's and Keras's global
settings) and for the code of the module that proves it, with what that imports. If any of them differs, there is no
proof.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from hemline.errors import StorageError
from hemline.runtime.code import digest_of
from hemline.runtime.devices import DeviceInfo
from hemline.runtime.provenance import package_versions
from hemline.storage.files import write_json

Result = TypeVar("Result")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Proof(Generic[Result]):
    """What is proved, and how its result is written."""

    name: str  # of its file
    module: str  # that proves it, as 'hemline.proofs.parity'
    prove: Callable[[], Result]
    holds: Callable[[Result], bool]
    require: Callable[[Result], None]  # raises an error with the facts if training cannot rely on the result
    dump: Callable[[Result], str]
    load: Callable[[str], Result]


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

    def obtain(
        self, proof: Proof[Result], show: Callable[[Result, str], None], required: bool = True
    ) -> tuple[Result, float | None]:
        """The result of the earlier proof, or of a new one and the seconds that it took. Keeps what is new and holds.

        show: called with the result and its text, whether it holds or not. required: whether to call `require` then.
        """
        import tensorflow as tf

        seconds, kept = None, self._find(proof)
        if kept:
            result, text = proof.load(kept.text), kept.text
            log.info("nothing has changed since %s was proved at %s", proof.name, f"{kept.made:%F %H:%M} UTC")
        else:
            began = time.perf_counter()
            with tf.device(self._device):
                result = proof.prove()
            text, seconds = proof.dump(result), time.perf_counter() - began
        show(result, text)
        if required:
            proof.require(result)
        if not kept and proof.holds(result):
            log.info("%s is proved, in %.1f s", proof.name, seconds)
            self._keep(proof, text)
        return result, seconds

    def forget(self) -> None:
        """Removes every proof for these surroundings: what is about to be proved may not hold any more."""
        for path in self._directory.glob(self._path("*").name):
            path.unlink(missing_ok=True)

    def _find(self, proof: Proof[Any]) -> KeptProof | None:
        """The proof as it is kept, if it is whole and nothing has changed since."""
        path = self._path(proof.name)
        try:
            kept = KeptProof.model_validate_json(path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError, UnicodeDecodeError) as error:
            log.warning("%s is proved again: %s cannot be read: %s", proof.name, path, error)
            return None
        if kept.surroundings != self._surroundings or kept.digest != _digest(kept.text):
            log.warning("%s is proved again: %s was changed", proof.name, path)
            return None
        if kept.code != digest_of(proof.module):
            log.info("%s is proved again: its code has changed", proof.name)
            return None
        return kept

    def _keep(self, proof: Proof[Any], text: str) -> None:
        """A directory that cannot be written costs time, not the run."""
        made, code = datetime.now(UTC), digest_of(proof.module)
        kept = KeptProof(made=made, surroundings=self._surroundings, code=code, digest=_digest(text), text=text)
        try:
            write_json(self._path(proof.name), kept.model_dump(mode="json"))
        except (OSError, StorageError) as error:
            log.warning("%s will be proved again by the next run: %s", proof.name, error)

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
