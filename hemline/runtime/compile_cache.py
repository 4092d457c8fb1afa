"""XLA's compiled programs, kept from one process to the next: half of a nightly run's first epoch.

    use_compile_cache(data / "xla-cache")       # before TensorFlow is imported

TensorFlow trusts what it finds there: a damaged file or an unwritable directory ends a run, and a file's name does not
tell the processor, version or XLA_FLAGS it is for. So each combination of these has its own directory, a file is used
only with the SHA-256 that its writer left beside it, and a run goes on without a cache that cannot be written. The bits
are the same with and without. A cache named in TF_XLA_FLAGS is the user's own;
`--tf_xla_persistent_cache_directory=` turns it off.
"""

import atexit
import hashlib
import logging
import os
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from hemline.storage.files import sha256_of

log = logging.getLogger(__name__)

FLAG = "--tf_xla_persistent_cache_directory"
KEPT = 32  # programs of 0.6 MB: each batch size and set of groups has its own


def use_compile_cache(directory: Path) -> None:
    """Lets TensorFlow keep its programs in `directory`; does nothing once it is imported."""
    flags = os.environ.get("TF_XLA_FLAGS", "")
    if FLAG in flags or "tensorflow" in sys.modules:
        return
    own = directory / _conditions(flags)
    try:
        if any(character.isspace() for character in str(own)):
            raise OSError("TF_XLA_FLAGS has no way to write a path with spaces")
        own.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=own):
            _drop_unsealed(own)
    except OSError as error:
        log.warning("XLA compiles anew in every process: %s cannot be a cache: %s", own, error)
        return
    # Not for GPUs: the directory's name does not tell their model.
    os.environ["TF_XLA_FLAGS"] = f"{flags} {FLAG}={own} --tf_xla_persistent_cache_device_types=CPU".strip()
    atexit.register(seal_programs, own)


def _conditions(flags: str) -> str:
    """A name for everything else that a compiled program depends on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    processor = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    told = [os.environ.get(name, "") for name in ("XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS")]
    conditions = repr((platform.machine(), processor, threads, flags, told))
    return f"{version('tensorflow')}-{hashlib.sha256(conditions.encode()).hexdigest()[:16]}"


def _drop_unsealed(directory: Path) -> None:
    """Deletes what is damaged, what a killed process left without a checksum, and the oldest beyond KEPT."""
    programs = sorted(directory.glob("*.pb"), key=lambda path: path.stat().st_mtime, reverse=True)
    for number, program in enumerate(programs):
        seal = program.with_suffix(".sha256")
        if number >= KEPT or not seal.exists() or seal.read_text() != sha256_of(program):
            program.unlink(missing_ok=True)
            seal.unlink(missing_ok=True)


def seal_programs(directory: Path) -> None:
    """Leaves a checksum beside every program that has none."""
    try:
        for program in directory.glob("*.pb"):
            seal = program.with_suffix(".sha256")
            if not seal.exists():
                seal.write_text(sha256_of(program))
    except OSError as error:
        log.warning("the next process compiles anew: %s", error)
