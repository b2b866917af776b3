"""Recording at full rate: the recorder of release 0.1.0 and today's, in turns on the same load."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import release
from benchmarks.contestants import ALLEGRO, CONTESTANTS, RING_SIZE, Contestant
from benchmarks.measuring import Bench, Run, loads
from benchmarks.report import Line, Summary, lines, summaries

BEFORE = "allegro 0.1.0"
_PARTS = (0.6, None)
"""Of what the generator can."""
_REPEATS = 3


def compare(directory: Path, *, quick: bool) -> list[Run]:
    """Both at each frame size and rate; who is first changes from repeat to repeat. Raises BenchmarkError."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    bench = Bench(directory / "data")
    try:
        pair = (_before(release.unpack(directory / "release")), _today())
        runs = []
        for repeat, load in loads(bench, (None,) if quick else _PARTS, 1 if quick else _REPEATS):
            for contestant in pair if repeat % 2 == 0 else pair[::-1]:
                runs.append(bench.run(contestant, load))
                one = runs[-1]
                print(
                    f"{one.size:4d} bytes, {one.program:<13} {one.rate:10,.0f}/s,"
                    f" lost {one.lost:,} of {one.sent:,}, CPU {one.processor_s:6.3f} s",
                    flush=True,
                )
        return runs
    finally:
        bench.close()
        shutil.rmtree(directory)


def text(runs: Sequence[Run]) -> str:
    """The tables for the report."""
    table = lines(runs)
    parts = [
        "## Recording at full rate, against 0.1.0",
        "",
        "| frame | offered | recorder | reached /s | lost | worst | CPU s per million |",
        "|--:|--:|---|--:|--:|--:|--:|",
        *map(_row, sorted(table, key=lambda line: line.size)),
        "",
        "| frame | loss-free /s | 0.1.0 | ratio | CPU s per million | 0.1.0 | ratio |",
        "|--:|--:|--:|--:|--:|--:|--:|",
    ]
    found = summaries(table)
    for size in sorted({line.size for line in table}):
        now, before = (
            next(one for one in found if (one.size, one.program) == (size, program))
            for program in (ALLEGRO, BEFORE)
        )
        parts.append(_ratios(now, before))
    parts += ["", "A rate with ~ is the generator's: nothing was lost at any rate that was offered."]
    return "\n".join(parts) + "\n"


def _row(line: Line) -> str:
    offered = "full" if line.asked_rate is None else f"{line.asked_rate:,}"
    low, high = line.processor_spread
    return (
        f"| {line.size} | {offered} | {line.program} | {line.rate:,.0f} | {line.lost_percent:.2f} %"
        f" | {line.lost_worst_percent:.2f} % | {line.processor_s_per_million:.3f} ({low:.3f} to {high:.3f}) |"
    )


def _ratios(now: Summary, before: Summary) -> str:
    def ratio(value: Callable[[Summary], float]) -> str:
        return f"{value(now) / value(before):.2f}" if value(before) else "-"

    rates = [f"{'~' if one.unlimited else ''}{one.loss_free_rate:,.0f}" for one in (now, before)]
    costs = [f"{one.processor_s_per_million:.3f}" for one in (now, before)]
    return (
        f"| {now.size} | {rates[0]} | {rates[1]} | {ratio(lambda one: one.loss_free_rate)}"
        f" | {costs[0]} | {costs[1]} | {ratio(lambda one: one.processor_s_per_million)} |"
    )


def _today() -> Contestant:
    return next(one for one in CONTESTANTS if one.name == ALLEGRO)


def _before(source: Path) -> Contestant:
    today = _today()

    def prepare(directory: Path) -> list[str]:
        return ["env", f"PYTHONPATH={source.absolute()}", *today.prepare(directory)]

    return dataclasses.replace(today, name=BEFORE, prepare=prepare, ready=_is_ready)


def _is_ready(directory: Path) -> bool:
    """As `recorder_is_ready`, by a status as 0.1.0 writes it."""
    try:
        said = json.loads((directory / "memory" / "status.json").read_bytes())
    except (OSError, ValueError):
        return False
    whole = said["ring"] is not None and said["ring"]["size"] >= RING_SIZE
    return bool(said["state"] == "recording" and len(said["ports"]) == 1 and whole)
