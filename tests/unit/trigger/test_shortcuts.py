import errno
import os
import time
from collections.abc import Callable, Iterator

import pytest

from allegro.trigger.chords import KEY_R, KEY_S, Shortcut
from allegro.trigger.keys import EV_KEY, RawEvent
from allegro.trigger.shortcuts import ShortcutReader

SHIFT = 42


class FakeKeyboard:
    """An input device made of a pipe."""

    def __init__(self) -> None:
        self.readable, self.writable = os.pipe2(os.O_NONBLOCK)
        self.events: list[RawEvent] = []
        self.gone = self.closed = False

    def fileno(self) -> int:
        return self.readable

    def read(self) -> list[RawEvent]:
        os.read(self.readable, 4096)
        if self.gone:
            raise OSError(errno.ENODEV, "No such device")
        events, self.events = self.events, []
        return events

    def close(self) -> None:
        self.closed = True

    def press(self, *codes: int) -> None:
        self.events += [RawEvent(0, EV_KEY, code, 1) for code in codes]
        self.events += [RawEvent(0, EV_KEY, code, 0) for code in codes]
        os.write(self.writable, b"x")

    def pull(self) -> None:
        self.gone = True
        os.write(self.writable, b"x")


class Bench:
    """Keyboards that can be plugged in and pulled out, and a reader for them."""

    def __init__(self) -> None:
        self.readable, self.writable = os.pipe2(os.O_NONBLOCK)
        self.there: dict[str, FakeKeyboard | None] = {}
        self.errors = 0
        self.told: list[Shortcut] = []
        self.fails = False
        self.reader = ShortcutReader(self, self.on_shortcut)

    def on_shortcut(self, shortcut: Shortcut) -> None:
        self.told.append(shortcut)
        if self.fails:
            raise ValueError("fails")

    def fileno(self) -> int:
        return self.readable

    def clear(self) -> None:
        os.read(self.readable, 4096)

    def find(self) -> list[tuple[str, str]]:
        return [(path, f"/dev/{path}") for path in self.there]

    def open(self, node: str) -> FakeKeyboard | None:
        if self.errors:
            self.errors -= 1
            raise PermissionError(errno.EACCES, "Permission denied")
        return self.there[node.removeprefix("/dev/")]

    def change(self, **there: FakeKeyboard | None) -> None:
        self.there = there
        os.write(self.writable, b"x")

    def opened(self, count: int) -> Callable[[], bool]:
        return lambda: len(self.reader._opened) == count


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    bench.reader.start()
    yield bench
    bench.reader.stop()


@pytest.mark.spec("U5", "N3")
def test_a_shortcut_on_any_keyboard_is_told(bench: Bench) -> None:
    first, second = FakeKeyboard(), FakeKeyboard()
    bench.change(first=first, mouse=None, second=second)
    wait_for(bench.opened(2))
    first.press(SHIFT, KEY_R)
    wait_for(lambda: bench.told == ["reset"])
    second.press(SHIFT, KEY_S)
    wait_for(lambda: bench.told == ["reset", "temporary-address"])


def test_keys_of_two_keyboards_are_not_one_shortcut(bench: Bench) -> None:
    first, second = FakeKeyboard(), FakeKeyboard()
    bench.change(first=first, second=second)
    wait_for(bench.opened(2))
    first.events = [RawEvent(0, EV_KEY, SHIFT, 1)]
    os.write(first.writable, b"x")
    second.press(KEY_R)
    time.sleep(0.7)
    assert bench.told == []


def test_a_keyboard_pulled_out_and_plugged_in_again_is_heard(bench: Bench) -> None:
    first = FakeKeyboard()
    bench.change(first=first)
    wait_for(bench.opened(1))
    first.pull()
    bench.change()
    wait_for(bench.opened(0))
    assert first.closed
    again = FakeKeyboard()
    bench.change(again=again)
    wait_for(bench.opened(1))
    again.press(SHIFT, KEY_S)
    wait_for(lambda: bench.told == ["temporary-address"])


def test_a_keyboard_that_cannot_be_opened_yet_is_tried_again(bench: Bench) -> None:
    bench.errors = 1
    bench.change(first=FakeKeyboard())
    wait_for(bench.opened(1))


def test_a_shortcut_that_fails_does_not_end_the_reading(bench: Bench) -> None:
    first = FakeKeyboard()
    bench.change(first=first)
    wait_for(bench.opened(1))
    bench.fails = True
    first.press(SHIFT, KEY_S)
    wait_for(lambda: len(bench.told) == 1)
    time.sleep(1.1)  # two shortcuts have to stand apart
    first.press(SHIFT, KEY_R)
    wait_for(lambda: bench.told == ["temporary-address", "reset"])
