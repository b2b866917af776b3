"""What is told of ports that are opened: the socket takes its time, the interface is lo of this machine."""

from __future__ import annotations

import os
import select
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
from allegro.capture.recorder.recorded_ports import Ports
from allegro.capture.ring.news import News, PortOpened
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
