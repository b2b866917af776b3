"""The needle: what a filter costs that few packets of a ring match, against tcpdump over files of the same,
and what the summaries that make this possible cost the recorder.

The ring is written as the recorder writes one: blocks of 1 MiB, nearly full, of many conversations.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import mmap
import os
import random
import shutil
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from allegro.capture import _packets
from allegro.capture.extraction.contract import Request, Result
from allegro.capture.extraction.cut import extract
from allegro.capture.extraction.yielding import Courtesy
from allegro.capture.ring import record, record_summaries
from allegro.capture.ring.segments import MIB
from allegro.capture.ring.stock import RingBusyError
from allegro.capture.ring.writer import RingWriter
from allegro.filters.translate import translated
from benchmarks.contestants import ALLEGRO, CONTESTANTS, Contestant
from benchmarks.measuring import Bench, BenchmarkError, Load
from tests.harness.layers import ethernet, ipv4, tcp
from tests.harness.waiting import wait_for
from tests.unit.capture.blocks import NS, Frame, block

_RING = 1024 * MIB
_RING_QUICK = 256 * MIB
_FILE = 128 * MIB
_PER_BLOCK = 1100
_PAYLOAD = 760
_CLIENTS = 4000
_PER_BLOCK_CLIENTS = 150
_EVERY = 10_000
_BURST = 20
_START_NS = 1_763_762_000_000_000_000
_SPACING_NS = 200_000  # a window of minutes: of its first and last half second every record is read
_ROUNDS = 3
_PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)

BURSTS, EVEN, FLOW, ALL, NO_FILTER = (
    "1 of 10,000, in bursts of 20",
    "1 of 10,000, evenly",
    "a flow in two blocks",
    "all packets",
    "no filter",
)
_FILTERS = {
    BURSTS: ("ip == 172.16.0.1", "host 172.16.0.1"),
    EVEN: ("ip == 172.16.0.2", "host 172.16.0.2"),
    FLOW: ("ip == 172.16.0.3 && tcpPort == 50003", "host 172.16.0.3 and tcp port 50003"),
    ALL: ("ip == 0.0.0.0/0", "ip"),
    NO_FILTER: ("", ""),
}


@dataclass(frozen=True)
class Found:
    """One search: medians in seconds, of the ring and by tcpdump; packets; bytes read of those there are."""

    name: str
    seconds: float
    tcpdump_s: float
    packets: int
    read: int
    reached: int


@dataclass(frozen=True)
class Cost:
    """Of recording with and without summaries: highest rate without loss, processor seconds per million."""

    size: int
    rates: tuple[float, float]
    processor_s: tuple[float, float]


def compare(directory: Path, *, quick: bool) -> tuple[int, list[Found], list[Cost]]:
    """Size of the ring, searches, cost of recording. Raises BenchmarkError, BenchError."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    size = _RING_QUICK if quick else _RING
    try:
        files = _Files(directory)
        window = _write(directory / "ring", files, size)
        found = [_search(directory, files.paths, window, name) for name in _FILTERS]
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return size, found, _recording(directory, quick)


def text(result: tuple[int, list[Found], list[Cost]]) -> str:
    """The tables for the report."""
    size, found, costs = result
    plain = next(one for one in found if one.name == NO_FILTER)
    lines = [
        "## The needle",
        "",
        f"A ring of {size // MIB:,} MiB, not in the page cache; without the start of the process that cuts.",
        "",
        "| filter lets through | packets | read of the ring | s | tcpdump s | times faster | of no filter |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for one in found:
        lines.append(
            f"| {one.name} | {one.packets:,} | {100 * one.read / one.reached:.1f} % | {one.seconds:.3f} "
            f"| {one.tcpdump_s:.3f} | {one.tcpdump_s / one.seconds:.1f} | {plain.seconds / one.seconds:.2f} |"
        )
    lines += ["", "Recording with summaries, and without:", ""]
    lines += [
        "| frame | loss-free rate | without | ratio | CPU s per million | without |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    for cost in costs:
        ratio = f"{cost.rates[0] / cost.rates[1]:.2f}" if cost.rates[1] else "-"
        lines.append(
            f"| {cost.size} | {cost.rates[0]:,.0f} | {cost.rates[1]:,.0f} | {ratio} "
            f"| {cost.processor_s[0]:.3f} | {cost.processor_s[1]:.3f} |"
        )
    return "\n".join(lines) + "\n"


class _Files:
    """pcap files, as dumpcap's ring of files: the next one when one is large enough."""

    def __init__(self, directory: Path) -> None:
        self.paths: list[Path] = []
        self._directory = directory

    def add(self, frames: Sequence[Frame]) -> None:
        if not self.paths or self.paths[-1].stat().st_size > _FILE:
            self.paths.append(self._directory / f"{len(self.paths):05}.pcap")
            self.paths[-1].write_bytes(_PCAP_HEADER)
        with self.paths[-1].open("ab") as file:
            for one in frames:
                length = len(one.data)
                file.write(struct.pack("<IIII", *divmod(one.time_ns, NS), length, length) + one.data)


def _write(directory: Path, files: _Files, size: int) -> tuple[int, int]:
    """Makes ring and files; the window of all packets."""
    writer = RingWriter(directory, size, _START_NS)
    wait_for(lambda: writer.status().size == size, "the ring", 120)
    time_ns = _START_NS
    image = mmap.mmap(-1, MIB)  # aligned, for direct writing
    for frames in _blocks(size * 9 // 10 // MIB):
        time_ns = frames[-1].time_ns
        files.add(frames)
        image[:] = block(frames)
        _put(writer, memoryview(image))
    writer.close()
    os.sync()
    return _START_NS, time_ns


def _put(writer: RingWriter, image: memoryview) -> None:
    slot = None
    while slot is None:
        try:
            slot = writer.place(record.record_length(image))
        except RingBusyError:
            time.sleep(0.01)
    one = record.seal(image, writer.ring_id, slot.sequence, writer.run, 1, "port1")
    os.pwrite(slot.segment.descriptor, image[: one.length], slot.offset)
    writer.written(slot, one, _packets.summarize(image, record_summaries.room(one.length)))
    writer.publish()


def _blocks(count: int) -> Iterator[list[Frame]]:
    chance = random.Random(1)
    hay = [
        _packet(f"10.{number % 200}.{number // 200}.{number % 250}", 1024 + number)
        for number in range(_CLIENTS)
    ]
    needles = {name: _packet(f"172.16.0.{name}", 50_000 + name) for name in (1, 2, 3)}
    number = 0
    for place in range(count):
        present = chance.sample(hay, _PER_BLOCK_CLIENTS)
        frames = []
        for at in range(_PER_BLOCK):
            data = chance.choice(present)
            if number % (_EVERY * _BURST) < _BURST:
                data = needles[1]
            elif number % _EVERY == _EVERY // 2:
                data = needles[2]
            elif place in (count // 2, count // 2 + 1) and at % 10 == 0:
                data = needles[3]
            frames.append(Frame(_START_NS + number * _SPACING_NS, data))
            number += 1
        yield frames


def _packet(client: str, port: int) -> bytes:
    server = str(ipaddress.IPv4Address("192.0.2.1") + port % 50)
    return ethernet(0x0800, ipv4(6, tcp(port, 443, bytes(_PAYLOAD)), source=client, destination=server))


def _search(directory: Path, files: Sequence[Path], window: tuple[int, int], name: str) -> Found:
    written, expression = _FILTERS[name]
    canonical, program = translated(written)
    request = Request(
        directory / "ring",
        *window,
        directory / "out.pcapng",
        filter=canonical,
        program=program if written else b"",
    )
    seconds, theirs = [], []
    for _ in range(_ROUNDS):
        theirs.append(_tcpdump(files, expression, directory / "out.pcap"))
        took, result = _cut(request)
        seconds.append(took)
    return Found(
        name,
        statistics.median(seconds),
        statistics.median(theirs),
        result.packets,
        result.read,
        result.reached,
    )


def _cut(request: Request) -> tuple[float, Result]:
    _forget()
    began = time.perf_counter()
    result = extract(request, lambda *_: None, Courtesy(None))
    took = time.perf_counter() - began
    request.output.unlink()
    return took, result


def _tcpdump(files: Sequence[Path], expression: str, output: Path) -> float:
    _forget()
    began = time.perf_counter()
    for path in files:
        command = ["tcpdump", "-n", "-r", str(path), "-w", str(output), *([expression] if expression else [])]
        subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def _forget() -> None:
    """Nothing is in the page cache afterwards."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


_WITHOUT = """
import sys
from allegro.capture.recorder import loop, port
port.RecordedPort.has_memory_to_spare = lambda _: False
sys.exit(loop.main(sys.argv[1:]))
"""


def _recording(directory: Path, quick: bool) -> list[Cost]:
    told = next(one for one in CONTESTANTS if one.name == ALLEGRO)
    silent = dataclasses.replace(
        told, prepare=lambda folder: [sys.executable, "-c", _WITHOUT, *told.prepare(folder)[3:]]
    )
    bench = Bench(directory)
    try:
        return [_cost(bench, (told, silent), size, 1 if quick else _ROUNDS) for size in (64, 512, 1514)]
    finally:
        bench.close()


def _cost(bench: Bench, pair: tuple[Contestant, Contestant], size: int, rounds: int) -> Cost:
    """In turns, each at parts of what the generator can."""
    fastest = bench.fastest(size)
    rates: tuple[list[float], list[float]] = ([0.0], [0.0])
    used: tuple[list[float], list[float]] = ([], [])
    for part in [0.3, 0.6, None] * rounds:
        rate = None if part is None else int(fastest * part) // 1000 * 1000
        load = Load(size, int(fastest * (part or 1.0) * 2), rate)
        for place, contestant in enumerate(pair):
            run = bench.run(contestant, load)
            if not run.stored:
                raise BenchmarkError("Nothing was recorded.")
            if not run.lost:
                rates[place].append(run.rate)
            used[place].append(run.processor_s / run.stored * 1e6)
    return Cost(
        size,
        (max(rates[0]), max(rates[1])),
        (statistics.median(used[0]), statistics.median(used[1])),
    )
