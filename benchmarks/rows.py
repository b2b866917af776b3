"""A table of a hundred rows against one row: looking at packets alone, and cut out of a ring."""

from __future__ import annotations

import itertools
import shutil
import statistics
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from allegro.capture import _packets
from allegro.capture.extraction.contract import Request, Result
from allegro.capture.extraction.cut import extract_all
from allegro.capture.extraction.yielding import Courtesy
from allegro.capture.ring.segments import MIB
from allegro.errors import AllegroError
from allegro.filters.translate import translated
from benchmarks import haystack
from benchmarks.measuring import BenchmarkError, forget_files
from tests.harness.layers import ethernet, ipv4, tcp
from tests.unit.capture.blocks import Frame, block, index_of

_RING = 1024 * MIB
_RING_QUICK = 256 * MIB
_ROUNDS = 3
_SMALL_PACKETS = 6000

ONE, FEW, EACH, PLAIN = (
    "one row, 2 % of the packets",
    "the same, and 99 that nothing matches",
    "100 rows, each packet in one",
    "one row without filter",
)
_SPLIT = ("srcIp == 10.0.0.0/9", "srcIp == 10.128.0.0/9")
_FILTERS = {
    ONE: [f"ip == {haystack.server(0)}"],
    FEW: [f"ip == {haystack.server(0)}", *(f"ip == 172.17.0.{number}" for number in range(99))],
    EACH: [
        f"ip == {haystack.server(number)} && {half}"
        for number, half in itertools.product(range(haystack.SERVERS), _SPLIT)
    ],
    PLAIN: [""],
}


@dataclass(frozen=True)
class Found:
    """Medians of seconds by the clock and of the processors; packets of all files."""

    name: str
    seconds: float
    processor_s: float
    packets: int


def compare(directory: Path, *, quick: bool) -> tuple[dict[str, float], list[Found]]:
    """Nanoseconds for each packet by filters in memory, and what files cost. Raises BenchmarkError."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    try:
        window = haystack.write(directory / "ring", None, _RING_QUICK if quick else _RING)
        return _in_memory(), [_cut(directory, window, name) for name in _FILTERS]
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def text(result: tuple[dict[str, float], list[Found]]) -> str:
    """The tables for the report."""
    in_memory, found = result
    one = found[0]
    lines = [
        "## A hundred rows",
        "",
        "Looking for packets of 64 bytes in memory:",
        "",
        "| filters | ns for each packet |",
        "|---|--:|",
        *(f"| {name} | {spent:.0f} |" for name, spent in in_memory.items()),
        "",
        "Files out of a ring that is not in the page cache:",
        "",
        "| files | packets | s | CPU s | s of one row | CPU s of one row |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for each in found:
        lines.append(
            f"| {each.name} | {each.packets:,} | {each.seconds:.3f} | {each.processor_s:.3f} "
            f"| {each.seconds / one.seconds:.2f} | {each.processor_s / one.processor_s:.2f} |"
        )
    return "\n".join(lines) + "\n"


def _in_memory() -> dict[str, float]:
    frames = [
        Frame(number, ethernet(0x0800, ipv4(6, tcp(number, 443), source=f"10.0.{number % 20}.1")))
        for number in range(_SMALL_PACKETS)
    ]
    whole = block(frames)
    (used,) = struct.unpack_from("<I", whole, 20)
    image = bytes(whole[:used])
    index = index_of(image)
    texts = {
        "one row": ["ip == 10.0.0.1"],
        "100 rows of an address": [f"ip == 10.0.{number}.1" for number in range(100)],
        "100 rows of a subnet and a port": [
            f"ip == 10.0.{number}.0/24 && port == 443" for number in range(100)
        ],
        "100 rows of a range": [f"length > {number + 1000}" for number in range(100)],
    }
    found = {}
    for name, filters in texts.items():
        rows = _packets.rows([translated(one)[1] for one in filters])
        spent = []
        for _ in range(20):
            began = time.perf_counter()
            _packets.match(image, index, 0, 1 << 62, 0, rows)
            spent.append(time.perf_counter() - began)
        found[name] = min(spent) / len(frames) * 1e9
    return found


def _cut(directory: Path, window: tuple[int, int], name: str) -> Found:
    requests = []
    for number, written in enumerate(_FILTERS[name]):
        canonical, program = translated(written)
        requests.append(
            Request(
                directory / "ring",
                *window,
                directory / f"{number}.pcapng",
                filter=canonical,
                program=program if written else b"",
            )
        )
    rounds = [_once(requests) for _ in range(_ROUNDS)]
    seconds, processor_s = (statistics.median(one[place] for one in rounds) for place in (0, 1))
    return Found(name, seconds, processor_s, rounds[0][2])


def _once(requests: Sequence[Request]) -> tuple[float, float, int]:
    packets = []

    def answer(_: int, told: Result | AllegroError) -> None:
        if isinstance(told, AllegroError):
            raise BenchmarkError(str(told))
        packets.append(told.packets)

    forget_files()
    began, used = time.perf_counter(), time.process_time()
    extract_all(requests, lambda *_: None, answer, Courtesy(None))
    spent = time.perf_counter() - began, time.process_time() - used
    for request in requests:
        request.output.unlink()
    return *spent, sum(packets)
