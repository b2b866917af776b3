"""What is told of ports that are opened: the socket takes its time, the interface is lo of this machine."""

from __future__ import annotations

import os
import select
import socket as sockets
import struct
import time
from dataclasses import replace
from pathlib import Path

import pytest

from allegro.capture.config import RecorderConfig
from allegro.capture.port_rules import KEEP_ALL, PortRules
from allegro.capture.recorder import recorded_ports
from allegro.capture.recorder.completeness import Completeness
from allegro.capture.recorder.outbox import Outbox
from allegro.capture.recorder.port import RecordedPort
from allegro.capture.recorder.recorded_ports import Ports
from allegro.capture.recorder.socket import Statistics
from allegro.capture.ring.news import News, PortOpened
from allegro.errors import Unavailable
from allegro.system import boottime

DISCARD = struct.pack("=HBBI", 6, 0, 0, 0)


class SlowSocket:
    """Receives from the moment `bound_ns` on."""

    bound_ns = 0

    def __init__(self, *_: object) -> None:
        time.sleep(0.01)
        SlowSocket.bound_ns = boottime.now_ns()
        self.blocks = [memoryview(bytearray(64))]
        self.filter_error = None
        self.received_before = 1_000_000
        self._descriptor = os.eventfd(0)

    def fileno(self) -> int:
        return self._descriptor

    def statistics(self) -> Statistics:
        return Statistics(0, 0, 0)

    def close(self) -> None:
        os.close(self._descriptor)


class Told(Outbox):
    def __init__(self) -> None:
        super().__init__()
        self.news: list[News] = []

    def add(self, *items: News) -> None:
        self.news += items


@pytest.fixture
def socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded_ports, "RingSocket", SlowSocket)


@pytest.mark.spec("R10", "T6")
@pytest.mark.usefixtures("socket")
def test_a_port_counts_as_open_when_its_socket_receives_not_when_it_was_asked_for(tmp_path: Path) -> None:
    told = Told()
    ports = Ports(select.poll(), told, Completeness())
    options = RecorderConfig(tmp_path / "ring", 1 << 26, tmp_path / "status.json", port_pattern="lo")
    ports.look(options, boottime.read_clocks())
    (opened,) = (item for item in told.news if isinstance(item, PortOpened))
    assert opened.boot_ns >= SlowSocket.bound_ns
    assert ports.open["lo"].emptied_boot_ns == opened.boot_ns
    ports.open["lo"].socket.close()


@pytest.mark.spec("R5", "R12")
@pytest.mark.usefixtures("socket")
def test_what_comes_in_while_a_port_is_opened_is_lost_and_not_discarded_by_a_rule(tmp_path: Path) -> None:
    told = Told()
    ports = Ports(select.poll(), told, Completeness())
    ports.rules.rules = PortRules("1. a: discard vlan == 7", (KEEP_ALL + DISCARD,), {"lo": 0})
    options = RecorderConfig(tmp_path / "ring", 1 << 26, tmp_path / "status.json", port_pattern="lo")
    ports.look(replace(options, port_pattern="none"), boottime.read_clocks())
    ports._known = set()  # the interface is new
    ports.look(options, boottime.read_clocks())
    port = ports.open["lo"]
    assert port.take_losses().unrecorded == 1_000_000
    port.discards.sample(1_000_003, 0)
    assert port.discards.total == 3
    port.socket.close()


@pytest.mark.spec("R5", "R10", "R12")
def test_what_a_known_port_receives_until_it_is_open_is_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It takes its time, or is refused at first; by the name of a port (lo) of which the test knows how many
    packets it gets."""
    received = [500]
    refused = [True]

    class Refused(SlowSocket):
        def __init__(self, *arguments: object) -> None:
            if refused[0]:
                raise Unavailable("cannot be recorded: no memory", place="lo")
            received[0] += 7
            super().__init__(*arguments)

    monkeypatch.setattr(recorded_ports, "RingSocket", Refused)
    monkeypatch.setattr(recorded_ports, "packets_received", lambda _: received[0])
    monkeypatch.setattr(RecordedPort, "received_before", lambda *_: received[0])
    ports = Ports(select.poll(), Told(), Completeness())
    options = RecorderConfig(tmp_path / "ring", 1 << 26, tmp_path / "status.json", port_pattern="none")
    ports.look(options, boottime.read_clocks())
    options = replace(options, port_pattern="lo")
    before_ns = boottime.now_ns()
    for _ in range(3):
        received[0] += 100  # of the first ones nobody knew that they were to be recorded
        ports.look(options, boottime.read_clocks())
    refused[0] = False
    ports.look(options, boottime.read_clocks())
    losses = ports.open["lo"].take_losses()
    assert losses.unrecorded == 207
    assert before_ns <= losses.from_boot_ns <= losses.until_boot_ns <= boottime.now_ns()
    ports.open["lo"].socket.close()


@pytest.mark.spec("R5", "R10")
@pytest.mark.usefixtures("socket")
def test_at_its_start_the_recorder_counts_what_passes_from_the_first_open_port_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before that, it was not running, and its files say so."""
    monkeypatch.setattr(sockets, "if_nameindex", lambda: [(1, "lo1"), (2, "lo2"), (3, "lo3")])
    monkeypatch.setattr(recorded_ports, "packets_received", lambda name: 10 * int(name[-1]))
    monkeypatch.setattr(RecordedPort, "received_before", lambda self, _: 15 * self.index)
    ports = Ports(select.poll(), Told(), Completeness())
    options = RecorderConfig(tmp_path / "ring", 1 << 26, tmp_path / "status.json", port_pattern="lo[0-9]")
    ports.look(options, boottime.read_clocks())
    assert [port.take_losses().unrecorded for port in ports.open.values()] == [0, 10, 15]
    for port in ports.open.values():
        port.socket.close()
