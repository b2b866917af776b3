"""The reader with input devices made of pipes; the real ones are in the tests of the image."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from allegro.trigger.input_reader import ConnectedPresenter, FoundInput, PresenterReader
from allegro.trigger.keys import EV_KEY, EV_MSC, EV_SYN, MSC_SCAN, SYN_REPORT, PresenterModel, RawEvent
from allegro.trigger.press import Press

R400 = PresenterModel("046d", "c52d", "Logitech R400")
MS = 1_000_000
SINCE = 1_795_000_000_000 * MS
"""When the kernel started."""
NEXT, PREV = 0x7004E, 0x7004B


class FakeInput:
    def __init__(self) -> None:
        self.readable, self.write_end = os.pipe2(os.O_NONBLOCK)
        self.events: list[RawEvent] = []
        self.lock = threading.Lock()
        self.gone = False
        self.closed = False

    def send(self, *events: RawEvent) -> None:
        with self.lock:
            self.events += events
        os.write(self.write_end, b"x")

    def unplug(self) -> None:
        self.gone = True
        os.write(self.write_end, b"x")

    def fileno(self) -> int:
        return self.readable

    def read(self) -> list[RawEvent]:
        os.read(self.readable, 4096)
        if self.gone:
            raise OSError(errno.ENODEV, "No such device")
        with self.lock:
            events, self.events = self.events, []
        if not events:
            raise BlockingIOError
        return events

    def close(self) -> None:
        assert not self.closed
        self.closed = True
        os.close(self.readable)
        os.close(self.write_end)


class Bench:
    def __init__(self) -> None:
        self.readable, self.write_end = os.pipe2(os.O_NONBLOCK)
        self.there: dict[str, FoundInput] = {}
        self.sources: dict[str, FakeInput] = {}
        self.errors: dict[str, list[OSError]] = {}
        self.presses: list[Press] = []
        self.debounce_ms = 1000
        self.reader = PresenterReader(
            self, self.open, lambda: self.debounce_ms, self.presses.extend, lambda boot_ns: boot_ns + SINCE
        )

    def fileno(self) -> int:
        return self.readable

    def clear(self) -> None:
        os.read(self.readable, 4096)

    def find(self) -> list[FoundInput]:
        return list(self.there.values())

    def open(self, node: str) -> FakeInput:
        if self.errors.get(node):
            raise self.errors[node].pop(0)
        self.sources[node] = FakeInput()
        return self.sources[node]

    def has_presses(self, count: int) -> Callable[[], bool]:
        return lambda: len(self.presses) == count

    def change(self, *found: FoundInput) -> None:
        self.there = {entry.path: entry for entry in found}
        os.write(self.write_end, b"x")


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def stroke(scan: int, at_ms: int, value: int = 1) -> tuple[RawEvent, ...]:
    at = at_ms * MS
    return (
        RawEvent(at, EV_MSC, MSC_SCAN, scan),
        RawEvent(at, EV_KEY, 109, value),
        RawEvent(at, EV_SYN, SYN_REPORT, 0),
    )


def entry(number: int, node: str = "/dev/input/event5", receiver: str = "/sys/usb1/1-1") -> FoundInput:
    return FoundInput(f"/sys/input{number}/event5", node, receiver, R400)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    bench.reader.start()
    yield bench
    bench.reader.stop()
    assert all(source.closed for source in bench.sources.values())


CONNECTED = (ConnectedPresenter("Logitech R400", "046d", "c52d", ""),)


@pytest.mark.spec("T1", "T2")
class TestReader:
    def plug(self, bench: Bench, *found: FoundInput) -> None:
        bench.change(*found)
        wait_for(lambda: set(bench.reader._opened) == set(bench.there))

    def test_plugged_in_at_start(self) -> None:
        bench = Bench()
        bench.there = {"a": entry(1)}
        bench.reader.start()
        wait_for(lambda: bench.reader.connected() == CONNECTED)
        bench.reader.stop()
        assert bench.sources["/dev/input/event5"].closed

    @pytest.mark.spec("I5")
    def test_a_reader_that_stands_still_is_noticed(self, bench: Bench) -> None:
        assert not bench.reader.hung()
        bench.reader._turned_s -= 3600
        assert bench.reader.hung()
        bench.reader.refresh()
        wait_for(lambda: not bench.reader.hung())

    def test_press_with_the_time_of_the_kernel(self, bench: Bench) -> None:
        self.plug(bench, entry(1))
        bench.sources["/dev/input/event5"].send(*stroke(NEXT, 5000))
        wait_for(lambda: bench.presses)
        assert bench.presses == [Press(SINCE + 5000 * MS, "presenter", "next", "Logitech R400", 5000 * MS)]

    def test_all_inputs_of_the_receiver_are_taken(self, bench: Bench) -> None:
        self.plug(bench, entry(1), entry(2, "/dev/input/event6"), entry(3, "/dev/input/event7"))
        assert set(bench.sources) == {"/dev/input/event5", "/dev/input/event6", "/dev/input/event7"}
        wait_for(lambda: bench.reader.connected() == CONNECTED)

    def test_many_presses_keep_their_order_behind_a_slow_disk(self, bench: Bench) -> None:
        bench.debounce_ms = 0
        hold = threading.Event()
        taken: list[Press] = []

        calls: list[int] = []

        def slow(presses: Sequence[Press]) -> None:
            hold.wait(20)
            calls.append(len(presses))
            taken.extend(presses)

        bench.reader._on_presses = slow
        self.plug(bench, entry(1))
        source = bench.sources["/dev/input/event5"]
        for number in range(300):
            source.send(*stroke((NEXT, PREV)[number % 2], number))
        wait_for(lambda: not source.events)  # read, although nothing was handed on
        hold.set()
        wait_for(lambda: len(taken) == 300)
        assert [press.boot_ns for press in taken] == [number * MS for number in range(300)]
        assert len(calls) <= 2  # what was there first, and all that queued up behind it

    def test_debounce_may_change_at_any_time(self, bench: Bench) -> None:
        self.plug(bench, entry(1))
        source = bench.sources["/dev/input/event5"]
        source.send(*stroke(NEXT, 0), *stroke(NEXT, 0, 0), *stroke(NEXT, 100))
        wait_for(lambda: not source.events)
        bench.debounce_ms = 0
        source.send(*stroke(NEXT, 200))
        wait_for(lambda: len(bench.presses) == 2)
        assert [press.boot_ns for press in bench.presses] == [0, 200 * MS]

    def test_pulled_with_a_key_held_and_plugged_in_again(self, bench: Bench) -> None:
        for number in range(1, 6):
            self.plug(bench, entry(number))
            source = bench.sources["/dev/input/event5"]
            source.send(*stroke(NEXT, number))
            wait_for(bench.has_presses(number))
            source.unplug()
            bench.change()
            wait_for(lambda: bench.reader.connected() == ())
            assert source.closed

    def test_successor_under_the_same_name(self, bench: Bench) -> None:
        """The new one is already there, and the old one has not yet said that it is gone."""
        self.plug(bench, entry(1))
        old = bench.sources["/dev/input/event5"]
        self.plug(bench, entry(2))
        assert old.closed
        bench.sources["/dev/input/event5"].send(*stroke(NEXT, 1))
        wait_for(lambda: len(bench.presses) == 1)

    def test_taken_by_another_program_is_told_and_tried_again(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("allegro.trigger.input_reader._RETRY_S", 0.02)
        bench.errors["/dev/input/event5"] = [OSError(errno.EBUSY, "busy")] * 20
        bench.change(entry(1))
        wait_for(bench.reader.connected)
        assert "another program" in bench.reader.connected()[0].problem
        wait_for(lambda: bench.reader.connected() == CONNECTED)
        assert caplog.text.count("another program") == 1

    def test_vanished_while_it_was_opened(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        bench.errors["/dev/input/event5"] = [OSError(errno.ENOENT, "No such file")]
        self.plug(bench, entry(1))
        assert "cannot be used" not in caplog.text

    def test_removed_from_the_table(self, bench: Bench) -> None:
        self.plug(bench, entry(1))
        bench.there = {}
        bench.reader.refresh()
        wait_for(lambda: bench.reader.connected() == ())
        assert bench.sources["/dev/input/event5"].closed

    def test_failing_receiver_of_presses_loses_only_its_own(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        taken: list[Press] = []

        def fails_once(presses: Sequence[Press]) -> None:
            taken.extend(presses)
            if len(taken) == 1:
                raise RuntimeError("broken")

        bench.reader._on_presses = fails_once
        self.plug(bench, entry(1))
        bench.sources["/dev/input/event5"].send(*stroke(NEXT, 1))
        wait_for(lambda: len(taken) == 1)
        bench.sources["/dev/input/event5"].send(*stroke(PREV, 2))
        wait_for(lambda: len(taken) == 2)
        assert "press of next" in caplog.text
