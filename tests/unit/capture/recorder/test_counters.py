from __future__ import annotations

import os
from pathlib import Path

import pytest

from allegro.capture.recorder import counters
from allegro.capture.recorder.counters import CardLosses, InterfaceCounters


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
