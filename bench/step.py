"""Where the time of a training step goes: TensorFlow's profile of the compiled loop, by what each kernel is for.

    python -m bench.step                # the MLP with the chapter's optimizers, one thread
    python -m bench.step --kernels 20   # and the kernels that take longest

A profile has the duration of each kernel of each step, and XLA says from which operation of the step it comes. On one
thread one kernel runs at a time, so that durations add up to the step's. A kernel counts with the median of an epoch
times how often it runs. What is left of the step's time is between kernels: XLA starting them, and the profiler.
"""

import argparse
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import tensorflow as tf

from bench.work import BATCH_SIZE, CHAPTER, SEED
from hemline.config.data import DataConfig
from hemline.config.retrain import RetrainConfig
from hemline.data.dataset import load_split
from hemline.data.decoding import prepare
from hemline.models.mlp import build_mlp
from hemline.training.groups import partition
from hemline.training.loop import Trainer

# What is for what, by the operation that a kernel comes from; the first that matches.
PARTS = {
    "matrix products": r"MatMul$|MatMul_1$",
    "optimizers": r"while/(adam|sgd)/",
    "LayerNorm, both ways": r"norm_\d|while/(Mean|mul|sub)_\d+$",
    "gather and scale": r"GatherV2|scale_\d",
    "bias and relu, both ways": r"Bias|[Rr]elu",
    "loss and hits": r"Softmax|ArgMax|while/Sum|truediv|Greater|Cast|while/mul$",
    "loop": r"",
}
Kernels = dict[str, tuple[float, float, str]]  # by name: microseconds, runs in a step, operation
EPOCHS = (2, 3, 4)  # the first compiles
CALL = "CpuExecutable::ExecuteAsyncOnStream"  # of the compiled chunk


def new_trainer() -> Trainer:
    """The MLP with the chapter's optimizers on the training split."""
    images, labels = load_split(prepare(DataConfig()), "train")
    model = build_mlp(images.shape[1:], int(labels.max()) + 1, SEED)
    groups = partition(model, RetrainConfig(groups=CHAPTER).groups.by_name())
    return Trainer(model, groups, images, labels, batch_size=BATCH_SIZE, seed=SEED)


def program_of(trainer: Trainer) -> str:
    """The loop over a chunk as XLA runs it."""
    order = np.zeros((1, trainer.chunk, trainer.batch_size), np.int32)
    (examples,) = trainer.feed(order)
    arguments = (*examples, tf.constant(1), tf.constant(0, tf.int64))
    return str(trainer.run_steps.experimental_get_compiler_ir(*arguments)(stage="optimized_hlo"))


def operations(program: str) -> dict[str, str]:
    """Of each instruction of a program: its name, and the operation of the step that it comes from.

    XLA names none for the first half of a sum that it divides: the second half, which uses it, has the name.
    """
    found: dict[str, str] = {}
    users: dict[str, str] = {}
    for line in program.splitlines():
        if match := re.match(r"\s*(?:ROOT )?%?([\w.-]+) = (.*)", line):
            name, rest = match.groups()
            operation = re.search(r'op_name="([^"]*)"', rest)
            found[name] = operation[1] if operation else ""
            for used in re.findall(r"%([\w.-]+)", rest):
                users.setdefault(used, name)
    return {name: operation or found.get(users.get(name, ""), "") for name, operation in found.items()}


def durations(run: Callable[[], Any]) -> dict[str, list[float]]:
    """Microseconds of everything that the profiler sees, by name."""
    from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace

    with tempfile.TemporaryDirectory() as directory:
        tf.profiler.experimental.start(directory, tf.profiler.experimental.ProfilerOptions(host_tracer_level=3))
        run()
        tf.profiler.experimental.stop()
        (path,) = Path(directory).rglob("*.xplane.pb")
        space = XSpace.FromString(path.read_bytes())
    found = defaultdict(list)
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                found[plane.event_metadata[event.metadata_id].name].append(event.duration_ps / 1e6)
    return found


def profile(trainer: Trainer, origin: dict[str, str]) -> tuple[Kernels, float]:
    """The kernels of a step, and the microseconds of a whole one: the fastest whole chunk's share."""
    found = durations(lambda: [chunk for epoch in EPOCHS for chunk in trainer.epoch(epoch)])
    steps = len(EPOCHS) * trainer.steps
    kernels = {
        name: (median(own), len(own) / steps, origin[name])
        for name, own in found.items()
        if name in origin and len(own) >= steps
    }
    calls, whole = found[CALL], trainer.steps // trainer.chunk  # an epoch's last chunk is shorter
    in_epoch = len(calls) // len(EPOCHS)
    return kernels, min(call for number, call in enumerate(calls) if number % in_epoch < whole) / trainer.chunk


def part_of(operation: str) -> str:
    """The part of the step that an operation belongs to."""
    return next(part for part, pattern in PARTS.items() if re.search(pattern, operation))


def table(step: float, kernels: Kernels) -> Iterator[str]:
    """Rows of parts. step: its microseconds. kernels: microseconds and runs in a step, and the operation, by name."""
    yield "| part of the step | µs | share | kernels |\n| --- | --- | --- | --- |"
    parts: dict[str, list[tuple[float, float]]] = {part: [] for part in PARTS}
    for microseconds, runs, operation in kernels.values():
        parts[part_of(operation)].append((microseconds * runs, runs))
    rest = step
    for part, own in parts.items():
        microseconds = sum(each for each, _ in own)
        rest -= microseconds
        yield f"| {part} | {microseconds:.0f} | {microseconds / step:.0%} | {sum(runs for _, runs in own):.0f} |"
    yield f"| between kernels | {rest:.0f} | {rest / step:.0%} | |"
    yield f"| **the step** | **{step:.0f}** | | **{sum(runs for _, runs, _ in kernels.values()):.0f}** |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.step", description=__doc__.partition("\n")[0])
    parser.add_argument("--kernels", type=int, default=0, help="print so many kernels too (default: 0)")
    count = parser.parse_args().kernels
    tf.config.threading.set_intra_op_parallelism_threads(1)
    trainer = new_trainer()
    origin = operations(program_of(trainer))
    list(trainer.epoch(1))
    body, step = profile(trainer, origin)
    print("\n".join(table(step, body)))
    for name, (microseconds, runs, operation) in sorted(body.items(), key=lambda item: -item[1][0])[:count]:
        print(f"{microseconds:7.1f} µs x {runs:.0f}  {name:32} {part_of(operation):25} {operation}")


if __name__ == "__main__":
    main()
