"""Our training loop beside `fit`, the chapter's loop, PyTorch, JAX and bare matrix products, on the same work.

    make bench                          # or: make bench ARGS="--rounds 9", make bench ARGS="--only JAX"

Three tables: the MLP on all images, and on fewer the recipe best-mlp (Muon) and the CNN. The MLP and the CNN have the
chapter's optimizers. In each table the same network, images, batches of 128 and optimizers. Who does less, and `fit`
does, is the faster for it: one optimizer, no losses of single steps. Every contestant has a process of its own. In a
round each runs two epochs, one contestant after the other: the first finds the others' data in the machine's caches
(`in turn`), the second its own (`alone`). So a machine that slows down slows all of them. Read the ratios: the seconds
are this machine's.

The first epoch of a process traces and compiles: cold without, warm with what an earlier process left in the
compiler's cache. Peak memory includes the framework and 47 MB of images. The last row of a table is what its matrix
products would take at the fastest that the machine has been seen to multiply (`bench.roofline`).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench import machine
from bench.work import best_mlp_flops, cnn_flops, mlp_flops

ROOT = Path(__file__).parents[1]
OURS, PEERS = sys.executable, str(ROOT / ".venv-peers" / "bin" / "python")
SMALL_EXAMPLES, SMALL_EPOCHS, GROWTH = 2_000, 200, 2.0  # MB


@dataclass(frozen=True)
class Table:
    """Contestants that do the same work; the first is ours."""

    title: str
    contestants: dict[str, tuple[str, str]]  # by name: a Python, and module:function
    examples: int
    flops: Callable[[int], int]
    learned: float  # a mean loss that the last epoch of every contestant is below


TABLES = [
    Table(
        "MLP",
        {
            "hemline": (OURS, "peers_keras:hemline"),
            "hemline, images streamed from disk": (OURS, "peers_keras:hemline_streamed"),
            "Keras `fit`, default": (OURS, "peers_keras:fit"),
            "Keras `fit`, steps_per_execution=64": (OURS, "peers_keras:fit_64"),
            "Keras `fit`, steps_per_execution=64, jit_compile": (OURS, "peers_keras:fit_jit"),
            "the chapter's loop, all variables": (OURS, "peers_keras:chapter"),
            "PyTorch, eager, fused optimizers": (PEERS, "peers_torch:eager"),
            "PyTorch, torch.compile, fused optimizers": (PEERS, "peers_torch:inductor"),
            "PyTorch, torch.compile of the whole step": (PEERS, "peers_torch_whole:step"),
            "JAX, jit and scan": (PEERS, "peers_jax:scan"),
            "matrix products alone, oneDNN (TensorFlow's graph)": (OURS, "products:onednn"),
            "matrix products alone, XLA": (OURS, "products:xla"),
            "matrix products alone, NumPy": (OURS, "products:numpy"),
        },
        machine.EXAMPLES,
        mlp_flops,
        0.40,  # 0.27 to 0.33 were seen in the second epoch
    ),
    Table(
        "best-mlp",
        {
            "hemline": (OURS, "peers_keras:best_mlp"),
            "PyTorch, eager, torch.optim.Muon (bfloat16)": (PEERS, "peers_torch:best_eager"),
            "PyTorch, torch.compile, torch.optim.Muon (bfloat16)": (PEERS, "peers_torch:best_inductor"),
            "PyTorch, torch.compile of the whole step": (PEERS, "peers_torch_whole:best"),
            "JAX, jit and scan": (PEERS, "peers_jax:best_mlp"),
        },
        12_800,  # fewer than there are, so that a round is short; whole batches
        best_mlp_flops,
        0.40,
    ),
    Table(
        "CNN",
        {
            "hemline": (OURS, "peers_keras:cnn"),
            "Keras `fit`, steps_per_execution=16": (OURS, "peers_keras:fit_cnn"),
            "PyTorch, eager, channels last": (PEERS, "peers_torch:cnn_eager"),
            "PyTorch, torch.compile, channels last": (PEERS, "peers_torch:cnn_inductor"),
            "JAX, jit of a step": (PEERS, "peers_jax_cnn:step"),
        },
        1_280,
        cnn_flops,
        1.60,  # of 2.3 before the first step: 40 steps are few
    ),
]


@dataclass
class Worker:
    """A contestant's process. `ask` runs one epoch in it."""

    python: str
    contestant: str
    data: Path
    examples: int
    scratch: Path
    in_turn: list[float] = field(default_factory=list)  # seconds of an epoch after another contestant's
    alone: list[float] = field(default_factory=list)  # seconds of an epoch after its own

    def __post_init__(self) -> None:
        caches = {
            "TF_XLA_FLAGS": f"--tf_xla_persistent_cache_directory={self.scratch}/xla",
            "JAX_COMPILATION_CACHE_DIR": f"{self.scratch}/jax",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "TORCHINDUCTOR_CACHE_DIR": f"{self.scratch}/inductor",
        }
        command = [self.python, "-m", "bench.worker", f"bench.{self.contestant}", str(self.data), str(self.examples)]
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
        self.first = self.last = self._answer()

    def ask(self) -> float:
        """Seconds of one more epoch."""
        assert self.process.stdin
        print(file=self.process.stdin, flush=True)
        self.last = self._answer()
        return float(self.last["seconds"])

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
    """Prints the machine, a table for each kind of work, and what the memory of a long run of ours does."""
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="epochs measured of each, both ways (default: 5)")
    parser.add_argument("--only", default="", help="contestants whose name has this in it, beside ours")
    parser.add_argument("--table", default="", help="tables whose title has this in it")
    parser.add_argument("--memory", action="store_true", help="only the memory of a long run of ours")
    arguments = parser.parse_args()

    from hemline.config.data import DataConfig
    from hemline.data.decoding import prepare

    data = prepare(DataConfig()).path
    if not arguments.memory:
        peak = machine.peak(OURS)
        print(machine.described(peak), flush=True)
        for table in TABLES:
            if arguments.table in table.title:
                names = [name for name in table.contestants if name == "hemline" or arguments.only in name]
                with tempfile.TemporaryDirectory() as scratch:
                    race(table, names, arguments.rounds, data, Path(scratch), peak)
    with tempfile.TemporaryDirectory() as scratch:
        memory(data, Path(scratch))


def race(table: Table, names: list[str], rounds: int, data: Path, scratch: Path, peak: machine.Peak) -> None:
    """All contestants, two epochs of each in turn."""
    cold: dict[str, float] = {}
    workers: dict[str, Worker] = {}
    failures: dict[str, str] = {}
    for number, name in enumerate(names):
        own = scratch / str(number)
        own.mkdir()
        try:
            worker = Worker(*table.contestants[name], data, table.examples, own)
            cold[name] = worker.first["seconds"]
            worker.close()
            workers[name] = Worker(*table.contestants[name], data, table.examples, own)
        except (RuntimeError, OSError) as error:
            failures[name] = str(error)
        print(f"{table.title}, {name}: {failures.get(name, 'ready')}", file=sys.stderr)
    for _ in range(rounds):
        for worker in workers.values():
            worker.in_turn.append(worker.ask())
            worker.alone.append(worker.ask())
    abouts = {library: text for worker in workers.values() for library, text in worker.first["about"].items()}
    print(
        f"\n{table.title}, {table.examples:,} images; "
        + "; ".join(f"{library} {text}" for library, text in abouts.items())
        + ".\n"
    )
    print(
        f"| loop | s/epoch alone, median of {rounds} | in turn | times ours alone, median of pairs | in turn |", end=" "
    )
    print("first epoch, cold | warm | peak MB | loss, last epoch |\n" + "| --- " * 9 + "|")
    ours = workers["hemline"]
    for name in names:
        if name in failures:
            print(f"| {name} | failed: {failures[name]} |" + " |" * 7)
            continue
        worker = workers[name]
        worker.close()
        loss = worker.last["loss"]
        if loss is not None and not loss <= table.learned:
            raise SystemExit(f"{name} must learn. Received: a mean loss of {loss} after {2 * rounds + 1} epochs.")
        print(f"| {name} | {row(worker, ours)} | {cold[name]:.2f} | {worker.first['seconds']:.2f} ", end="")
        print(f"| {worker.last['peak']:.0f} | {'none' if loss is None else f'{loss:.3f}'} |", flush=True)
    seconds = table.flops(table.examples) / peak.flops
    print(f"| its products at the machine's peak | {seconds:.3f} | | {seconds / median(ours.alone):.2f} |" + " |" * 5)


def row(worker: Worker, ours: Worker) -> str:
    """Both medians and both ratios."""
    pairs = [(worker.alone, ours.alone), (worker.in_turn, ours.in_turn)]
    seconds = [median(theirs) for theirs, _ in pairs]
    ratios = [median(their / our for their, our in zip(*pair, strict=True)) for pair in pairs]
    return f"{seconds[0]:.3f} | {seconds[1]:.3f} | {ratios[0]:.2f} | {ratios[1]:.2f}"


def memory(data: Path, scratch: Path) -> None:
    """No growth over many epochs: what one of them left behind would add up over a night."""
    worker = Worker(OURS, "peers_keras:hemline", data, SMALL_EXAMPLES, scratch)
    for _ in range(20):  # allocators settle
        worker.ask()
    before = worker.last["megabytes"]
    for _ in range(SMALL_EPOCHS):
        worker.ask()
    after = worker.last["megabytes"]
    worker.close()
    work = f"{SMALL_EPOCHS} epochs of {SMALL_EXAMPLES:,} images"
    print(f"\nMemory of ours over {work}: {before:.1f} MB before, {after:.1f} after.")
    if after - before > GROWTH:
        raise SystemExit(f"memory must not grow by more than {GROWTH} MB. Received: {after - before:.1f} MB.")


if __name__ == "__main__":
    main()
