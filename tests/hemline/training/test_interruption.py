"""A signal to end waits for a checkpoint, and then does what it does otherwise."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hemline.config.retrain import RetrainConfig
from hemline.runtime.devices import select
from hemline.training import run
from hemline.training.interruption import deferred
from tests.hemline.conftest import write_dataset


class Ended(BaseException):
    """What the handler of a test raises."""


@pytest.fixture(autouse=True)
def ending() -> Iterator[None]:
    def end(number: int, frame: object) -> None:
        raise Ended(number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_waits_until_it_is_acted_on() -> None:
    done = []
    with pytest.raises(Ended), deferred() as interruption:  # noqa: PT012  the order is what is tested
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.asked == signal.SIGTERM
        done.append("saved")
        interruption.act()
        done.append("went on")
    assert done == ["saved"]


def test_a_signal_that_nobody_looks_at_is_acted_on_at_the_end() -> None:
    with pytest.raises(Ended), deferred():
        os.kill(os.getpid(), signal.SIGINT)


def test_the_second_signal_acts_at_once() -> None:
    reached = []
    with pytest.raises(Ended), deferred():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGTERM)
        reached.append("once")
        os.kill(os.getpid(), signal.SIGTERM)
        reached.append("twice")
    assert reached == ["once"]


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nohup; a shell's `command &`
    with deferred() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.asked is None


def test_another_thread_has_no_signals() -> None:
    asked: list[object] = []

    def work() -> None:
        with deferred() as interruption:
            asked.append(interruption.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert asked == [None]


def test_training_that_is_told_to_end_leaves_a_checkpoint_of_the_step_it_is_at(tmp_path: Path) -> None:
    """It went back to the last epoch's, which may be an hour ago."""
    dataset = write_dataset(tmp_path / "data", {"train": 3000, "test": 10})
    config = RetrainConfig(epochs=2, batch_size=10, validation=440, log_lines=1)  # 256 steps an epoch: two chunks

    def say(line: str) -> None:
        if line.startswith("epoch 1/2  iteration 128/"):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Ended):
        run.train(config, dataset, select("cpu"), tmp_path / "told", say=say)
    assert [path.name for path in (tmp_path / "told" / "checkpoints").iterdir()] == ["epoch-00001-step-000128"]
    run.train(config, dataset, select("cpu"), tmp_path / "told", say=lambda line: None)
    run.train(config, dataset, select("cpu"), tmp_path / "alone", say=lambda line: None)
    for name in ("epochs.csv", "iterations.parquet/epoch-00001.parquet", "iterations.parquet/epoch-00002.parquet"):
        assert (tmp_path / "told" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
