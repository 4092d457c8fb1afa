"""Our training loop beside `fit`, the chapter's loop, PyTorch and JAX on the same work.

    make bench                          # or: make bench ARGS="--rounds 9"

The same network, the 60,000 training images, batches of 128, Adam below and SGD on the last layer. Every
contestant has a process of its own; a round is one epoch of each in turn, so that a machine that slows
down slows all of them. Read the ratios: the seconds are this machine's. Who does less, and `fit` does,
is the faster for it: one optimizer, no losses of single steps.

The first epoch of a process traces and compiles: cold without, warm with what an earlier process left
in the compiler's cache. Peak memory includes the framework and 47 MB of images.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
OURS, PEERS = sys.executable, str(ROOT / ".venv-peers" / "bin" / "python")
CONTESTANTS = {
    "hemline": (OURS, "peers_keras:hemline"),
    "hemline, images streamed from disk": (OURS, "peers_keras:hemline_streamed"),
    "Keras `fit`, default": (OURS, "peers_keras:fit"),
    "Keras `fit`, steps_per_execution=64": (OURS, "peers_keras:fit_64"),
    "Keras `fit`, steps_per_execution=64, jit_compile": (OURS, "peers_keras:fit_jit"),
    "the chapter's loop, all variables": (OURS, "peers_keras:chapter"),
    "PyTorch, eager, fused optimizers": (PEERS, "peers_torch:eager"),
    "PyTorch, torch.compile, fused optimizers": (PEERS, "peers_torch:inductor"),
    "JAX, jit and scan": (PEERS, "peers_jax:scan"),
    "matrix products alone, NumPy": (OURS, "peers_keras:products"),
}
LEARNED = 0.40  # a mean loss that the second epoch of every contestant is below: 0.27 to 0.33 were seen
SMALL_EPOCHS, GROWTH = 200, 2.0  # MB


@dataclass
class Worker:
    """A contestant's process. `ask` runs one epoch in it."""

    python: str
    contestant: str
    data: Path
    scratch: Path
    seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        caches = {
            "TF_XLA_FLAGS": f"--tf_xla_persistent_cache_directory={self.scratch}/xla",
            "JAX_COMPILATION_CACHE_DIR": f"{self.scratch}/jax",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "TORCHINDUCTOR_CACHE_DIR": f"{self.scratch}/inductor",
        }
        command = [self.python, "-m", "bench.worker", f"bench.{self.contestant}", str(self.data)]
        self.errors = (self.scratch / "stderr").open("w+")
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | caches | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        self.first = self._answer()

    def ask(self) -> dict[str, Any]:
        """One epoch: its seconds, loss and memory."""
        assert self.process.stdin
        print(file=self.process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        """End of input ends it."""
        self.process.communicate()
        self.errors.close()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout
        if line := self.process.stdout.readline():
            return json.loads(line)
        self.process.wait()
        self.errors.seek(0)
        raise RuntimeError((self.errors.read().strip().splitlines() or ["no reason given"])[-1])


def main() -> None:
    """Prints a row for each contestant, and what the memory of a long run of ours does."""
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="epochs measured of each (default: 5)")
    parser.add_argument("--only", default="", help="contestants whose name has this in it, beside ours")
    parser.add_argument("--memory", action="store_true", help="only the memory of a long run of ours")
    arguments = parser.parse_args()

    from hemline.config.data import DataConfig
    from hemline.data.decoding import prepare

    data = prepare(DataConfig()).path
    with tempfile.TemporaryDirectory() as scratch:
        if not arguments.memory:
            chosen = [name for name in CONTESTANTS if name == "hemline" or arguments.only in name]
            race(chosen, arguments.rounds, data, Path(scratch))
        memory(data, Path(scratch))


def race(names: list[str], rounds: int, data: Path, scratch: Path) -> None:
    """All contestants, an epoch of each in turn."""
    cold: dict[str, float] = {}
    workers: dict[str, Worker] = {}
    failures: dict[str, str] = {}
    for number, name in enumerate(names):
        own = scratch / str(number)
        own.mkdir()
        try:
            worker = Worker(*CONTESTANTS[name], data, own)
            cold[name] = worker.first["seconds"]
            worker.close()
            workers[name] = Worker(*CONTESTANTS[name], data, own)
        except (RuntimeError, OSError) as error:
            failures[name] = str(error)
        print(f"{name}: {failures.get(name, 'ready')}", file=sys.stderr)
    for _ in range(rounds):
        for worker in workers.values():
            last = worker.ask()
            worker.seconds.append(last["seconds"])
    ours = workers["hemline"].seconds
    print(f"| loop | s/epoch, median of {rounds} | times ours, median of pairs | first epoch, cold | warm |", end=" ")
    print("peak MB | loss, last epoch |\n| --- | --- | --- | --- | --- | --- | --- |")
    for name in names:
        if name in failures:
            print(f"| {name} | failed: {failures[name]} | | | | | |")
            continue
        worker = workers[name]
        last = worker.ask()
        worker.close()
        if last["loss"] > LEARNED:
            raise SystemExit(
                f"{name} must learn. Received: a mean loss of {last['loss']:.3f} after {rounds + 2} epochs."
            )
        ratio = median(other / own for other, own in zip(worker.seconds, ours, strict=True))
        row = f"| {name} | {median(worker.seconds):.3f} | {ratio:.2f} "
        row += f"| {cold[name]:.2f} | {worker.first['seconds']:.2f} | {last['peak']:.0f} | {last['loss']:.3f} |"
        print(row, flush=True)


def memory(data: Path, scratch: Path) -> None:
    """No growth over many epochs: what one of them left behind would add up over a night."""
    worker = Worker(OURS, "peers_keras:hemline_small", data, scratch)
    for _ in range(20):  # allocators settle
        before = worker.ask()["megabytes"]
    for _ in range(SMALL_EPOCHS):
        after = worker.ask()["megabytes"]
    worker.close()
    print(f"\nMemory of ours over {SMALL_EPOCHS} epochs of 2,000 images: {before:.1f} MB before, {after:.1f} after.")
    if after - before > GROWTH:
        raise SystemExit(f"memory must not grow by more than {GROWTH} MB. Received: {after - before:.1f} MB.")


if __name__ == "__main__":
    main()
