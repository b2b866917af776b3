from __future__ import annotations

import itertools
import random

import pytest

from allegro.capture.recorder import clocks
from allegro.capture.recorder.clocks import Clock
from allegro.system.boottime import Reading, read_clocks

S = 1_000_000_000
MS = 1_000_000
BOOT_ID = bytes(range(16))
WALL = 1_795_270_000 * S


def started(at: int = 100 * S) -> Clock:
    return Clock(Reading(at, WALL + at), BOOT_ID)


@pytest.mark.spec("R9")
def test_without_steps_both_clocks_differ_by_what_they_did() -> None:
    kept = started()
    assert kept.look(Reading(200 * S, WALL + 200 * S + 5000)) is None
    times = kept.times(WALL + 150 * S, WALL + 151 * S, 149 * S)
    assert times == (BOOT_ID, 150 * S, 151 * S, WALL, 0)
    # Two processors received: the last packet of the block is a little older than the first.
    times = kept.times(WALL + 150 * S, WALL + 150 * S - 4000, 149 * S)
    assert (times.first_boot_ns, times.last_boot_ns, times.step_ns) == (150 * S - 4000, 150 * S, 0)


@pytest.mark.spec("R9", "R10")
@pytest.mark.parametrize("size", [-3600 * S, -2 * S, -400 * MS, 400 * MS, 2 * S, 365 * 86400 * S])
def test_every_block_gets_the_time_that_nobody_set(size: int) -> None:
    """Blocks of 100 ms, handed over at once; within one, the clock is set."""
    set_at = 110 * S + 50 * MS
    noticed = set_at + 40 * MS
    kept = started()

    def wall(boot: int) -> int:
        return WALL + boot + (size if boot >= set_at else 0)

    steps = []
    looked = 100 * S
    for first in range(100 * S + 30 * MS, 120 * S, 100 * MS):
        last = first + 90 * MS
        before = looked
        for moment in (noticed, last + MS):
            if looked < moment <= last + MS:
                step = kept.look(Reading(moment, wall(moment)))
                looked = moment
                steps += [step] if step else []
        times = kept.times(wall(first), wall(last), before - clocks.BLOCK_AGE_NS)
        assert (times.first_boot_ns, times.last_boot_ns) == (first, last)
        assert times.wall_offset_ns == wall(first) - first
        assert times.step_ns == (size if first < set_at <= last else 0)
    (step,) = steps
    assert step.size_ns == size
    assert step.after_boot_ns <= set_at <= step.before_boot_ns == noticed


@pytest.mark.spec("R9", "R10")
@pytest.mark.parametrize("size", [-3600 * S, -400 * MS, 2 * S, 3600 * S])
def test_a_block_of_before_a_step_that_is_handed_over_after_it_is_of_before(size: int) -> None:
    kept = started()
    set_at, noticed = 110 * S, 110 * S + 40 * MS
    assert kept.look(Reading(set_at - 50 * MS, WALL + set_at - 50 * MS)) is None
    assert kept.look(Reading(noticed, WALL + noticed + size))
    first, last = set_at - 75 * MS, set_at - 25 * MS
    times = kept.times(WALL + first, WALL + last, noticed - clocks.BLOCK_AGE_NS)
    assert times == (BOOT_ID, first, last, WALL, 0)


@pytest.mark.spec("R9")
def test_small_steps_never_change_the_order_of_a_port() -> None:
    """Whatever the sizes and moments of the steps, a port's records never go back in time."""
    rng = random.Random(3)
    for _ in range(200):
        kept = started()
        offset, last_boot, looked = WALL, 0, 100 * S
        moment = 100 * S
        for _ in range(40):
            first = moment + rng.randrange(1, 80 * MS)
            first_wall = first + offset
            if rng.random() < 0.2:
                offset += rng.randrange(-S, S)
            moment = first + rng.randrange(1, 90 * MS)
            last_wall = moment + offset
            before, looked = looked, moment + MS
            kept.look(Reading(looked, looked + offset))
            since = max(before - clocks.BLOCK_AGE_NS, last_boot)
            times = kept.times(first_wall, last_wall, since)
            assert times.first_boot_ns >= since - 2 * MS
            assert times.first_boot_ns <= times.last_boot_ns
            last_boot = times.last_boot_ns


@pytest.mark.spec("R9")
def test_a_real_machine_has_both_clocks_and_one_id() -> None:
    assert len(clocks.boot_id()) == 16
    assert clocks.boot_id() == clocks.boot_id()
    readings = [read_clocks() for _ in range(50)]
    assert all(a.boot_ns < b.boot_ns for a, b in itertools.pairwise(readings))
    kept = Clock(readings[0], clocks.boot_id())
    assert not any(kept.look(reading) for reading in readings)


def test_the_watch_is_silent_while_nobody_sets_the_clock() -> None:
    watch = clocks.StepWatch()
    watch.clear()
    watch.close()
