"""A day of eight quiet ports in one capture: how long it takes, and how much memory.

On each port something is heard once a second (as LLDP, spanning tree and ARP are): all of the ring is
records of 4 KiB with a packet or two.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from allegro.capture.extraction.contract import LATEST_NS, Request
from allegro.capture.ring import index, segments
from allegro.capture.ring import record as blocks
from allegro.capture.ring.index import Packer, Summary
from allegro.capture.ring.losses import NO_LOSSES
from benchmarks.contestants import MIB
from benchmarks.measuring import BenchmarkError
from tests.unit.capture.blocks import NS, Frame, block
from tests.unit.capture.rings import RING_ID, RUN

PORTS = 8
DAY_S = 86_400
_SEGMENT = 64 * MIB
_BOOT_ID = bytes(range(16))
_FRAMES = 2
_FRAME = bytes.fromhex("0180c200000e 020000000001 88cc") + bytes(100)


@dataclass(frozen=True)
class Day:
    """Of the process that cuts: seconds by the clock and of the processors, most memory that it had (MiB)."""

    records: int
    packets: int
    wall_s: float
    processor_s: float
    memory_mib: float


def measure(directory: Path, seconds: int = DAY_S) -> Day:
    """Makes the ring in `directory` (2.7 GiB for a day), cuts all of it once, and removes it.

    Raises BenchmarkError.
    """
    shutil.rmtree(directory, ignore_errors=True)
    ring = directory / "ring"
    ring.mkdir(parents=True)
    try:
        _record(ring, seconds)
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("3")
        return _cut(Request(ring, 0, LATEST_NS, directory / "result"), seconds * PORTS)
    finally:
        shutil.rmtree(directory)


def text(day: Day) -> str:
    """The result as a table."""
    return "\n".join(
        [
            "| records | packets | s | processors' s | µs of them per record | most memory MiB |",
            "|--:|--:|--:|--:|--:|--:|",
            f"| {day.records:,} | {day.packets:,} | {day.wall_s:.1f} | {day.processor_s:.1f} |"
            f" {day.processor_s / day.records * 1e6:.1f} | {day.memory_mib:.0f} |",
            "",
        ]
    )


def _record(ring: Path, seconds: int) -> None:
    """The ring as the recorder would have left it."""
    segments.write_identity(ring, segments.RingIdentity(RING_ID, RUN))
    end_ns = seconds * NS
    run = segments.Run(RUN, RUN, RUN + end_ns, (), _BOOT_ID.hex(), NS, NS + end_ns, ended=True)
    segments.write_runs(ring, [run], sync=False)
    per_segment = _SEGMENT // blocks.ALIGNMENT
    for first in range(0, seconds * PORTS, per_segment):
        _write_segment(ring, first, min(per_segment, seconds * PORTS - first))


def _write_segment(ring: Path, first: int, count: int) -> None:
    path = segments.blocks_path(ring, first + 1)
    packer, summary, entries = Packer(), Summary(), bytearray()
    with path.open("wb", buffering=MIB) as file:
        for number in range(first, first + count):
            boot_ns = NS + number * NS // PORTS
            wall_ns = RUN + boot_ns - NS
            frames = [Frame(wall_ns + at * 20_000_000, _FRAME) for at in range(_FRAMES)]
            image = memoryview(block(frames, size=blocks.ALIGNMENT))
            times = blocks.Times(_BOOT_ID, boot_ns, boot_ns + 20_000_000, RUN - NS)
            port = number % PORTS + 1
            made = blocks.seal(image, RING_ID, number + 1, RUN, port, f"port{port}", NO_LOSSES, times)
            made = made._replace(offset=(number - first) * blocks.ALIGNMENT)
            file.write(image)
            entries += packer.pack(made)
            summary = summary.plus(made)
        file.truncate(_SEGMENT)
    index.index_path(path).write_bytes(entries + packer.pack_summary(summary))


def _cut(request: Request, records: int) -> Day:
    began = time.monotonic()
    program = subprocess.Popen(
        [sys.executable, "-I", "-m", "allegro.capture.extraction"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert program.stdin is not None
    with program.stdin as told:
        told.write(request.to_json())
    _, status, used = os.wait4(program.pid, 0)
    wall_s = time.monotonic() - began
    program.returncode = os.waitstatus_to_exitcode(status)
    if program.returncode or not request.output.exists():
        raise BenchmarkError(f"a day was not cut: the process ended with {program.returncode}")
    return Day(records, records * _FRAMES, wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
