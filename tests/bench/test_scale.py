"""The cost model by hand: one run, more workers than runs, each station as the one that all wait for; and simulated."""

import math
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.scale import print_night
from bench.scale_model import PARTS, Costs, Place, bounds, predicted

NOTHING = dict.fromkeys(PARTS, 0.0)
# Asked for, it waits 1 s for a worker, whose slot it has for 9 s; for 2 s of them the device is its own.
LIGHT = Costs(
    slot=9.0, poll=2.0, device=2.0, run=NOTHING | {"host": 6.0, "store requests": 7.0}, rest=NOTHING, worker=NOTHING
)


def binding(costs: Costs, place: Place, runs: int) -> tuple[str, float]:
    """The station that all wait for, and its bound."""
    return max(bounds(costs, place, runs).items(), key=lambda each: each[1])


def test_one_run_takes_its_own_time() -> None:
    for place in (Place(hosts=1, cores=1, workers=1), Place(hosts=3, cores=8, workers=2, together=True)):
        assert predicted(LIGHT, place, 1) == pytest.approx(10.0)


def test_runs_take_turns_on_the_slots() -> None:
    place = Place(hosts=1, cores=8, workers=2)
    assert [bounds(LIGHT, place, runs)["slots"] for runs in (1, 2, 3, 8)] == [10.0, 10.0, 20.0, 40.0]
    nothing_else = replace(LIGHT, device=0.0, run=dict.fromkeys(LIGHT.run, 0.0))
    assert [predicted(nothing_else, place, runs) for runs in (1, 2, 3, 8)] == [10.0, 10.0, 20.0, 40.0]


def test_workers_beyond_the_runs_do_nothing() -> None:
    two_hosts = Place(hosts=2, cores=8, workers=1)
    assert predicted(LIGHT, two_hosts, 2) == predicted(LIGHT, replace(two_hosts, workers=100), 2)


def test_two_runs_wait_for_each_other_in_turn() -> None:
    # Alone a run has the one station for 2 of 10 s, so the other one finds it busy for a fifth of the time.
    place, one_station = Place(hosts=1, cores=8, workers=2), replace(LIGHT, run=dict.fromkeys(LIGHT.run, 0.0))
    assert predicted(one_station, place, 8) == pytest.approx(8 / 2 * (10.0 + 2.0 * 2.0 / 10.0))


def test_many_workers_come_near_the_bound() -> None:
    """A host trains one run at a time, so that every 2 s another one has ended."""
    assert binding(LIGHT, Place(hosts=1, cores=8, workers=8), 80) == ("devices", 160.0)
    assert binding(LIGHT, Place(hosts=2, cores=8, workers=4), 80) == ("slots", 100.0)
    near = [predicted(LIGHT, Place(hosts=1, cores=8, workers=workers), 80) / 160.0 for workers in (8, 12, 16, 20)]
    assert sorted(near, reverse=True) == near
    assert near[-1] == pytest.approx(1.0, abs=0.002)


def test_processors_bind() -> None:
    # 8 times 6 s on two processors.
    assert binding(LIGHT, Place(hosts=1, cores=2, workers=8), 8) == ("processors", 24.0)
    # Together with the server, for 2 s each, on two of which others take a half.
    shared = replace(LIGHT, run={**LIGHT.run, "server": 2.0})
    place = Place(hosts=1, cores=1.5, workers=8, together=True)
    assert binding(shared, place, 9) == ("processors", 9 * 8.0 / 1.5)


def test_the_server_binds_and_has_one_processor_however_many_there_are() -> None:
    # Idle it takes 0.2 of its processor, and each of 40 workers 0.01: 0.4 are left for 2 s a run.
    asks = {**LIGHT.run, "server": 2.0, "database": 4.0}
    costs = replace(LIGHT, run=asks, rest=NOTHING | {"server": 0.2}, worker=NOTHING | {"server": 0.01})
    place = Place(hosts=10, cores=8, workers=4)
    assert bounds(costs, place, 1000) == pytest.approx(
        {
            "slots": 25 * 10.0,
            "devices": 100 * 2.0,
            "server": 1000 * 5.0,
            "processors": 1000 * 6 / 80,
            "database": 1000 * 4 / 8,
            "store": 1000 * 7 / 3500,
        }
    )
    assert predicted(costs, place, 1000) == pytest.approx(5000.0)


def test_workers_that_fill_the_server_by_looking_for_work_let_no_run_pass() -> None:
    costs = replace(LIGHT, worker=NOTHING | {"server": 0.01}, run={**LIGHT.run, "server": 2.0})
    place = Place(hosts=25, cores=8, workers=4)
    assert binding(costs, place, 1) == ("server", math.inf)
    assert predicted(costs, place, 1) == math.inf


def test_a_night_on_paper(capsys: pytest.CaptureFixture[str]) -> None:
    asks = {**LIGHT.run, "server": 2.0, "bytes": 5e6, "rows": 1e5}
    costs = replace(LIGHT, run=asks, worker=NOTHING | {"server": 0.01})
    print_night(costs, costs)
    lines = (line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines())
    rows = {name: cells for name, *cells in lines}
    # Looking for work takes 0.04 of the server's processor with 4 workers, 0.4 with 40, 0.08 if they look seldom.
    assert rows["server, h"] == [f"{10_000 * 2.0 / left / 3600:.1f}" for left in (0.96, 0.6, 0.92, 0.6)]
    assert rows["slots, h"] == ["6.9", "0.7", "1.0", "0.7"]  # a run waits for 5 s, not for 1, before its 9 s
    assert rows["**bound by**"][1:] == ["server"] * 3
    assert rows["**predicted, h**"][1:] == rows["server, h"][1:]
    assert rows["files, MB"] == ["50,000"] * 4


TICK = 0.05
PHASES = [(3.0, 1.0, False), (6.0, 1.5, True), (0.0, 1.0, False), (4.0, 1.0, False)]  # work, processors, on the device


def simulated(cores: float, workers: int, runs: int, poll: float) -> float:
    """The naive twin: seconds in small steps, in which runs share processors; without work, a phase waits for 1 s."""
    now, left, ended, chance = 0.0, runs, 0, Random(1)
    at: list[int | None] = [None] * workers  # the phase of each worker's run
    to_do, looks = [0.0] * workers, [poll * each / workers for each in range(workers)]
    holder: int | None = None  # of the device
    while ended < runs:
        now += TICK
        for each in range(workers):
            if now >= looks[each]:
                looks[each] += poll * chance.uniform(0.7, 1.3)  # as Prefect's workers do
                if at[each] is None and left:
                    left, at[each], to_do[each] = left - 1, 0, PHASES[0][0]
        if holder is None:
            holder = next((each for each, phase in enumerate(at) if phase is not None and PHASES[phase][2]), None)
        goes_on = {each: PHASES[phase] for each, phase in enumerate(at) if phase is not None}
        goes_on = {each: phase for each, phase in goes_on.items() if not phase[2] or each == holder}
        share = min(1.0, cores / max(sum(wanted for work, wanted, _ in goes_on.values() if work), 1e-9))
        for each, (work, wanted, _) in goes_on.items():
            to_do[each] -= TICK * (wanted * share if work else 1.0)
            if to_do[each] <= 1e-9:
                holder = None if holder == each else holder
                phase = at[each] = (at[each] or 0) + 1
                if phase == len(PHASES):
                    at[each], ended = None, ended + 1
                else:
                    to_do[each] = PHASES[phase][0] or 1.0
    return now


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("cores", [2.0, 8.0])
def test_a_simulation_takes_as_long_as_predicted(cores: float, workers: int) -> None:
    costs = replace(LIGHT, slot=12.0, device=4.0, run={**LIGHT.run, "host": 13.0})
    expected = predicted(costs, Place(1, cores, workers), runs := 24)
    assert 0.8 < simulated(cores, workers, runs, costs.poll) / expected < 1.1


few = st.integers(1, 50)
some = st.floats(0, 20)


@given(few, few, few, few, some, some, some, some, st.booleans())
def test_more_of_anything_is_never_slower_and_more_runs_never_faster(
    hosts: int, cores: int, workers: int, runs: int, slot: float, device: float, host: float, server: float, one: bool
) -> None:
    """While looking for work costs nothing."""
    of_run = NOTHING | {"host": host, "server": server, "store requests": 7.0}
    costs = replace(LIGHT, slot=slot, device=min(device, slot), run=of_run)
    place = Place(hosts, cores, workers, together=one)
    took = predicted(costs, place, runs)
    for more in (replace(place, workers=workers + 1), replace(place, hosts=hosts + 1), replace(place, cores=cores + 1)):
        assert predicted(costs, more, runs) <= took * (1 + 1e-9)
    assert (costs.poll / 2 + slot) * (1 - 1e-9) <= took <= predicted(costs, place, runs + 1) * (1 + 1e-9)
