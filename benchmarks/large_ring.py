"""What a ring of many segments costs: to start, to tell its status, and from a press to its first packets.

The segments are holes but for the last minute and a half, which is of two quiet ports (records of 4 KiB).
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from allegro.capture.extraction.cut import extract
from allegro.capture.extraction.yielding import Courtesy
from allegro.capture.ring import index, segments
from allegro.capture.ring.index import Summary
from allegro.capture.ring.segments import MIB, TIB
from allegro.capture.ring.summaries import Listed, SummaryFile
from allegro.capture.ring.writer import RingWriter
from tests.unit.capture.blocks import NS
from tests.unit.capture.devices import Device
from tests.unit.capture.rings import RUN, Ring

RINGS = {4096: TIB, 32_768: 32 * TIB}
"""Numbers of segments, and the sizes of the rings that have them."""

_PER_SEGMENT = 1000
_RECORDED_S = 90
_WINDOW_S = 60
_UP_FOR_NS = 100_000 * NS
_REPEATS = 5


@dataclass(frozen=True)
class Cost:
    """Of a ring of so many segments, in seconds: the best of some repeats, the page cache being warm."""

    segments: int
    start_s: float
    status_s: float
    first_packet_s: float
    whole_s: float


def measure(directory: Path) -> list[Cost]:
    """Makes the rings in `directory` one after the other, and removes them."""
    return [_measure(directory / str(count), count, size) for count, size in RINGS.items()]


def text(costs: list[Cost]) -> str:
    """The costs as a table."""
    rows = [
        f"| {cost.segments:,} | {cost.start_s:.2f} | {cost.status_s * 1000:.3f} | {cost.first_packet_s:.3f} |"
        f" {cost.whole_s:.3f} |"
        for cost in costs
    ]
    head = "| segments | start s | status ms | press to first packets s | to the whole file s |"
    return "\n".join([head, "|--:|--:|--:|--:|--:|", *rows, ""])


def _measure(directory: Path, count: int, size: int) -> Cost:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    try:
        device = make(directory / "ring", count, size // count)
        presses = [_press(device) for _ in range(_REPEATS)]
        began = time.perf_counter()
        writer = RingWriter(device.ring.directory, size, RUN + 1)
        started = time.perf_counter()
        for _ in range(_REPEATS):
            writer.status()
        told = time.perf_counter()
        writer.close()
    finally:
        shutil.rmtree(directory)
    first, whole = map(min, zip(*presses, strict=True))
    return Cost(count, started - began, (told - started) / _REPEATS, first, whole)


def make(directory: Path, count: int, segment: int, filled_s: float = 1.0) -> Device:
    """A ring of so many segments of `segment` bytes, each of which was filled within `filled_s` seconds."""
    ring = Ring(directory)
    ring.sequence = count * _PER_SEGMENT
    device = Device(ring)
    device.start(RUN)
    device.boot_ns = _UP_FOR_NS
    device.record(_RECORDED_S)
    ring.finish()
    new = segments.list_segments(directory)
    filled_ns = round(filled_s * NS)
    numbers = _numbers(count - len(new))
    listed = [Listed(number, segment, _summary(device, number, filled_ns)) for number in numbers]
    for place in listed:
        segments.blocks_path(directory, place.sequence).touch()
    for path in new:
        summary = index.read_summary(index.index_path(path))
        listed.append(Listed(segments.first_sequence(path) or 0, segment, summary))
    # The oldest holds something, so that nobody has to look for the oldest packet in what follows.
    shutil.copy(new[0], segments.blocks_path(directory, listed[0].sequence))
    shutil.copy(index.index_path(new[0]), index.index_path(segments.blocks_path(directory, 1)))
    for place in listed:
        with segments.blocks_path(directory, place.sequence).open("r+b") as file:
            file.truncate(segment)
    file_of_all = SummaryFile(directory)
    file_of_all.write(lambda: listed)
    file_of_all.close()
    return device


def _numbers(count: int) -> range:
    return range(1, count * _PER_SEGMENT, _PER_SEGMENT)


def _summary(device: Device, number: int, filled_ns: int) -> Summary:
    """Of a segment that was filled long before the window."""
    mark, begin_ns = index.start_mark(device.boot_id), number * filled_ns // _PER_SEGMENT
    times = (begin_ns, begin_ns + filled_ns - 1)
    wall = (RUN + times[0] - _UP_FOR_NS, RUN + times[1] - _UP_FOR_NS)
    return Summary(1000, 10_000, 4 * MIB, *wall, number + 999, 4 * MIB, *times, mark, mark)


def _press(device: Device) -> tuple[float, float]:
    """Seconds until the first packets are read, and until the file is whole."""
    request = device.press(_WINDOW_S)
    first: list[float] = []
    began = time.perf_counter()

    def report(_fraction: float, packets: int, *_: int) -> None:
        if not first and packets:
            first.append(time.perf_counter() - began)

    extract(request, report, Courtesy(None))
    whole = time.perf_counter() - began
    request.output.unlink()
    return first[0], whole
