import os
import time
from collections.abc import Callable, Iterator

import pytest

from allegro.trigger.keys import EV_KEY, EV_MSC, EV_SYN, MSC_SCAN, SYN_REPORT, RawEvent
from allegro.trigger.learning import Heard, Learner, Learning, UsbInput, printable_name

pytestmark = pytest.mark.spec("T8")

SPOTLIGHT = UsbInput("046d", "c53e", "Logitech Spotlight", ("event5", "event6"))
MOUSE = UsbInput("1bcf", "0005", "Mouse", ("event7",))


class PlayingInput:
    def __init__(self) -> None:
        self.readable, self.write_end = os.pipe2(os.O_NONBLOCK)
        self.events: list[RawEvent] = []
        self.error: OSError | None = None
        self.closed = False

    def fileno(self) -> int:
        return self.readable

    def read(self) -> list[RawEvent]:
        os.read(self.readable, 4096)
        if self.error:
            raise self.error
        events, self.events = self.events, []
        return events

    def close(self) -> None:
        self.closed = True
        os.close(self.readable)
        os.close(self.write_end)

    def send(self, scan: int, code: int, value: int = 1) -> None:
        self.events += [
            RawEvent(1, EV_MSC, MSC_SCAN, scan),
            RawEvent(1, EV_KEY, code, value),
            RawEvent(1, EV_SYN, SYN_REPORT, 0),
        ]
        os.write(self.write_end, b"x")


class Bench:
    def __init__(self) -> None:
        self.there = [SPOTLIGHT, MOUSE]
        self.inputs: dict[str, PlayingInput] = {}
        self.now = 100.0
        self.learner = Learner(lambda: self.there, self.open, lambda: self.now)

    def open(self, node: str) -> PlayingInput:
        if node == "event6":
            raise PermissionError
        self.inputs[node] = PlayingInput()
        return self.inputs[node]


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.learner.stop()
    assert all(each.closed for each in made.inputs.values())


def test_a_key_of_any_device_ends_the_waiting_and_names_it(bench: Bench) -> None:
    assert bench.learner.state() == Learning(None, None)
    bench.learner.start(60)
    assert bench.learner.state() == Learning(60.0, None)
    wait_for(lambda: "event5" in bench.inputs)
    bench.inputs["event5"].send(0x7004E, 109)
    wait_for(lambda: bench.learner.state().heard)
    heard = Heard("046d", "c53e", "Logitech Spotlight", "next")
    assert bench.learner.state() == Learning(None, heard)
    wait_for(lambda: all(each.closed for each in bench.inputs.values()))
    bench.learner.stop()
    assert bench.learner.state() == Learning(None, None), "it is forgotten with the end of the learning"


def test_neither_a_mouse_button_nor_a_release_is_a_key(bench: Bench) -> None:
    bench.learner.start(60)
    wait_for(lambda: {"event5", "event7"} <= bench.inputs.keys())
    bench.inputs["event7"].send(0x90001, 0x110)
    bench.inputs["event5"].send(0x70037, 52, value=0)
    wait_for(lambda: not any(each.events for each in bench.inputs.values()))
    assert bench.learner.state() == Learning(60.0, None)


def test_what_is_plugged_in_or_out_meanwhile_is_noticed(bench: Bench) -> None:
    bench.there = [MOUSE]
    bench.learner.start(60)
    wait_for(lambda: "event7" in bench.inputs)
    bench.inputs["event7"].error = OSError(19, "No such device")
    os.write(bench.inputs["event7"].write_end, b"x")
    bench.there = [SPOTLIGHT]
    wait_for(lambda: "event5" in bench.inputs)
    assert bench.inputs["event7"].closed
    bench.inputs["event5"].send(0x700E1, 42)  # a modifier alone says nothing
    bench.inputs["event5"].send(0x7001D, 44)
    wait_for(lambda: bench.learner.state().heard)
    assert bench.learner.state().heard == Heard("046d", "c53e", "Logitech Spotlight", "other")


def test_nobody_presses(bench: Bench) -> None:
    bench.learner.start(60)
    wait_for(lambda: bench.inputs)
    bench.now += 60
    assert bench.learner.state() == Learning(None, None)
    wait_for(lambda: all(each.closed for each in bench.inputs.values()))
    bench.learner.start(30)
    assert bench.learner.state() == Learning(30.0, None)


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (("Logitech", "USB Receiver"), "Logitech USB Receiver"),
        (("Kensington", "Kensington Presenter"), "Kensington Presenter"),
        (("", "\x1b[31mred\n"), "[31mred"),
        (("x" * 100, ""), "x" * 64),
        (("", "\x00"), "USB device 1234:5678"),
    ],
)
def test_a_device_cannot_call_itself_what_cannot_be_shown(texts: tuple[str, str], name: str) -> None:
    assert printable_name(texts, "USB device 1234:5678") == name
