"""Faults x traffic x windows: what is missing in the file is what the file says is missing, and no more.

The faults are those of the recorder as they stand in its ring.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from allegro.capture.extraction.cut import extract
from allegro.capture.extraction.yielding import Courtesy
from allegro.capture.ring.news import PortClosed, PortOpened, RingOpened
from tests.unit.capture import pcapng_reader
from tests.unit.capture.blocks import NS
from tests.unit.capture.devices import Device
from tests.unit.capture.rings import RUN, Ring

HOUR = 3600 * NS


def stall(seconds: float) -> Callable[[Device], None]:
    """The disk stands still: the first second fits into memory."""

    def happen(device: Device) -> None:
        device.record(min(seconds, 1))
        device.miss(max(seconds - 1, 0), "drops")

    return happen


def killed(device: Device) -> None:
    device.miss(0.6, "gone with the recorder")
    device.miss(2, "the recorder is down")
    device.ring.sequence += 4096
    device.begin_run()


def power_cut(device: Device) -> None:
    device.miss(0.6, "gone with the recorder")
    device.miss(20, "the device is off")
    device.ring.sequence += 4096
    device.start(device.wall_ns)


def switched_off_without_battery(device: Device) -> None:
    device.miss(20, "the device is off")
    device.ring.sequence += 4096
    device.start(device.wall_ns)
    device.step(-HOUR, told=False)
    device.runs[-1] = device.runs[-1]._replace(start_ns=device.wall_ns, alive_ns=device.wall_ns)


def disk_refuses(device: Device) -> None:
    since_ns = device.boot_ns
    device.ring.sequence += 40
    device.miss(2, "unwritten")
    device.miss(5, "unrecorded")
    device.ring.sequence += 4096
    device.tell(RingOpened(device.boot_ns, device.wall_ns, since_ns, "The disk does not take packets."))


def ring_is_opened(device: Device) -> None:
    since_ns = device.boot_ns
    device.miss(4, "unrecorded")
    device.tell(RingOpened(device.boot_ns, device.wall_ns, since_ns))


def port_gone(device: Device) -> None:
    device.tell(PortClosed(device.boot_ns, device.wall_ns, "port2"))
    device.port = 1
    device.idle(4)
    device.miss(0.5, "unrecorded")
    device.tell(PortOpened(device.boot_ns, device.wall_ns, "port2"))


def card_overrun(device: Device) -> None:
    device.miss(0.3, "fifo")


def stepped(size_ns: int) -> Callable[[Device], None]:
    return lambda device: device.step(size_ns)


FAULTS: dict[str, Callable[[Device], None]] = {
    "none": lambda device: None,
    "stall 0.5": stall(0.5),
    "stall 5": stall(5),
    "stall 60": stall(60),
    "kill -9": killed,
    "power cut": power_cut,
    "no battery": switched_off_without_battery,
    "disk refuses": disk_refuses,
    "ring opened": ring_is_opened,
    "port gone": port_gone,
    "card": card_overrun,
    **{
        f"clock {size_ns // NS} s": stepped(size_ns)
        for size_ns in (-HOUR, -2 * NS, 2 * NS, HOUR, 8760 * HOUR)
    },
}

COUNTED = ("drops", "fifo", "unwritten", "unrecorded")
_TIME = r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) UTC"
_INTERVAL = re.compile(rf"(not running|not open|not there) from {_TIME} to {_TIME}")
_LOST = re.compile(
    rf"(\d+) packets? w(?:as|ere) lost on port\d (?:between about|at about) {_TIME}(?: and {_TIME})?"
)


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000) * NS // 1000


@pytest.mark.spec("R5", "R9", "R10")
@pytest.mark.parametrize("window", ["covers", "ends before", "begins after"])
@pytest.mark.parametrize("traffic", ["steady", "burst", "silence"])
@pytest.mark.parametrize("fault", FAULTS)
def test_the_file_says_exactly_what_is_missing(tmp_path: Path, fault: str, traffic: str, window: str) -> None:
    device = Device(Ring(tmp_path / "ring"), pause_ms=50)
    device.start(RUN)
    device.record(15)
    before_ns = device.true_ns
    device.pause_ms = 2 if traffic == "burst" else 50
    FAULTS[fault](device)
    after_ns = device.true_ns
    device.pause_ms = 50
    if traffic == "silence":
        device.idle(3)
        device.tell()
    else:
        device.record(8)
    end_ns = device.true_ns
    first_ns, last_ns = {
        "covers": (before_ns - 10 * NS, end_ns),
        "ends before": (before_ns - 10 * NS, before_ns - 3 * NS),
        "begins after": (after_ns + 3 * NS, end_ns),
    }[window]
    request = device.press((end_ns - first_ns) / NS, after_s=(last_ns - end_ns) / NS)
    result = extract(request, lambda *_: None, Courtesy(None))
    file = pcapng_reader.read(request.output.read_bytes())

    unplaced = fault == "no battery" and window != "begins after"
    if unplaced:
        first_ns = max(first_ns, after_ns)
    inside = [
        (number, true_ns, became)
        for number, (true_ns, became) in enumerate(device.sent)
        if first_ns <= true_ns <= last_ns
    ]
    kept = [number for number, _, became in inside if became == "kept"]
    assert [int.from_bytes(packet.data[14:22]) for packet in file.packets] == kept

    counted = [true_ns for _, true_ns, became in inside if became in COUNTED]
    assert result.drops == len(counted)
    assert sum(int(told[1]) for note in result.notes for told in _LOST.finditer(note)) == len(counted)
    shift_ns = request.end_ns - last_ns
    intervals = [
        (moment(told[2]) - shift_ns - 2_000_000, moment(told[3]) - shift_ns + 2_000_000)
        for note in result.notes
        for told in _INTERVAL.finditer(note)
    ]
    others = [true_ns for _, true_ns, became in inside if became not in ("kept", *COUNTED)]
    assert all(any(start <= true_ns <= end for start, end in intervals) for true_ns in others)
    if window != "covers" and not unplaced:
        assert [note for note in result.notes if "No packet is in this file" not in note] == []
    elif fault == "none" or fault == "stall 0.5":
        assert result.notes == []
    else:
        assert result.notes
    assert not any("damaged" in note for note in result.notes)
    if fault in ("kill -9", "power cut"):
        for start, end in intervals:
            told = [became for _, true_ns, became in inside if start + 4_000_000 < true_ns < end - 4_000_000]
            assert "kept" not in told
