"""Native noise goes to the file, people's lines to the terminal. In processes of their own: it moves descriptor 2."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

BEFORE = """
import io, logging, os, sys
from pathlib import Path
from hemline.runtime.native_log import noise_in

path = Path(sys.argv[1])
handler = logging.StreamHandler()
logging.getLogger("app").addHandler(handler)
original = sys.stderr
"""


class Output(NamedTuple):
    terminal: list[str]
    file: str


def run(script: str, path: Path) -> Output:
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + script, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return Output(done.stderr.splitlines(), path.read_text())


INSIDE = """
def talk(when):
    os.write(2, f"native {when}\\n".encode())
    print("printed", when, file=sys.stderr)
    logging.getLogger("app").warning("logged %s", when)
    logging.getLogger("noisy").warning("noise %s", when)
    logging.getLogger("copied").warning("copy %s", when)
logging.getLogger("copied").addHandler(handler)
logging.getLogger("noisy").addHandler(logging.NullHandler())
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Output:
    script = (
        INSIDE
        + """
talk("before")
with noise_in(path, loggers=("noisy",), copied=("copied",)):
    talk("inside")
talk("after")
assert sys.stderr is original and handler.stream is original
"""
    )
    return run(script, tmp_path_factory.mktemp("log") / "run.log")


def test_native_output_goes_to_the_file(output: Output) -> None:
    assert "native inside\n" in output.file
    assert "native inside" not in output.terminal


@pytest.mark.parametrize("line", ["printed inside", "logged inside", "copy inside"])
def test_a_persons_lines_reach_the_terminal(line: str, output: Output) -> None:
    assert output.terminal.count(line) == 1


def test_quiet_loggers_write_to_the_file_alone_and_copied_ones_to_both(output: Output) -> None:
    lines = [line.partition(" | ")[2] for line in output.file.splitlines() if " | " in line]
    assert lines == ["WARNING | noisy - noise inside", "WARNING | copied - copy inside"]
    assert "noise inside" not in output.terminal
    assert "printed inside" not in output.file


@pytest.mark.parametrize("when", ["before", "after"])
def test_outside_the_block_everything_is_as_ever(when: str, output: Output) -> None:
    # 'noise' has no handler but the null one, on the terminal as without us.
    for line in (f"native {when}", f"printed {when}", f"logged {when}", f"copy {when}"):
        assert output.terminal.count(line) == 1
        assert line not in output.file


def test_everything_is_restored_after_an_exception(tmp_path: Path) -> None:
    output = run(
        INSIDE
        + """
descriptors = set(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else None
try:
    with noise_in(path, loggers=("noisy",), copied=("copied",)):
        raise KeyboardInterrupt
except KeyboardInterrupt:
    pass
assert sys.stderr is original and handler.stream is original
assert logging.getLogger("noisy").propagate
assert logging.getLogger("copied").handlers == [handler]
if descriptors is not None:
    assert set(os.listdir("/proc/self/fd")) == descriptors
talk("after")
""",
        tmp_path / "run.log",
    )
    assert output.file == ""
    assert "native after" in output.terminal
    assert "logged after" in output.terminal


def test_a_handler_made_inside_is_not_left_on_a_closed_stream(tmp_path: Path) -> None:
    output = run(
        """
with noise_in(path):
    logging.getLogger("late").addHandler(logging.StreamHandler())
logging.getLogger("late").warning("logged after")
""",
        tmp_path / "run.log",
    )
    assert output.terminal == ["logged after"]


def test_a_second_attempt_appends(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_text("first attempt\n")
    assert run('with noise_in(path): os.write(2, b"second\\n")', path).file == "first attempt\nsecond\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_is_said_once_and_ends_nothing() -> None:
    """Regression: a traceback for every line, and at the end an error in place of the run's own."""
    script = """
log = logging.getLogger("copied")
log.addHandler(handler)
try:
    with noise_in(path, copied=("copied",)):
        for number in range(3):
            log.warning("line %d", number)
        raise KeyError("the run's own")
except KeyError:
    log.warning("after")
"""
    done = subprocess.run([sys.executable, "-c", BEFORE + script, "/dev/full"], capture_output=True, text=True)
    *lines, lacks = sorted(done.stderr.splitlines(), key=lambda line: "lacks" in line)
    assert lines == ["line 0", "line 1", "line 2", "after"]
    assert lacks == "/dev/full lacks lines from here on: [Errno 28] No space left on device"


def test_output_of_child_processes_is_noise(tmp_path: Path) -> None:
    output = run(
        'import subprocess\nwith noise_in(path): subprocess.run(["sh", "-c", "echo child >&2"])', tmp_path / "run.log"
    )
    assert output == ([], "child\n")


def test_a_console_of_rich_reaches_the_terminal(tmp_path: Path) -> None:
    # Prefect's handler writes through one.
    output = run(
        """
from rich.console import Console
class Handler(logging.Handler):
    console = Console(file=sys.stderr)
    def emit(self, record):
        self.console.print(record.getMessage())
logging.getLogger("app").handlers = [Handler()]
with noise_in(path):
    logging.getLogger("app").warning("through rich")
assert Handler.console.file is original
""",
        tmp_path / "run.log",
    )
    assert output == (["through rich"], "")
