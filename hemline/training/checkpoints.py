"""Everything the next step depends on, so that a killed run goes on bit for bit.

    checkpoints = Checkpoints(run_dir / "checkpoints", model, groups, identity, settings, keep=3)
    state = checkpoints.restore()               # of the newest whole one, or None: then start from scratch
    checkpoints.save(State(epoch=2, step=128, ...))

A checkpoint is a directory that appears whole: weights and every optimizer by name (TensorFlow's format), the position
of the next step, the rows of the finished epochs and the values of the unfinished one. It has no random generator:
permutations are keyed by (seed, epoch). It is sealed: a changed bit is noticed before anything is restored.
"""

import logging
import shutil
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from pydantic import BaseModel

from hemline.config.nested import differences
from hemline.errors import CheckpointError
from hemline.records.run import Rows
from hemline.runtime.devices import smallest
from hemline.runtime.provenance import git_commit
from hemline.storage.files import whole_directory
from hemline.storage.seals import require_whole, seal
from hemline.training.groups import Group
from hemline.training.loss_scale import LossScale
from hemline.training.step import position_of

log = logging.getLogger(__name__)


class State(BaseModel):
    """Where a run stands: the next step, and what the steps before it left for the tables."""

    epoch: int  # of the next step, from 1
    step: int  # of the next step within the epoch, from 0
    epochs: Rows = []  # a row for each finished epoch
    losses: list[float] = []  # the unfinished epoch's, a value for each step; a float32 is exact as a float
    correct: list[int] = []

    @property
    def position(self) -> int:
        """A number that grows with every step of a run, from 1."""
        return position_of(self.epoch, self.step)


class _Record(BaseModel):
    state: State
    identity: dict[str, Any]
    settings: dict[str, str]
    git_commit: str | None  # of the code that wrote it


class Checkpoints:
    """The checkpoints of one run, of which the newest `keep` stay.

    identity: what a checkpoint must share with the run that restores it: configuration, data, code.
    settings: what else changes the bits of a result; a difference is worth a warning.
    """

    def __init__(
        self,
        directory: Path,
        model: keras.Model,
        groups: Sequence[Group],
        identity: dict[str, Any],
        settings: dict[str, str],
        keep: int,
        loss_scale: LossScale | None = None,
    ):
        self.directory, self.keep, self.identity, self.settings = directory, keep, identity, settings
        tracked = {f"optimizer_{group.name}": group.optimizer for group in groups}
        if loss_scale:
            tracked["loss_scale"] = loss_scale
        self._git_commit = git_commit()
        self._tracked, self._weights = tf.train.Checkpoint(model=model, **tracked), tf.train.Checkpoint(model=model)

    def save(self, state: State) -> None:
        """Writes a checkpoint."""
        path = self.directory / f"epoch-{state.epoch:05d}-step-{state.step:06d}"
        with whole_directory(path) as temporary:
            self._tracked.write(str(temporary / "state"))
            record = _Record(state=state, identity=self.identity, settings=self.settings, git_commit=self._git_commit)
            # Not by `json`, whose indented text takes 0.1 s after 300 epochs, at every epoch.
            (temporary / "record.json").write_text(record.model_dump_json(indent=2) + "\n")
            seal(temporary)
        for old in self._newest_first()[self.keep :]:
            shutil.rmtree(old)

    def restore(self) -> State | None:
        """Restores the newest whole checkpoint into model and optimizers; None if there is none.

        Where several workers train together, each has its own checkpoints, and one may have been killed before
        its last: all go on from the newest that all of them have.
        Raises CheckpointError, with the difference, if it is of another configuration or of other data.
        """
        whole = self._whole()
        newest = next(whole, None)
        common = smallest(newest[1].state.position if newest else 0)
        if newest is None:
            for best in self.directory.glob("best-*"):  # of steps that are taken again, perhaps by other code
                shutil.rmtree(best)
            return None
        ahead = []
        for path, record in chain([newest], whole):
            if record.state.position <= common:
                break
            ahead.append(path)
        if record.state.position != common:
            raise CheckpointError(
                "all workers must have a checkpoint in common. "
                f"Received: {self.directory}; another worker has none of these. Start a new run."
            )
        changed = differences(record.identity, self.identity)
        if any(name.startswith("code.") for name in changed):
            raise CheckpointError(
                f"a run can only go on with the code that computed it. Received: {path}, of commit "
                f"{record.git_commit or 'unknown'}; models or training steps are computed otherwise since. "
                "Check out that commit, or start a new run."
            )
        if changed:
            changes = "; ".join(f"{name} was {before!r} and is {now!r}" for name, (before, now) in changed.items())
            raise CheckpointError(
                "a run can only go on with a checkpoint of the same configuration and data. "
                f"Received: {path}, in which {changes}. "
                "Use the configuration in config.json beside the checkpoints, or start a new run."
            )
        for name, (before, now) in differences(record.settings, self.settings).items():
            log.warning("the result may differ in its last bits: %s was %s and is %s", name, before, now)
        self._tracked.read(str(path / "state")).assert_consumed()
        for other in ahead:
            log.warning("checkpoint %s is removed: another worker was killed before it wrote its own", other)
            shutil.rmtree(other)  # the run will pass there again, and save
        return record.state

    def save_best(self, epoch: int) -> None:
        """Keeps the weights of the best epoch so far."""
        path = self.directory / f"best-{epoch:05d}"
        if path.exists():  # saved before the run was killed, by the same steps
            return
        with whole_directory(path) as temporary:
            self._weights.write(str(temporary / "weights"))
            seal(temporary)
        for old in set(self.directory.glob("best-*")) - {path}:
            shutil.rmtree(old)

    def restore_best(self, epoch: int) -> None:
        """Puts the weights of the best epoch back into the model. Raises CheckpointError if they are not whole."""
        path = self.directory / f"best-{epoch:05d}"
        try:
            require_whole(path)
        except (OSError, ValueError) as error:  # every checkpoint that is kept may be from after that epoch
            raise CheckpointError(
                f"the weights of the best epoch must be as they were written. Received: {path} ({error}). Remove "
                f"{self.directory} and go on with the run: it trains again, to the same bits."
            ) from error
        self._weights.read(str(path / "weights")).assert_consumed()

    def _newest_first(self) -> list[Path]:
        return sorted(self.directory.glob("epoch-*"), reverse=True)

    def _whole(self) -> Iterator[tuple[Path, _Record]]:
        """Checkpoints of which every file is as it was written, newest first. Any other is renamed, loudly."""
        for path in self._newest_first():
            try:
                require_whole(path)
                record = _Record.model_validate_json((path / "record.json").read_text())
            except (OSError, ValueError) as error:
                log.warning("checkpoint %s is passed over: %s", path, error)
                path.rename(path.with_name(f"corrupt-{path.name}"))  # the run will pass here again, and save
            else:
                yield path, record
