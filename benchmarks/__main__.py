"""make bench: all programs, one after the other, at several rates and frame sizes."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    bridge,
    extraction,
    full_rate,
    large_ring,
    looking,
    needle,
    quiet_day,
    quiet_links,
    report,
    rows,
    uploading,
)
from benchmarks.contestants import CONTESTANTS
from benchmarks.measuring import FLOWS, Bench, BenchmarkError, Run, loads
from tests.harness.bench_errors import BenchError

OUTPUT = Path("build/bench")


def main() -> int:
    """Runs the comparison and returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="within three minutes: one repeat, full speed only"
    )
    parser.add_argument("--ring", action="store_true", help="only what a ring of many segments costs")
    parser.add_argument("--bridge", action="store_true", help="only what passes through a link")
    parser.add_argument("--before", action="store_true", help="only recording at full rate, against 0.1.0")
    parser.add_argument("--extraction", action="store_true", help="only getting packets out again")
    parser.add_argument("--links", action="store_true", help="only quiet links, and a disk that stands still")
    parser.add_argument("--day", action="store_true", help="only a day of quiet ports in one capture")
    parser.add_argument("--needle", action="store_true", help="only what a filter costs that few match")
    parser.add_argument("--rows", action="store_true", help="only what a hundred filters cost at once")
    parser.add_argument("--upload", action="store_true", help="only what gets captures to an SFTP server")
    parser.add_argument("--packets", action="store_true", help="only looking at packets in the page")
    parser.add_argument("--gib", type=int, default=1, help="size of the ring of --needle")
    options = parser.parse_args()
    quick = options.quick
    if options.ring:
        return _large_rings()
    if os.geteuid():
        print("This needs root (network namespaces, packet sockets): use make bench.", file=sys.stderr)
        return 1
    if options.bridge:
        return _through_a_link(quick)
    if options.links:
        return _quiet_links()
    if options.day:
        return _quiet_day()
    if options.before:
        return _against_before(quick)
    if options.extraction:
        return _out_again(quick)
    if options.needle:
        return _needle(quick, options.gib)
    if options.rows:
        return _rows(quick)
    if options.upload:
        return _upload(quick)
    if options.packets:
        return _packets()
    budget = 120.0 if quick else 600.0
    began = time.monotonic()
    runs: list[Run] = []
    bench = Bench(OUTPUT / "data")
    try:
        for repeat, load in loads(bench, (None,) if quick else (0.3, 0.6, None), 1 if quick else 3):
            if time.monotonic() - began > budget:
                print("The time is up: what is missing is left out.")
                break
            for contestant in CONTESTANTS:
                runs.append(bench.run(contestant, load))
                _tell(repeat, runs[-1])
    except (BenchmarkError, BenchError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        bench.close()
    result = report.text(runs, _notes(runs, quick))
    (OUTPUT / "results.md").write_text(result)
    (OUTPUT / "results.json").write_text(json.dumps([dataclasses.asdict(run) for run in runs], indent=1))
    print(f"\n{result}\nAlso in {OUTPUT}/results.md and {OUTPUT}/results.json")
    parts = (
        _against_before(quick)
        or _large_rings()
        or _through_a_link(quick)
        or _out_again(quick)
        or _needle(quick)
        or _rows(quick)
    )
    parts = parts or _upload(quick)
    return parts or (0 if quick else _quiet_links() or _quiet_day())


def _large_rings() -> int:
    return _part("rings", lambda folder: large_ring.text(large_ring.measure(folder)))


def _through_a_link(quick: bool) -> int:
    return _part("bridge", lambda folder: bridge.text(bridge.compare(folder, quick=quick)))


def _quiet_links() -> int:
    return _part("quiet", lambda folder: quiet_links.text(quiet_links.measure(folder)))


def _quiet_day() -> int:
    return _part("day", lambda folder: quiet_day.text(quiet_day.measure(folder)))


def _against_before(quick: bool) -> int:
    return _part("before", lambda folder: full_rate.text(full_rate.compare(folder, quick=quick)))


def _out_again(quick: bool) -> int:
    return _part("extraction", lambda folder: extraction.text(extraction.compare(folder, quick=quick)))


def _needle(quick: bool, gib: int = 1) -> int:
    return _part("needle", lambda folder: needle.text(needle.compare(folder, quick=quick, gib=gib)))


def _rows(quick: bool) -> int:
    return _part("rows", lambda folder: rows.text(rows.compare(folder, quick=quick)))


def _upload(quick: bool) -> int:
    return _part("upload", lambda folder: uploading.text(uploading.compare(folder, quick=quick)))


def _packets() -> int:
    return _part("packets", lambda folder: looking.text(looking.measure(folder)))


def _part(name: str, measure: Callable[[Path], str]) -> int:
    """Shows and keeps what `measure` finds in a folder of its own; returns the exit code."""
    try:
        result = measure(OUTPUT / name)
    except (BenchmarkError, BenchError) as error:
        print(error, file=sys.stderr)
        return 1
    (OUTPUT / f"{name}.md").write_text(result)
    print(f"\n{result}\nAlso in {OUTPUT}/{name}.md")
    return 0


def _tell(repeat: int, run: Run) -> None:
    offered = "full speed" if run.asked_rate is None else f"{run.asked_rate:,}/s"
    print(
        f"round {repeat + 1}: {run.size:4d} bytes, {offered:>12}: {run.program:<20} {run.rate:10,.0f}/s "
        f"lost {100 * run.lost / run.sent:6.2f} %  CPU {run.processor_s:6.3f} s",
        flush=True,
    )


def _notes(runs: list[Run], quick: bool) -> list[str]:
    repeats = max((line.repeats for line in report.lines(runs)), default=0)
    machine = f"{os.cpu_count()} processors, Linux {platform.release()}"
    busy = f"Load average at the end: {os.getloadavg()[0]:.1f}"
    return [
        f"{machine}; veth pair, {FLOWS} UDP flows.",
        f"{busy}. On a busy machine only the ratios mean something.",
        f"{'Quick: ' if quick else ''}up to {repeats} repeats; medians, and lowest to highest CPU time.",
        "A program that needs longer per packet slows the sender down, too: compare the rates reached.",
        "CPU time is that of the whole program, user and system, from being ready to its end.",
        "Then allegro's and stenotype's packets are on disk, the others' partly still in memory.",
    ]


if __name__ == "__main__":
    sys.exit(main())
