"""Everything the next step depends on, so that a killed run goes on bit for bit.

    checkpoints = Checkpoints(run_dir / "checkpoints", model, groups, identity, keep=3)
    state = checkpoints.restore()               # of the newest whole one, or None: then start from scratch
                                                # (of the newest that all workers have, if there are several)
    checkpoints.save(State(epoch=2, step=128, ...))

A checkpoint is a directory that appears whole: weights and every optimizer by name (TensorFlow's format),
the position of the next step, the rows of the finished epochs and the values of the unfinished one. It has
no random generator: permutations are keyed by (seed, epoch). The SHA-256 of each file is verified before
anything is restored; a checkpoint that fails is passed over, loudly.
"""

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from pydantic import BaseModel, ValidationError

from hemline.config.nested import differences
from hemline.errors import CheckpointError
from hemline.records.run import Rows
from hemline.runtime.devices import smallest
from hemline.storage.files import sha256_of, whole_directory, write_json
from hemline.training.groups import Group
from hemline.training.loss_scale import LossScale

log = logging.getLogger(__name__)


class State(BaseModel):
    """Where a run stands: the next step, and what the steps before it left for the tables."""

    epoch: int  # of the next step, from 1
    step: int  # of the next step within the epoch, from 0
    epochs: Rows = []  # a row for each finished epoch
    timing: Rows = []
    losses: list[float] = []  # the unfinished epoch's, a value for each step; a float32 is exact as a float
    correct: list[int] = []

    @property
    def position(self) -> int:
        """A number that grows with every step of a run, from 1."""
        return (self.epoch << 32) + self.step


class _Record(BaseModel):
    state: State
    identity: dict[str, Any]
    settings: dict[str, str]
    files: dict[str, str]


class Checkpoints:
    """The checkpoints of one run, newest last.

    identity: what a checkpoint must share with the run that restores it, e.g. configuration and data
    fingerprint. settings: what changes the bits of a result besides; a difference is worth a warning.
    """

    def __init__(
        self,
        directory: Path,
        model: keras.Model,
        groups: Sequence[Group],
        identity: Mapping[str, Any],
        settings: Mapping[str, str],
        keep: int,
        loss_scale: LossScale | None = None,
    ):
        self.directory, self.keep = directory, keep
        self.identity, self.settings = dict(identity), dict(settings)
        optimizers = {f"optimizer_{group.name}": group.optimizer for group in groups}
        scales = {} if loss_scale is None else {"loss_scale": loss_scale}
        self._tracked = tf.train.Checkpoint(model=model, **optimizers, **scales)
        self._weights = tf.train.Checkpoint(model=model)

    def save(self, state: State) -> None:
        """Writes a checkpoint and removes the ones that are not kept."""
        path = self.directory / f"epoch-{state.epoch:05d}-step-{state.step:06d}"
        with whole_directory(path) as temporary:
            self._tracked.write(str(temporary / "state"))
            files = {file.name: sha256_of(file) for file in temporary.iterdir()}
            record = _Record(state=state, identity=self.identity, settings=self.settings, files=files)
            write_json(temporary / "record.json", record.model_dump(mode="json"))
        for old in self._paths()[: -self.keep]:
            shutil.rmtree(old)

    def restore(self) -> State | None:
        """Restores the newest whole checkpoint into model and optimizers; None if there is none.

        Where several workers train together, each has its own checkpoints, and one may have been killed before
        its last: all go on from the newest that all of them have.
        Raises CheckpointError, with the difference, if it is of another configuration or of other data.
        """
        whole, ahead = self._whole(), []
        path, record = next(whole, (None, None))
        common = smallest(record.state.position if record else 0)
        while path and record and record.state.position > common:
            ahead.append(path)
            path, record = next(whole, (None, None))
        if path is None or record is None or record.state.position < common:
            if not ahead and path is None:
                return None
            raise CheckpointError(
                "all workers must have a checkpoint in common. "
                f"Received: {self.directory}; another worker has none of these. Start a new run."
            )
        _require_same(path, record.identity, self.identity)
        for name, (before, now) in differences(record.settings, self.settings).items():
            log.warning("the result may differ in its last bits: %s was %s and is %s", name, before, now)
        self._tracked.read(str(path / "state")).assert_consumed()
        for other in ahead:
            log.warning("checkpoint %s is removed: another worker was killed before it wrote its own", other)
            shutil.rmtree(other)  # the run will pass there again, and save
        return record.state

    def _whole(self) -> Iterator[tuple[Path, _Record]]:
        """Whole checkpoints, newest first."""
        for path in reversed(self._paths()):
            if record := _verified(path):
                yield path, record
            else:
                path.rename(path.with_name(f"corrupt-{path.name}"))  # the run will pass here again, and save

    def save_best(self, epoch: int) -> None:
        """Keeps the weights of the best epoch so far."""
        path = self.directory / f"best-{epoch:05d}"
        if path.exists():  # saved before the run was killed, by the same steps
            return
        with whole_directory(path) as temporary:
            self._weights.write(str(temporary / "weights"))
        for old in self.directory.glob("best-*"):
            if old != path:
                shutil.rmtree(old)

    def restore_best(self, epoch: int) -> None:
        """Puts the weights of the best epoch back into the model."""
        self._weights.read(str(self.directory / f"best-{epoch:05d}" / "weights")).assert_consumed()

    def _paths(self) -> list[Path]:
        return sorted(self.directory.glob("epoch-*"))


def _verified(path: Path) -> _Record | None:
    """The checkpoint's record, if every file of it is as it was written."""
    try:
        record = _Record.model_validate_json((path / "record.json").read_text())
        changed = [name for name, expected in record.files.items() if sha256_of(path / name) != expected]
    except (OSError, ValidationError) as error:
        log.warning("checkpoint %s is passed over, it cannot be read: %s", path, error)
        return None
    if changed:
        log.warning("checkpoint %s is passed over, it is corrupt: %s", path, ", ".join(changed))
        return None
    return record


def _require_same(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    changes = [f"{name} was {before!r} and is {now!r}" for name, (before, now) in differences(theirs, ours).items()]
    if changes:
        raise CheckpointError(
            "a run can only go on with a checkpoint of the same configuration and data. "
            f"Received: {path}, in which {'; '.join(changes)}. "
            "Use the configuration in config.json beside the checkpoints, or start a new run."
        )
