"""What a table was made on: the processor, its peak, and the settings in the environment that change speed.

    peak = machine.peak(sys.executable)         # measured in a process of its own, see bench.roofline
    print(machine.described(peak))

The versions of libraries and how many threads they take stand with each table: every contestant names its own.
"""

import json
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.work import WIDTHS, mlp_flops

EXAMPLES = 60_000  # of the training split
ROOT = Path(__file__).parents[1]
SETTINGS = [
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "XLA_FLAGS",
    "LD_PRELOAD",
]


@dataclass(frozen=True)
class Peak:
    """The most that was seen: float32 operations a second, bytes of memory read and written a second."""

    flops: float
    bytes: float


def peak(python: str) -> Peak:
    """Measures it, which takes some ten seconds."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [python, "-m", "bench.roofline"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return Peak(**json.loads(done.stdout.splitlines()[-1]))


def described(peak: Peak) -> str:
    """A paragraph."""
    cores, threads = psutil.cpu_count(logical=False), psutil.cpu_count()
    unset = [name for name in SETTINGS if not os.environ.get(name)]
    given = [f"{name}={os.environ[name]}" for name in SETTINGS if name not in unset]
    flops, images = mlp_flops(EXAMPLES), EXAMPLES * WIDTHS[0]
    return (
        f"{processor()}, {cores} cores, {threads} threads, {psutil.virtual_memory().total / 1e9:.0f} GB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}.\n"
        f"Set: {', '.join(given) or 'nothing'}. Not set: {', '.join(unset) or 'nothing'}.\n"
        f"At most {peak.flops / 1e9:.0f} GFLOP/s (one product of oneDNN) and {peak.bytes / 1e9:.1f} GB/s (a copy, read "
        f"and written). An epoch of the MLP has {flops / 1e9:.1f} GFLOP of products, which take at least "
        f"{flops / peak.flops:.3f} s, and {images / 1e6:.0f} MB of images to read, {images / peak.bytes:.4f} s; "
        "weights and optimizers' moments stay in the caches."
    )


def processor() -> str:
    """Its name, and the widest vectors it computes with."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    of = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = set(of.get("flags", "").split())
    widest = [name for name in ("amx_tile", "avx512f", "avx512_bf16", "avx2") if name in flags][:3]
    return f"{of.get('model name', platform.machine())} ({', '.join(widest) or 'vectors unknown'})"
