"""The rounds of `make chaos`: a handful at once on one machine, and that what would be lost is noticed."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random

import pytest

from ops.chaos.__main__ import row, table
from ops.chaos.faults import CHECKPOINT, FAULTS
from ops.chaos.lane import Lane
from ops.chaos.rounds import STEPS, TRAIN, Result, Round, World, draw

pytestmark = pytest.mark.system
KILLED, TERMINATED = "flow killed", "flow terminated"


def round_of(number: int, fault: str, step: str, share: float, flow: str = "retrain") -> Round:
    return Round(number, flow, "epochs", champion=True, blows=[(fault, step, share)], random=Random(number))


@pytest.mark.slow
def test_what_is_killed_terminated_or_corrupted_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    """All at once, since the faults hit one run each: a run that came back once lost bits, its message, or its slot."""
    world = World(tmp_path, pictures=None)
    rounds = [
        round_of(1, KILLED, "publish", 0.5),
        round_of(2, TERMINATED, TRAIN, 0.5),
        round_of(3, CHECKPOINT, TRAIN, 0.8),
    ]
    with Lane(tmp_path / "lane") as lane:
        world.prepare(lane, "epochs")
        with ThreadPoolExecutor(len(rounds)) as pool:
            results = list(pool.map(partial(world.play, lane), rounds))
    assert {result.round.blows[0][0]: (result.state, result.losses) for result in results} == {
        fault: ("Kept", []) for fault in (KILLED, TERMINATED, CHECKPOINT)
    }


def test_a_seed_draws_the_same_rounds_and_every_fault_and_step() -> None:
    rounds = [draw(number, 1, list(FAULTS)) for number in range(1, 200)]
    again = draw(17, 1, list(FAULTS))
    assert (again.flow, again.case, again.blows) == (rounds[16].flow, rounds[16].case, rounds[16].blows)
    faults_drawn = Counter(fault for each in rounds for fault, *_ in each.blows)
    steps = Counter(step for each in rounds for _, step, _ in each.blows)
    assert (faults_drawn.keys(), steps.keys()) == (FAULTS.keys(), set(STEPS))
    assert {each.flow for each in rounds} == {"retrain", "rollback", "prune"}


def test_a_loss_is_in_the_table() -> None:
    good = Result(round_of(1, KILLED, TRAIN, 0.5), [TRAIN], "Promoted", seconds=21, attempts=2)
    bad = Result(round_of(2, KILLED, TRAIN, 0.5), [TRAIN], "Promoted", 25, 3, ["bits: model.keras has other weights"])
    rollback = Result(round_of(3, KILLED, STEPS[0], 0.5, "rollback"), ["rollback"], "no end", 0, 0, ["end: no end"])
    counted = ("1 of 2", "2 of 3", "2 of 3")  # bits, artifacts, messages
    assert row(KILLED, [good, bad, rollback]) == (KILLED, "3", "train, rollback", "21 s; 25 s", "3", *counted)
    assert table([good, bad, rollback]).count("\n") == 3
