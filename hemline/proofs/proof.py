"""The one way to a proof: find an earlier one, else prove; show the result, require it, keep it.

proof = Proof("parity-default", "hemline.proofs.parity", prove=compare, holds=..., require=require, ...)
proved = proof.obtain(Proofs(directory, device), show=lambda proved: ...)
proved.result, proved.seconds           # seconds is None where an earlier proof was taken
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from hemline.proofs.store import Proofs

Result = TypeVar("Result")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Proved(Generic[Result]):
    """A result, which need not hold, and the text that it is kept as."""

    result: Result
    text: str
    seconds: float | None  # that proving took; None: an earlier proof was taken


@dataclass(frozen=True)
class Proof(Generic[Result]):
    """What is proved before training, and how its result is written."""

    name: str  # of its file
    module: str  # that proves it: the proof depends on its code and on what that imports
    prove: Callable[[], Result]
    holds: Callable[[Result], bool]
    require: Callable[[Result], None]  # raises an error with the facts if training cannot rely on the result
    dump: Callable[[Result], str]
    load: Callable[[str], Result]

    def obtain(self, proofs: Proofs, show: Callable[[Proved[Result]], None], required: bool = True) -> Proved[Result]:
        """The earlier proof or a new one, shown whether it holds or not.

        required: whether to raise what `require` raises. Only what holds is kept.
        """
        proved = self._earlier(proofs) or self._new(proofs.device.name)
        show(proved)
        if required:
            self.require(proved.result)
        if proved.seconds is not None and self.holds(proved.result):
            log.info("%s is proved (%.1f s)", self.name, proved.seconds)
            proofs.keep(self.name, self.module, proved.text)
        return proved

    def _earlier(self, proofs: Proofs) -> Proved[Result] | None:
        kept = proofs.find(self.name, self.module)
        if kept is None:
            return None
        log.info("nothing has changed since %s was proved at %s", self.name, f"{kept.made:%F %H:%M} UTC")
        return Proved(self.load(kept.text), kept.text, None)

    def _new(self, device: str) -> Proved[Result]:
        import tensorflow as tf

        began = time.perf_counter()
        with tf.device(device):
            result = self.prove()
        return Proved(result, self.dump(result), time.perf_counter() - began)
