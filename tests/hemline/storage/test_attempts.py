"""Never two processes at one run, not for ever, and each attempt knows how the one before it ended."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from hemline.errors import AttemptError, CheckpointError, DatasetError, SupersededError
from hemline.storage.attempts import attempt, attempts, reached, resumed
from hemline.storage.files import whole_directory, whole_file

# A process that takes a run, says so, comes to a place, and waits to be killed.
WORKING = """
import sys, time
from pathlib import Path
from hemline.storage.attempts import attempt, reached
directory, owner, after, place = sys.argv[1:]
with attempt(Path(directory), owner, after, sleep=lambda seconds: None):
    reached(place)
    print("there", flush=True)
    time.sleep(1000)
"""


@contextmanager
def working(directory: Path, place: str, owner: str = "a", after: str = "") -> Iterator[subprocess.Popen[str]]:
    arguments = [str(directory), owner, after, place]
    process = subprocess.Popen([sys.executable, "-c", WORKING, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline() == "there\n"
        yield process
    finally:
        process.kill()
        process.wait()


def killed(directory: Path, place: str, after: str = "") -> None:
    """An attempt that is killed at a place."""
    with working(directory, place, after=after) as process:
        os.kill(process.pid, signal.SIGKILL)


def test_the_first_attempt_follows_nothing(tmp_path: Path) -> None:
    with attempt(tmp_path, "a") as this:
        assert (this.number, this.after, this.crashes) == (1, "", 0)
        assert resumed("epoch 3") == "resumed at epoch 3"
    (kept,) = attempts(tmp_path)
    assert kept.ended


def test_an_attempt_that_ends_with_a_refusal_keeps_it(tmp_path: Path) -> None:
    for error in (DatasetError("the data must be whole. Received: less."), KeyboardInterrupt(), ValueError("a bug")):
        with pytest.raises(type(error)), attempt(tmp_path, "a"):
            raise error
    with attempt(tmp_path, "a"):
        pass
    found = [(each.ended, each.refused) for each in attempts(tmp_path)]
    assert found == [(True, "the data must be whole. Received: less."), (True, ""), (True, ""), (True, "")]


def test_an_attempt_after_a_crash_says_how_and_where(tmp_path: Path) -> None:
    killed(tmp_path, "train")
    (tmp_path / "checkpoints" / "epoch-00003-step-000000").mkdir(parents=True)
    with attempt(tmp_path, "a", "killed by SIGKILL") as this:
        assert (this.number, this.crashes) == (2, 1)
        assert this.crashed == "train, after checkpoint epoch-00003-step-000000"
        assert resumed("epoch 3") == "resumed at epoch 3 (attempt 2) after: killed by SIGKILL"


def test_a_run_of_several_seeds_that_got_on_with_any_of_them_may_crash_again(tmp_path: Path) -> None:
    """Regression: it was taken for one that crashed before its first checkpoint, and ended after the second crash."""
    for number, (seed, step) in enumerate([(7, 1), (8, 1), (7, 2)], 1):
        killed(tmp_path, "train", "killed by SIGKILL" if number > 1 else "")
        checkpoint = tmp_path / "seeds" / str(seed) / "checkpoints" / f"epoch-0000{step}-step-000000"
        checkpoint.mkdir(parents=True)
        os.utime(checkpoint, (number, number))  # when it was written
    with attempt(tmp_path, "a", "killed by SIGKILL", sleep=lambda seconds: None) as this:
        assert this.crashed == "train, after checkpoint seeds/7/checkpoints/epoch-00002-step-000000"
        assert this.crashes == 3


def test_an_attempt_that_ended_by_itself_was_no_crash(tmp_path: Path) -> None:
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), attempt(tmp_path, "a"):
            raise error
    with attempt(tmp_path, "a", "stopped by SIGTERM") as this:
        assert (this.number, this.after, this.crashed, this.crashes) == (3, "stopped by SIGTERM", "", 0)


def test_a_crash_that_repeats_at_the_same_place_ends_the_series_at_once(tmp_path: Path) -> None:
    killed(tmp_path, "train")
    killed(tmp_path, "train", "killed by SIGKILL")
    with pytest.raises(AttemptError) as error, attempt(tmp_path, "a", "killed by SIGKILL"):
        pytest.fail("it was tried again")
    assert str(error.value).startswith(
        "a run must get past where it crashed. Received: attempt 2 was killed by SIGKILL in train, before the first "
        "checkpoint, where attempt 1 was killed by SIGKILL too."
    )
    with attempt(tmp_path, "a", "failed") as this:  # a person's Retry begins a new series
        assert this.crashes == 0


@pytest.mark.parametrize("second", [("train", "lost without a sign of life"), ("evaluate", "killed by SIGKILL")])
def test_another_place_or_another_crash_is_tried_again(tmp_path: Path, second: tuple[str, str]) -> None:
    place, after = second
    killed(tmp_path, "train")
    killed(tmp_path, place, "killed by SIGKILL")
    with attempt(tmp_path, "a", after, sleep=lambda seconds: None) as this:
        assert this.crashes == 2


def test_a_run_that_gets_further_comes_back_ever_later_but_not_for_ever(tmp_path: Path) -> None:
    waited: list[float] = []
    for number in range(5):
        killed(tmp_path, f"step {number}", "killed by SIGKILL" if number else "")
    assert [each.crashes for each in attempts(tmp_path)] == [0, 1, 2, 3, 4]
    with attempt(tmp_path, "a", "killed by SIGKILL", limit=6, sleep=waited.append):
        pass
    assert waited == [15.0 * 4**3]
    (tmp_path / "attempts" / "6.json").unlink()
    with pytest.raises(AttemptError) as error, attempt(tmp_path, "a", "killed by SIGKILL", sleep=waited.append):
        pytest.fail("it was tried again")
    assert str(error.value).startswith(
        "a run may crash 5 times in a row. Received: 5 crashes; attempt 5 was killed by SIGKILL in step 4, before"
    )
    assert len(waited) == 1


def test_a_run_that_another_process_works_on_is_refused_and_goes_on(tmp_path: Path) -> None:
    with working(tmp_path, "train") as process:
        with pytest.raises(CheckpointError, match="only one process may write a run"), attempt(tmp_path, "b"):
            pytest.fail("two at once")
        assert process.poll() is None
        assert len(attempts(tmp_path)) == 1


def test_who_is_given_the_run_by_the_server_ends_the_process_that_had_it(tmp_path: Path) -> None:
    """It may have been stopped: it held the lock, and the run came back for nothing."""
    with working(tmp_path, "train") as process:
        os.kill(process.pid, signal.SIGSTOP)
        with attempt(tmp_path, "a", "lost without a sign of life") as this:
            assert this.number == 2
            assert not psutil.pid_exists(process.pid)


def test_a_process_of_the_same_number_is_not_the_one(tmp_path: Path) -> None:
    """The machine was switched on again, and its numbers began anew."""
    killed(tmp_path, "train")
    (before,) = attempts(tmp_path)
    with subprocess.Popen(["sleep", "1000"]) as innocent:
        before.pid, before.started = innocent.pid, before.started - 5
        (tmp_path / "attempts" / "1.json").write_text(before.model_dump_json())
        with attempt(tmp_path, "a", "lost without a sign of life"):
            assert psutil.pid_exists(innocent.pid)
        assert innocent.poll() is None
        innocent.kill()


def test_what_has_been_taken_over_cannot_write(tmp_path: Path) -> None:
    """As a process on another machine that was cut off, and wakes up."""
    (tmp_path / "here").write_text("old")
    with attempt(tmp_path, "a") as this:
        with whole_file(tmp_path / "here") as path:
            path.write_text("mine")
        newer = this.model_copy(update={"number": 2})
        (tmp_path / "attempts" / "2.json").write_text(newer.model_dump_json())
        with (
            pytest.raises(SupersededError, match="only the newest attempt may write"),
            whole_file(tmp_path / "here") as path,
        ):
            path.write_text("theirs")
        with pytest.raises(SupersededError), whole_directory(tmp_path / "version") as path:
            (path / "model").write_text("theirs")
        with pytest.raises(SupersededError):
            reached("publish")
    assert (tmp_path / "here").read_text() == "mine"
    assert not (tmp_path / "version").exists()
    assert attempts(tmp_path)[1] == newer
