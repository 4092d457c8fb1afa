"""Plays rounds in lanes beside each other, and prints what came of them."""

import argparse
import os
import queue
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from flows.server import end_on_signals
from hemline.config.data import DataConfig
from hemline.config.paths import CHECKOUT
from ops.chaos.faults import FAULTS
from ops.chaos.lane import Lane
from ops.chaos.rounds import CASES, STEPS, Result, Round, World, draw

HEADER = ("fault", "rounds", "where", "back at work after (median, max)", "attempts (max)", "bits equal")
HEADER += ("artifacts whole", "messages right")


def main() -> None:
    """Exit code 1 if anything was lost."""
    end_on_signals()
    parser = argparse.ArgumentParser(prog="python -m ops.chaos", description="Faults at random moments.")
    parser.add_argument("--rounds", type=int, default=40, help="how many (default: 40)")
    parser.add_argument("--seed", type=int, default=1, help="of all that is random (default: 1)")
    parser.add_argument("--lanes", type=int, default=3, help="servers that work beside each other (default: 3)")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of rounds, to see them again")
    parser.add_argument("--fault", choices=FAULTS, help="this one alone")
    parser.add_argument("--markdown", action="store_true", help="the table as Markdown")
    arguments = parser.parse_args()

    pictures, names = find_pictures(), [arguments.fault] if arguments.fault else list(FAULTS)
    impossible = {"disk full": os.geteuid() != 0, "data corrupted": pictures is None}
    for name in [name for name in names if impossible.get(name)]:
        names.remove(name)
        print(
            f"without {name!r}: it needs {'root, to mount a disk' if pictures else 'Fashion-MNIST, see docs/data.md'}"
        )
    cases = [case for case in CASES if case != "pictures"]
    numbers = range(1, arguments.rounds + 1) if arguments.only is None else arguments.only
    rounds = [draw(number, arguments.seed, names, cases) for number in numbers]
    directory = Path(tempfile.mkdtemp(prefix="chaos-"))
    results = []
    for result in play(rounds, World(directory, pictures), min(arguments.lanes, len(rounds))):
        results.append(result)
        print(line(result), flush=True)
    print(table(results, arguments.markdown))
    if any(result.losses for result in results):
        sys.exit(f"Something was lost. What there is of it is in {directory}.")
    shutil.rmtree(directory)


def find_pictures() -> Path | None:
    """Where Fashion-MNIST is prepared: of this machine, or of the tests."""
    places = [DataConfig().data_path, CHECKOUT / ".pytest-data"]
    return next((place for place in places if (place / "fashion_mnist").is_dir()), None)


def play(rounds: list[Round], world: World, lanes: int) -> Iterator[Result]:
    """Results in the order in which they come."""
    todo: queue.SimpleQueue[Round] = queue.SimpleQueue()
    done: queue.SimpleQueue[Result] = queue.SimpleQueue()
    for round_ in rounds:
        todo.put(round_)
    with Lane(world.directory / "first") as first:
        for case in {"epochs": None} | {round_.case: None for round_ in rounds}:
            world.prepare(first, case)

    def work(number: int) -> None:
        with Lane(world.directory / f"lane-{number}") as lane:
            while True:
                try:
                    done.put(world.play(lane, todo.get_nowait()))
                except queue.Empty:
                    return

    with ThreadPoolExecutor(lanes) as pool:
        for number in range(lanes):
            pool.submit(work, number).add_done_callback(lambda future: future.result())
        for _ in rounds:
            yield done.get()


def line(result: Result) -> str:
    """A round in a line."""
    what = "; ".join(
        f"{fault} in {where}" for (fault, *_), where in zip(result.round.blows, result.where, strict=False)
    )
    text = f"round {result.round.number}: {what}: {result.state}, back after {result.seconds:.0f} s"
    return "\n    LOST ".join([f"{text}, {result.attempts} attempts", *result.losses])


def table(results: list[Result], markdown: bool) -> str:
    """A row for each fault, and one for all."""
    rows = [HEADER]
    for name in FAULTS:
        if of := [result for result in results if result.round.blows[0][0] == name]:
            rows.append(row(name, of))
    rows.append(row("all", results))
    if markdown:
        rows.insert(1, ("---",) * len(HEADER))
        return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    widths = [max(len(cells[n]) for cells in rows) for n in range(len(HEADER))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(cells, widths, strict=True)).rstrip() for cells in rows)


def row(name: str, results: list[Result]) -> tuple[str, ...]:
    """What came of some rounds."""
    places = {result.where[0].removeprefix("after ") for result in results if result.where}
    where = sorted(places, key=[*STEPS, *sorted(places - set(STEPS))].index)
    seconds = [result.seconds for result in results]

    def share(what: str, of: Iterable[Result]) -> str:
        of = list(of)
        return f"{sum(not (result.lost(what) or result.lost('end')) for result in of)} of {len(of)}"

    return (
        name,
        str(len(results)),
        ", ".join(where) if name != "all" else f"{len(where)} places",
        f"{median(seconds):.0f} s, {max(seconds):.0f} s",
        str(max(result.attempts for result in results)),
        share("bits", (result for result in results if result.round.flow == "retrain")),
        share("artifacts", results),
        share("messages", results),
    )


if __name__ == "__main__":
    main()
