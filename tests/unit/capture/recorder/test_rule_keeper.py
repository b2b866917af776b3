"""When the ring is told which rules hold: with packets, or it would fill with that on an idle link."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from allegro.capture.port_rules import KEEP_ALL, PortRules
from allegro.capture.recorder.outbox import Outbox
from allegro.capture.recorder.port import RecordedPort
from allegro.capture.recorder.rule_keeper import RuleKeeper
from allegro.capture.ring.news import Discarded, News, RulesChanged, RulesHeld
from allegro.system.boottime import Reading

NS = 1_000_000_000
TEXT = "1. short: keep 100 bytes of all packets"
RULES = PortRules(TEXT, (KEEP_ALL,), {"port1": 0, "port2": 0})


class Socket:
    """Of a port to which nothing comes."""

    def __init__(self) -> None:
        self.blocks = [memoryview(bytearray(64))]
        self._descriptor = os.eventfd(0)

    def filter(self, program: bytes) -> None:
        assert program

    def close(self) -> None:
        os.close(self._descriptor)


class Bench:
    def __init__(self) -> None:
        self.outbox = Outbox()
        self.keeper = RuleKeeper(self.outbox)
        self.keeper.rules = RULES
        self.ports = [RecordedPort(name, 1, Socket(), 100, NS) for name in ("port1", "port2", "port3")]  # type: ignore[arg-type]
        for port in self.ports:
            self.keeper.opened(port, None, at(1))
        self.told()

    def told(self) -> list[News]:
        """What was put into the ring since the last time."""
        found: list[News] = []
        while self.outbox.waiting():
            found += self.outbox.next().news
        return found

    def tell(self, seconds: float, *, ring: bool = True) -> list[News]:
        self.keeper.tell(at(seconds), self.ports, ring=ring)
        return self.told()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    for port in bench.ports:
        port.close()


def at(seconds: float) -> Reading:
    return Reading(int(seconds * NS), int(seconds * NS) + 1_795_270_000 * NS)


def held(seconds: float, ports: str = "port1, port2") -> RulesHeld:
    return RulesHeld(*at(seconds), TEXT, ports)


@pytest.mark.spec("R10", "R12")
def test_an_idle_ring_is_told_once(bench: Bench) -> None:
    assert bench.tell(1.25) == [held(1.25)]
    assert [bench.tell(1.5 + step / 4) for step in range(1000)] == [[]] * 1000


def test_the_first_packets_after_a_long_time_are_told_at_once_and_at_their_time(bench: Bench) -> None:
    bench.tell(1.25)
    bench.ports[1].passed_since_ns = at(99.9).boot_ns
    assert bench.tell(100) == [held(99.9, "port2")]
    for moment in (100.1, 104.9):
        bench.ports[1].passed_since_ns = bench.ports[1].passed_since_ns or at(moment).boot_ns
        assert bench.tell(moment + 0.05) == []
    bench.ports[0].passed_since_ns = at(104.9).boot_ns
    assert bench.tell(105) == [held(100.1)]  # one does not wait for the other, but goes with it


def test_packets_of_ports_without_rules_tell_nothing(bench: Bench) -> None:
    bench.tell(1.25)
    bench.ports[2].passed_since_ns = at(9).boot_ns
    assert bench.tell(10) == []
    bench.ports[0].passed_since_ns = at(10.1).boot_ns
    assert bench.tell(10.25) == [held(10.1, "port1")]


def test_another_ring_is_told_at_once(bench: Bench) -> None:
    bench.tell(1.25)
    assert bench.tell(2, ring=False) == []
    assert bench.tell(2.5) == [held(2.5)]


def test_what_held_before_a_change_is_told_with_the_packets_of_before(bench: Bench) -> None:
    bench.tell(1.25)
    bench.ports[0].passed_since_ns = at(1.5).boot_ns
    bench.keeper.apply(PortRules("2. other", (KEEP_ALL,), {"port1": 0}), bench.ports)
    before, *changes = bench.told()
    assert isinstance(before, RulesHeld)
    assert (before.boot_ns, before.text, before.ports) == (at(1.5).boot_ns, TEXT, "port1")
    assert [(type(item), item.text) for item in changes if isinstance(item, RulesChanged)] == [
        (RulesChanged, "2. other"),
        (RulesChanged, ""),
    ]
    # A block that was filled before the change, and is taken after it, is no witness of the new rules.
    changed_ns = bench.ports[0].rules_since_ns
    bench.ports[0].passed_since_ns = at(1.6).boot_ns
    bench.keeper.tell_now(Reading(changed_ns + NS, changed_ns + NS), bench.ports)
    (told,) = bench.told()
    assert isinstance(told, RulesHeld)
    assert (told.boot_ns, told.text, told.ports) == (changed_ns, "2. other", "port1")


@pytest.mark.spec("R12")
def test_discarded_packets_are_told_with_the_rules_that_did_it(bench: Bench) -> None:
    bench.tell(1.25)
    discards = bench.ports[0].discards
    discards.begin(0, 0, at(1.5).boot_ns)
    assert bench.tell(50) == []
    discards.sample(7, 0)
    assert bench.tell(50.25) == [Discarded(*at(50.25), "port1", 7, at(50).boot_ns), held(50, "port1")]
    discards.sample(8, 0)
    assert bench.tell(50.5) == []
    assert bench.tell(55.25) == [Discarded(*at(55.25), "port1", 1, at(50.25).boot_ns), held(50.25, "port1")]
