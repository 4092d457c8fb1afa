"""A name's champion, loaded and followed: whoever asks gets the newest one that verifies.

    champion = Champion(Registry(artifacts, "fashion_mnist"), say=print)    # raises if there is none that is whole
    champion.now().answer(images)   # (N, H, W, C) uint8 -> {'label': (N,), 'name': (N,), 'probabilities': (N, classes)}
    champion.problem                # why the ledger's champion is not the one that answers; empty if it is

The ledger is looked at when somebody asks, at most once a second. A new champion is verified, loaded and asked once,
while the old one answers; if it will not do, the old one goes on.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hemline.errors import RegistryError
from hemline.registry.champion import Registry
from hemline.registry.versions import Manifest

LOOK_SECONDS, AGAIN_SECONDS = 1.0, 10.0  # between two looks at the ledger; the same, after one that would not do
SIGNATURE = "serving_default"


@dataclass(frozen=True)
class Model:
    """A version, ready to answer."""

    manifest: Manifest
    answer: Callable[[np.ndarray], dict[str, np.ndarray]]
    signatures: dict[str, Any]  # of the SavedModel, as TensorFlow Serving shows them
    loaded: Any  # held: its signatures do not keep it alive


def load(registry: Registry, version: str) -> Model:
    """The verified version through the signature that a model server takes."""
    manifest, path = registry.verified(version), registry.path(version)
    import tensorflow as tf
    from google.protobuf.json_format import MessageToDict
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    loaded = tf.saved_model.load(path)
    signature = loaded.signatures[SIGNATURE]

    def answer(images: np.ndarray) -> dict[str, np.ndarray]:
        return {name: value.numpy() for name, value in signature(image=tf.constant(images)).items()}

    answer(np.zeros((1, *manifest.dataset.image_shape), np.uint8))  # the first call builds its plan
    definitions = SavedModel.FromString((path / "saved_model.pb").read_bytes()).meta_graphs[0].signature_def
    form = {"preserving_proto_field_name": True, "always_print_fields_with_no_presence": True}
    return Model(manifest, answer, {name: MessageToDict(each, **form) for name, each in definitions.items()}, loaded)


class Champion:
    """Of a registry. say: told in a sentence what is served from now on, and what is not."""

    def __init__(self, registry: Registry, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic):
        version = registry.champion()
        if version is None:
            raise RegistryError(f"a champion must be there. Received: {registry.name}, without one. Promote a version.")
        self.name, self.problem = registry.name, ""
        self._registry, self._say, self._clock, self._looking = registry, say, clock, threading.Lock()
        self._model, self._next = load(registry, version), clock() + LOOK_SECONDS

    def now(self) -> Model:
        """The model that answers. One caller at a time looks for a newer one; the others do not wait for it."""
        if self._clock() >= self._next and self._looking.acquire(blocking=False):
            try:
                self._look()
            except Exception as error:  # TensorFlow's are many; whatever it is, there is a model that answers
                before, self.problem = self.problem, f"{self._model.manifest.title} is still served: {error}"
                if self.problem != before:
                    self._say(self.problem)
            finally:
                self._next = self._clock() + (AGAIN_SECONDS if self.problem else LOOK_SECONDS)
                self._looking.release()
        return self._model

    def _look(self) -> None:
        version = self._registry.champion()
        if version is None:
            raise RegistryError(f"the ledger of {self.name} has no champion any more")
        if version != self._model.manifest.version:
            self._model = load(self._registry, version)
            self._say(f"{self._model.manifest.title} is served")
        self.problem = ""
