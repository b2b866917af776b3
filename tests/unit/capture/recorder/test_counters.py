from __future__ import annotations

import os
from pathlib import Path

import pytest

from allegro.capture.recorder import counters
from allegro.capture.recorder.counters import (
    CardLosses,
    InterfaceCounters,
    InterfaceTable,
    Row,
    packets_received,
    parse_table,
)

TABLE = b"""\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls
 port1: 1000 10    1    2    3    4          0         5      60       1    0    0    0     0       0
port2:7:18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 0 0
 cut: 1 2
"""


@pytest.mark.spec("R12")
def test_each_kind_of_loss_is_read_under_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which drivers count where differs: vmxnet3, ena, virtio and igb do not use rx_missed_errors."""
    (tmp_path / "statistics").mkdir()
    names = ["missed_errors", "fifo_errors", "over_errors", "dropped", "crc_errors", "length_errors"]
    for number, name in enumerate([*names, "bytes", "packets"]):
        (tmp_path / f"statistics/rx_{name}").write_text(f"{number + 1}\n")
    monkeypatch.setattr(counters, "_open", lambda _, attribute: os.open(tmp_path / attribute, os.O_RDONLY))
    (tmp_path / "carrier").write_text("1\n")
    read = InterfaceCounters("port1")
    assert read.losses() == CardLosses(missed=1, fifo=2, over=3, dropped=4, crc=5, length=6)
    assert (read.bytes(), read.packets(), read.link_up()) == (7, 8, True)
    read.close()


def test_an_interface_that_is_not_there_counts_nothing() -> None:
    read = InterfaceCounters("no such port")
    assert read.losses() == CardLosses()
    assert (read.bytes(), read.packets(), read.link_up()) == (0, 0, False)
    read.close()


@pytest.mark.spec("R12")
def test_the_table_of_all_interfaces_shows_whether_any_kind_of_loss_has_grown() -> None:
    assert parse_table(TABLE) == {
        "port1": Row(1000, 10, (b"1", b"2", b"3", b"4")),
        "port2:7": Row(2**64 - 1, 0, (b"0", b"0", b"0", b"0")),
    }
    for column in range(2, 6):
        values = ["0"] * 16
        before = parse_table(f"port1: {' '.join(values)}".encode())["port1"]
        values[column] = "1"
        after = parse_table(f"port1: {' '.join(values)}".encode())["port1"]
        assert (before.lost != after.lost, before[:2]) == (True, after[:2])


def test_an_interface_may_have_a_name_that_is_no_text() -> None:
    """As socket.if_nameindex() has it: the kernel takes any bytes but spaces, slashes and colons."""
    assert list(parse_table(b"\xff1: " + b"0 " * 16)) == ["\udcff1"]


def test_the_table_says_of_an_interface_what_its_own_files_say() -> None:
    table = InterfaceTable()
    before = packets_received("lo")
    assert before <= table.read()["lo"].packets <= packets_received("lo")
    table.close()
    assert table.read() == {}
