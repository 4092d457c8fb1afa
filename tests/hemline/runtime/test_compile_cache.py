"""Processes that share a cache: what it saves, what damages it, and that no bit depends on it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hemline.runtime.compile_cache import FLAG, KEPT, use_compile_cache

ROOT = Path(__file__).parents[3]
# A process as a run's is: the cache first, then TensorFlow. What it trains is in its last line.
TRAIN = """
import json, logging, os, sys
from pathlib import Path
logging.basicConfig()
from hemline.runtime.compile_cache import use_compile_cache
use_compile_cache(Path(sys.argv[1]))
from tests.hemline.runtime.test_compile_cache import trained
print(json.dumps({"bits": trained(), "flags": os.environ.get("TF_XLA_FLAGS")}))
"""


def trained() -> str:
    """Losses and weights after an epoch. TensorFlow is imported here."""
    from hemline.config.optimizers import OptimizerGroup
    from hemline.models.mlp import build_mlp
    from hemline.training.groups import partition
    from hemline.training.loop import Trainer

    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(100, 4, 4, 1), dtype=np.uint8)
    labels = rng.integers(3, size=100).astype(np.int32)
    model = build_mlp((4, 4, 1), 3, seed=1)
    groups = partition(model, {"all": OptimizerGroup(layers=["*"], optimizer="adam", learning_rate=1e-3)})
    (chunk,) = Trainer(model, groups, images, labels, batch_size=32, seed=7).epoch(1)
    return (chunk.losses.tobytes() + b"".join(variable.numpy().tobytes() for variable in model.variables)).hex()


def train(cache: Path) -> dict[str, str]:
    """In a process of its own: a cache is for one that has not imported TensorFlow."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(cache)], capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1]) | {"stderr": done.stderr}


@pytest.fixture(scope="module")
def without() -> str:
    return trained()


def programs(cache: Path) -> list[Path]:
    return sorted(cache.glob("*/*.pb"))


def test_a_second_process_takes_the_program_and_computes_the_same_bits(
    tmp_path: Path, without: str, flip_byte: Callable[[Path, int], None]
) -> None:
    assert train(tmp_path)["bits"] == without
    (program,) = programs(tmp_path)
    written = program.stat().st_mtime_ns
    content = program.read_bytes()

    assert train(tmp_path)["bits"] == without
    assert [path.stat().st_mtime_ns for path in programs(tmp_path)] == [written]  # read, not made again

    # Regression: TensorFlow itself ends with OutOfRangeError on a short file, and runs a changed one.
    flip_byte(program, len(content) // 2)
    assert train(tmp_path)["bits"] == without
    assert [path.read_bytes()[:100] for path in programs(tmp_path)] == [content[:100]]
    assert programs(tmp_path)[0].stat().st_mtime_ns > written


def test_a_directory_that_cannot_be_written_is_a_warning(tmp_path: Path, without: str) -> None:
    # A file in the way: unlike a mode, it stops root as well.
    (tmp_path / "file").touch()
    trained = train(tmp_path / "file" / "cache")
    assert trained["bits"] == without
    assert trained["flags"] is None
    assert "cannot be a cache" in trained["stderr"]


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As if TensorFlow were not imported yet; what is set in the environment is put back."""
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_auto_jit=1")
    monkeypatch.setattr("atexit.register", lambda *args: None)
    return monkeypatch


def test_the_users_own_flags_stay(fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_compile_cache(tmp_path)
    own, _, cache = os.environ["TF_XLA_FLAGS"].partition(f" {FLAG}=")
    assert own == "--tf_xla_auto_jit=1"
    assert cache.startswith(f"{tmp_path}/")


@pytest.mark.parametrize("value", ["", "/elsewhere"])
def test_the_users_own_cache_stays(value: str, fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fresh.setenv("TF_XLA_FLAGS", f"{FLAG}={value}")
    use_compile_cache(tmp_path)
    assert os.environ["TF_XLA_FLAGS"] == f"{FLAG}={value}"
    assert list(tmp_path.iterdir()) == []


def test_where_tensorflow_is_imported_it_is_too_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    import tensorflow  # noqa: F401

    use_compile_cache(tmp_path)
    assert "TF_XLA_FLAGS" not in os.environ


def test_programs_of_other_flags_are_apart(fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # A file's name does not have them: a program compiled with fast math would serve a run without.
    for flags in ("", "--xla_cpu_enable_fast_math=true"):
        fresh.setenv("TF_XLA_FLAGS", "")
        fresh.setenv("XLA_FLAGS", flags)
        use_compile_cache(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_path_with_a_space_is_a_warning(
    fresh: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    use_compile_cache(tmp_path / "my data")
    assert os.environ["TF_XLA_FLAGS"] == "--tf_xla_auto_jit=1"
    assert "path with spaces" in caplog.text


def test_the_oldest_programs_go(fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from hemline.runtime.compile_cache import seal_programs

    use_compile_cache(tmp_path)
    (own,) = tmp_path.iterdir()
    for number in range(KEPT + 3):
        (own / f"{number}.pb").write_text(str(number))
        os.utime(own / f"{number}.pb", (number, number))
    seal_programs(own)
    (own / "unsealed.pb").touch()
    fresh.setenv("TF_XLA_FLAGS", "--tf_xla_auto_jit=1")
    use_compile_cache(tmp_path)
    # The unsealed one, the newest, took one of the places.
    assert {path.stem for path in own.glob("*.pb")} == {str(number) for number in range(4, KEPT + 3)}
    assert {path.stem for path in own.glob("*.sha256")} == {path.stem for path in own.glob("*.pb")}
