"""Looks that hang or fail keep nobody waiting, and what was seen before is told as such."""

import threading

import pytest

from allegro.slow_look import Seen, SlowLook
from tests.harness.waiting import wait_for

pytestmark = pytest.mark.spec("W3")


class World:
    """What is looked at; hangs while `goes_on` is not set."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.looks = 0
        self.broken = False

    def look(self) -> int:
        self.looks += 1
        number = self.looks
        self.goes_on.wait(20)
        if self.broken:
            raise OSError("it is broken")
        return number


def test_each_who_asks_gets_a_look_of_his_own_while_that_is_quick() -> None:
    look = SlowLook("the world", World().look)
    assert [look.latest() for _ in range(3)] == [Seen(1), Seen(2), Seen(3)]


def test_one_that_hangs_is_waited_for_once_and_its_end_is_seen() -> None:
    world, now = World(), [5]
    look = SlowLook("the world", world.look, 0.05, now_ns=lambda: now[0])
    assert look.latest() == Seen(1)
    world.goes_on.clear()
    now[0] = 7
    assert look.latest() == Seen(1, 7)
    now[0] = 9
    for _ in range(100):
        assert look.latest() == Seen(1, 7), "since the first that was missed"
    assert world.looks == 2, "one at a time"
    world.goes_on.set()
    wait_for(lambda: look.latest().unknown_since_ns is None, "the end of the look", 20)


def test_one_that_fails_leaves_what_was_seen_before(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    look = SlowLook("the world", world.look, now_ns=lambda: 3)
    look.latest()
    world.broken = True
    wait_for(lambda: look.latest() == Seen(1, 3), "a look that fails", 20)
    world.broken = False
    wait_for(lambda: look.latest().unknown_since_ns is None, "a look that works", 20)
    assert caplog.text.count("the world: it is broken") == 1


def test_of_what_was_never_seen_nothing_is_said() -> None:
    world = World()
    world.broken = True
    look = SlowLook("the world", world.look, now_ns=lambda: 3)
    assert look.latest() == Seen(None, 3)


def test_what_was_seen_is_kept_for_a_while() -> None:
    now = [1000.0]
    look = SlowLook("the world", World().look, kept_s=10, now_s=lambda: now[0])
    assert [look.latest().value for _ in range(3)] == [1, 1, 1]
    now[0] += 10
    assert look.latest().value == 2
