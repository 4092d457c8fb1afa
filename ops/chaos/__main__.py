"""Plays rounds in lanes beside each other, and prints what came of them."""

import argparse
import os
import queue
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from flows.server import end_on_signals
from hemline.config.data import DataConfig
from hemline.config.paths import CHECKOUT
from ops.chaos.faults import DATA, DISK, FAULTS
from ops.chaos.lane import Lane
from ops.chaos.rounds import FILES, STEPS, Result, Round, World, draw

COLUMNS = "fault, rounds, where, at work again after (median; most), attempts (most), bits, artifacts, messages"


def main() -> None:
    """Exit code 1 if anything was lost."""
    end_on_signals()
    parser = argparse.ArgumentParser(prog="python -m ops.chaos", description="Faults at random moments of real runs.")
    parser.add_argument("--rounds", type=int, default=40, help="how many (default: 40)")
    parser.add_argument("--seed", type=int, default=1, help="of all that is random (default: 1)")
    parser.add_argument("--lanes", type=int, default=3, help="machines beside each other (default: 3)")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of rounds, to see them again")
    parser.add_argument("--fault", choices=FAULTS, help="this one alone")
    arguments = parser.parse_args()

    places, names = (DataConfig().data_path, CHECKOUT / ".pytest-data"), list(FAULTS)
    pictures = next((place for place in places if (place / FILES).is_dir()), None)
    for name, possible in ((DISK, os.geteuid() == 0), (DATA, pictures is not None)):
        if not possible:
            names.remove(name)
            print(f"Left out: {name}. It needs root, to mount a disk, or Fashion-MNIST in data/.")
    rounds = [
        draw(number, arguments.seed, [arguments.fault] if arguments.fault else names)
        for number in arguments.only or range(1, arguments.rounds + 1)
    ]
    directory, results = Path(tempfile.mkdtemp(prefix="chaos-")), list[Result]()
    for result in play(rounds, World(directory, pictures), directory, min(arguments.lanes, len(rounds))):
        results.append(result)
        print(line(result), flush=True)
    print(table(results))
    if any(result.losses for result in results):
        sys.exit(f"Something was lost. The files of those rounds are in {directory}.")
    shutil.rmtree(directory)


def play(rounds: list[Round], world: World, directory: Path, lanes: int) -> Iterator[Result]:
    """Results in the order in which they come."""
    with Lane(directory / "alone") as lane:
        for case in dict.fromkeys(["epochs", *(round_.case for round_ in rounds)]):
            world.prepare(lane, case)
    todo, done = queue.SimpleQueue[Round](), queue.SimpleQueue[Result | BaseException]()
    for round_ in rounds:
        todo.put(round_)

    def work(number: int) -> None:
        try:
            with Lane(directory / f"lane-{number}") as lane:
                while True:
                    done.put(world.play(lane, todo.get_nowait()))
        except queue.Empty:
            return
        except BaseException as error:  # of a lane that does not start
            done.put(error)

    with ThreadPoolExecutor(lanes) as pool:
        for number in range(lanes):
            pool.submit(work, number)
        for _ in rounds:
            if isinstance(result := done.get(), BaseException):
                raise result
            yield result


def line(result: Result) -> str:
    """A round in a line."""
    what = "; ".join(f"{fault} ({where})" for (fault, *_), where in zip(result.round.blows, result.where, strict=False))
    text = f"round {result.round.number}, {result.round.flow}: {what}: {result.state}, after {result.seconds:.0f} s"
    return "\n    LOST ".join([f"{text}, attempts: {result.attempts}", *result.losses])


def table(results: list[Result]) -> str:
    """In Markdown: a row for each fault, and one for all."""
    of = {name: [result for result in results if result.round.blows[0][0] == name] for name in FAULTS}
    rows = [tuple(COLUMNS.split(", ")), *(row(name, some) for name, some in of.items() if some), row("all", results)]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(rows[0]))]
    rows.insert(1, tuple("-" * width for width in widths))
    return "\n".join(f"| {' | '.join(map(str.ljust, cells, widths))} |" for cells in rows)


def row(name: str, results: list[Result]) -> tuple[str, ...]:
    """What came of some rounds. A round that did not end well counts nowhere."""
    seconds = [result.seconds for result in results]
    places = {where for result in results for where in result.where[:1]}
    where = sorted(places, key=lambda place: STEPS.index(place) if place in STEPS else len(STEPS))

    def share(what: str, some: list[Result]) -> str:
        good = [result for result in some if not any(loss.startswith((what, "end")) for loss in result.losses)]
        return f"{len(good)} of {len(some)}"

    trained = [result for result in results if result.round.flow == "retrain"]
    return (
        name,
        str(len(results)),
        f"{len(where)} places" if len(where) > 6 else ", ".join(where),
        f"{median(seconds):.0f} s; {max(seconds):.0f} s",
        str(max(result.attempts for result in results)),
        share("bits", trained),
        share("artifacts", results),
        share("messages", results),
    )


if __name__ == "__main__":
    main()
