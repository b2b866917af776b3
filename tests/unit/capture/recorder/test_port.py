"""One port without a kernel: what it makes of its blocks and of the counters of its interface."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.capture.recorder import counters
from allegro.capture.recorder.counters import Row
from allegro.capture.recorder.port import RecordedPort
from allegro.capture.recorder.socket import Statistics
from allegro.capture.ring import record as blocks

NS = 1_000_000_000
KINDS = ("missed_errors", "fifo_errors", "over_errors", "dropped", "crc_errors", "length_errors")


class Socket:
    """Of four blocks, in which nothing lies yet."""

    def __init__(self) -> None:
        self.blocks = [memoryview(bytearray(64)) for _ in range(4)]

    def statistics(self) -> Statistics:
        return Statistics(0, 0, 0)

    def hand_over(self, number: int) -> None:
        self.blocks[number][blocks.STATUS_OFFSET] = blocks.TP_STATUS_USER

    def close(self) -> None:
        pass


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordedPort]:
    """Its interface's files lie in tmp_path, and it had received and lost something before."""
    (tmp_path / "statistics").mkdir()
    for name in ("bytes", "packets", *KINDS):
        count(tmp_path, name, 100)
    (tmp_path / "carrier").write_text("1\n")
    monkeypatch.setattr(counters, "_open", lambda _, attribute: os.open(tmp_path / attribute, os.O_RDONLY))
    port = RecordedPort("port1", 3, Socket(), 100, NS)  # type: ignore[arg-type]
    yield port
    port.close()


def count(folder: Path, name: str, value: int) -> None:
    (folder / f"statistics/rx_{name}").write_text(f"{value}\n")


def row(received: int, lost: int) -> Row:
    return Row(received, received, (b"0", str(lost).encode(), b"0", b"0"))


@pytest.mark.spec("R12")
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_card_lost_is_told_by_kind_as_soon_as_the_table_shows_that_there_is_any(
    kind: str, port: RecordedPort, tmp_path: Path
) -> None:
    port.sample(2 * NS, row(100, 600))
    assert not any(port.losses)
    count(tmp_path, kind, 107)
    port.sample(3 * NS, row(200, 600))
    assert (any(port.losses), port.counts.bytes) == (False, 100)
    port.sample(4 * NS, row(300, 607))
    lost = port.take_losses()
    assert getattr(lost, kind.removesuffix("_errors")) == 7
    assert (lost.from_boot_ns, lost.until_boot_ns) == (3 * NS, 4 * NS)
    port.sample(5 * NS, row(400, 607))
    assert not any(port.losses)


@pytest.mark.spec("R12")
def test_a_port_that_is_not_in_the_table_is_asked_itself(port: RecordedPort, tmp_path: Path) -> None:
    port.sample(2 * NS, row(100, 600))
    count(tmp_path, "missed_errors", 103)
    count(tmp_path, "bytes", 150)
    port.sample(3 * NS)
    assert (port.losses.missed, port.counts.bytes) == (3, 50)
    count(tmp_path, "missed_errors", 108)
    port.sample(4 * NS, row(160, 608))
    assert (port.losses.missed, port.counts.bytes) == (8, 60)


def test_blocks_have_piled_up_when_two_wait(port: RecordedPort) -> None:
    socket = port.socket
    assert isinstance(socket, Socket)
    socket.hand_over(0)
    assert (port.ready(), port.piled_up()) == (0, False)
    socket.hand_over(1)
    assert port.piled_up()
    port.take()
    assert (port.ready(), port.piled_up()) == (1, False)
