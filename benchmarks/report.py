"""From single runs to the tables: medians, highest rate without loss, ratios to the best peer."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.contestants import ALLEGRO, UNINDEXED
from benchmarks.measuring import Run


@dataclass(frozen=True)
class Line:
    """One program at one frame size and one offered rate: medians over the repeats."""

    program: str
    size: int
    asked_rate: int | None
    rate: float
    lost_percent: float
    lost_worst_percent: float
    processor_s_per_million: float
    processor_spread: tuple[float, float]
    bytes_per_packet: float
    repeats: int


@dataclass(frozen=True)
class Summary:
    """One program at one frame size: the highest rate at which the median run lost nothing, and its cost.

    `unlimited`: it lost nothing at any offered rate, so that rate is the generator's, not its own.
    """

    program: str
    size: int
    loss_free_rate: float
    unlimited: bool
    processor_s_per_million: float
    bytes_per_packet: float


def lines(runs: Sequence[Run]) -> list[Line]:
    """The runs put together, in their order."""
    groups: dict[tuple[int, int | None, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.size, run.asked_rate, run.program), []).append(run)
    return [_line(group) for group in groups.values()]


def summaries(table: Sequence[Line]) -> list[Summary]:
    """Per frame size and program. The processor time is that of the highest offered rate."""
    result = []
    for size in sorted({line.size for line in table}):
        for program in dict.fromkeys(line.program for line in table):
            mine = [line for line in table if (line.size, line.program) == (size, program)]
            if mine:
                clean = [line.rate for line in mine if not line.lost_percent]
                last = mine[-1]
                result.append(
                    Summary(
                        program,
                        size,
                        max(clean, default=0.0),
                        len(clean) == len(mine),
                        last.processor_s_per_million,
                        last.bytes_per_packet,
                    )
                )
    return result


def text(runs: Sequence[Run], notes: Sequence[str]) -> str:
    """All tables as Markdown."""
    table = lines(runs)
    parts = ["# Recording: Allegro and others on the same load", ""]
    parts += [f"- {note}" for note in notes]
    parts += [
        "",
        "| frame | offered | program | reached /s | lost | worst | CPU s per million | bytes per packet |",
    ]
    parts += ["|--:|--:|---|--:|--:|--:|--:|--:|"]
    for line in table:
        offered = "full" if line.asked_rate is None else f"{line.asked_rate:,}"
        low, high = line.processor_spread
        parts.append(
            f"| {line.size} | {offered} | {line.program} | {line.rate:,.0f} | {line.lost_percent:.2f} % "
            f"| {line.lost_worst_percent:.2f} % | {line.processor_s_per_million:.3f} ({low:.3f}-{high:.3f}) "
            f"| {line.bytes_per_packet:.0f} |"
        )
    parts += ["", "## Against the best peer", ""]
    parts += ["| frame | loss-free rate | best peer | ratio | CPU s per million | best peer | part | floor |"]
    parts += ["|--:|--:|---|--:|--:|---|--:|--:|"]
    parts += [_comparison(size, summaries(table)) for size in sorted({line.size for line in table})]
    parts.append("")
    parts.append("A ratio with ~: neither lost anything, so both rates are the generator's.")
    parts.append(f"`{UNINDEXED}` is no peer: its packets are found again only by reading everything.")
    parts.append(
        "It shows the floor: what getting and writing blocks costs when nothing else is done with them,"
    )
    parts.append("as a part of the cheapest peer. No recorder that writes directly can be cheaper than that.")
    return "\n".join(parts) + "\n"


def _comparison(size: int, table: Sequence[Summary]) -> str:
    ours = next(item for item in table if (item.size, item.program) == (size, ALLEGRO))
    peers = [item for item in table if item.size == size and item.program not in (ALLEGRO, UNINDEXED)]
    fast = max(peers, key=lambda item: item.loss_free_rate)
    cheap = min(peers, key=lambda item: item.processor_s_per_million)
    ratio = (
        f"{ours.loss_free_rate / fast.loss_free_rate:.2f}" if fast.loss_free_rate else "no peer without loss"
    )
    if ours.unlimited and fast.unlimited:
        ratio = f"~{ratio}"
    part = ours.processor_s_per_million / cheap.processor_s_per_million
    floor = next((item for item in table if (item.size, item.program) == (size, UNINDEXED)), None)
    lowest = f"{floor.processor_s_per_million / cheap.processor_s_per_million:.2f}" if floor else "-"
    return (
        f"| {size} | {ours.loss_free_rate:,.0f} | {fast.program} {fast.loss_free_rate:,.0f} | {ratio} "
        f"| {ours.processor_s_per_million:.3f} | {cheap.program} {cheap.processor_s_per_million:.3f} "
        f"| {part:.2f} | {lowest} |"
    )


def _line(group: Sequence[Run]) -> Line:
    costs = [run.processor_s / max(run.stored, 1) * 1e6 for run in group]
    lost = [100 * run.lost / run.sent for run in group]
    return Line(
        program=group[0].program,
        size=group[0].size,
        asked_rate=group[0].asked_rate,
        rate=statistics.median(run.rate for run in group),
        lost_percent=statistics.median(lost),
        lost_worst_percent=max(lost),
        processor_s_per_million=statistics.median(costs),
        processor_spread=(min(costs), max(costs)),
        bytes_per_packet=statistics.median(run.stored_size / max(run.stored, 1) for run in group),
        repeats=len(group),
    )
