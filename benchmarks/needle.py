"""The needle: what a filter costs that few packets of a ring match, against tcpdump over files of the same,
and what the summaries that make this possible cost the recorder.
"""

from __future__ import annotations

import dataclasses
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from allegro.capture.extraction.contract import Request, Result
from allegro.capture.extraction.cut import extract
from allegro.capture.extraction.yielding import Courtesy
from allegro.capture.ring.segments import MIB
from allegro.filters.translate import translated
from benchmarks import haystack
from benchmarks.contestants import ALLEGRO, CONTESTANTS, Contestant, packets_in
from benchmarks.measuring import Bench, BenchmarkError, Load, forget_files
from benchmarks.stenographer import Stenographer

_RING = 1024 * MIB
_RING_QUICK = 256 * MIB
_ROUNDS = 3

BURSTS, EVEN, FLOW, ALL, NO_FILTER = (
    "1 of 10,000, in bursts of 20",
    "1 of 10,000, evenly",
    "a flow in two blocks",
    "all packets",
    "no filter",
)
_FILTERS = {
    BURSTS: (f"ip == {haystack.BURSTS}", f"host {haystack.BURSTS}"),
    EVEN: (f"ip == {haystack.EVEN}", f"host {haystack.EVEN}"),
    FLOW: (f"ip == {haystack.FLOW} && tcpPort == 50003", f"host {haystack.FLOW} and tcp port 50003"),
    ALL: ("ip == 0.0.0.0/0", "ip"),
    NO_FILTER: ("", ""),
}


_QUERIES = {
    BURSTS: f"host {haystack.BURSTS}",
    EVEN: f"host {haystack.EVEN}",
    FLOW: f"host {haystack.FLOW} and tcp and port 50003",
}
"""In stenographer's language, which can ask for rare packets only."""


@dataclass(frozen=True)
class Found:
    """One search: medians in seconds, of the ring, by tcpdump and by stenographer (None: it cannot ask for
    that); packets; bytes read of those there are."""

    name: str
    seconds: float
    tcpdump_s: float
    stenographer_s: float | None
    packets: int
    read: int
    reached: int


@dataclass(frozen=True)
class Cost:
    """Of recording with and without summaries: highest rate without loss, processor seconds per million."""

    size: int
    rates: tuple[float, float]
    processor_s: tuple[float, float]


def compare(directory: Path, *, quick: bool, gib: int = 1) -> tuple[int, list[Found], list[Cost]]:
    """Size of the ring, searches, cost of recording. Raises BenchmarkError, BenchError.

    In a ring of more than one GiB only rare packets are looked for.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    size = _RING_QUICK if quick else gib * _RING
    try:
        files = haystack.Files(directory)
        window = haystack.write(directory / "ring", files, size)
        other = Stenographer(directory / "stenographer", files.paths)
        try:
            names = _FILTERS if gib == 1 else _QUERIES
            found = [_search(directory, files.paths, other, window, name) for name in names]
        finally:
            other.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return size, found, _recording(directory, quick) if gib == 1 else []


def text(result: tuple[int, list[Found], list[Cost]]) -> str:
    """The tables for the report."""
    size, found, costs = result
    plain = [one.seconds for one in found if one.name == NO_FILTER]
    lines = [
        "## The needle",
        "",
        f"A ring of {size // MIB:,} MiB, not in the page cache; without the start of the process that cuts.",
        "",
        "| filter lets through | packets | read of the ring | s | tcpdump s | times faster | stenographer s "
        "| times faster | of no filter |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for one in found:
        of_plain = f"{plain[0] / one.seconds:.2f}" if plain else ""
        other = " | "
        if one.stenographer_s is not None:
            other = f"{one.stenographer_s:.3f} | {one.stenographer_s / one.seconds:.1f}"
        lines.append(
            f"| {one.name} | {one.packets:,} | {100 * one.read / one.reached:.1f} % | {one.seconds:.3f} "
            f"| {one.tcpdump_s:.3f} | {one.tcpdump_s / one.seconds:.1f} | {other} | {of_plain} |"
        )
    if not costs:
        return "\n".join(lines) + "\n"
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


def _search(
    directory: Path, files: Sequence[Path], other: Stenographer, window: tuple[int, int], name: str
) -> Found:
    written, expression = _FILTERS[name]
    canonical, program = translated(written)
    request = Request(
        directory / "ring",
        *window,
        directory / "out.pcapng",
        filter=canonical,
        program=program if written else b"",
    )
    seconds, theirs, others = [], [], []
    query = _QUERIES.get(name)
    for _ in range(_ROUNDS):
        if query is not None:
            others.append(other.search(query, directory / "out.pcap"))
            looked_up = packets_in(directory / "out.pcap")
        theirs.append(_tcpdump(files, expression, directory / "out.pcap"))
        took, result = _cut(request)
        seconds.append(took)
        if query is not None and looked_up != result.packets:
            raise BenchmarkError(f"{name}: stenographer has {looked_up} of {result.packets} packets.")
    return Found(
        name,
        statistics.median(seconds),
        statistics.median(theirs),
        statistics.median(others) if others else None,
        result.packets,
        result.read,
        result.reached,
    )


def _cut(request: Request) -> tuple[float, Result]:
    forget_files()
    began = time.perf_counter()
    result = extract(request, lambda *_: None, Courtesy(None))
    took = time.perf_counter() - began
    request.output.unlink()
    return took, result


def _tcpdump(files: Sequence[Path], expression: str, output: Path) -> float:
    forget_files()
    began = time.perf_counter()
    for path in files:
        command = ["tcpdump", "-n", "-r", str(path), "-w", str(output), *([expression] if expression else [])]
        subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


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
