"""Traffic over time, for a picture of the whole ring or a part of it; made of summaries, never of packets.

Of a part with few records the records' entries in the index are read, which know port and losses; of a longer
one the summaries of its segments, which know only how many packets there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from allegro.capture.extraction.timeline import Timeline, present
from allegro.capture.ring.news import ClockStepped
from allegro.capture.ring.reader import RecordDamaged, RecordGone, RingReader
from allegro.capture.ring.record import FLAG_NEWS, Record
from allegro.capture.ring.segments import Run
from allegro.errors import Unavailable
from allegro.system import boottime

MOST_RECORDS = 8_000
"""Of a part with more records, only summaries of segments are read: so an answer takes a moment."""

SHORTEST_AWAY_NS = 1_000_000_000


class Piece(NamedTuple):
    """Packets that came in between two moments (ns, both included), and how many were lost."""

    first_ns: int
    last_ns: int
    packets: int
    port: str
    lost: int


class Span(NamedTuple):
    """Two moments, in ns since 1970 (UTC)."""

    start_ns: int
    end_ns: int


class Step(NamedTuple):
    """The clock was set at a moment, by so much (negative: back)."""

    moment_ns: int
    size_ns: int


@dataclass(frozen=True)
class Traffic:
    """The ring between two moments. `packets` and `lost` have one number for each step of the same length;
    the name of all ports together is empty, and then `lost` and `steps` have none. In `away` no recorder was
    running.

    `oldest_ns` and `newest_ns` are the ends of the whole ring, 0 if it holds nothing.
    """

    window: Span
    oldest_ns: int
    newest_ns: int
    packets: dict[str, list[float]]
    lost: dict[str, list[float]]
    away: list[Span]
    steps: list[Step]


def of_ring(directory: Path, start_ns: int | None, end_ns: int | None, steps: int) -> Traffic:
    """What the ring in this directory holds, by the clock as it is set now. Raises Unavailable."""
    try:
        with RingReader(directory) as reader:
            line = present(reader.runs(), boottime.boot_id(), boottime.read_clocks())
            return traffic(reader, line, start_ns, end_ns, steps)
    except OSError as error:
        raise Unavailable(
            f"The packet ring cannot be read: {error.strerror}.", remedy="Check the disk that holds it."
        ) from error


def traffic(
    reader: RingReader, line: Timeline, start_ns: int | None, end_ns: int | None, steps: int
) -> Traffic:
    """What the ring holds between two moments of the time line (None: its own ends), in `steps` steps."""
    table, rows = reader.outline()
    # Plain tuples, and few steps for each: of a large ring there are ten thousands.
    placed = [
        (extent[0], extent[1], row[1], row[0], number)
        for number, (row, extent) in enumerate(zip(rows, line.extents(rows), strict=True))
        if row[0] and extent
    ]
    oldest_ns = min([one[0] for one in placed], default=0)
    newest_ns = max([one[1] for one in placed], default=0)
    start_ns = oldest_ns if start_ns is None else start_ns
    end_ns = newest_ns if end_ns is None else end_ns
    window = Span(start_ns, max(end_ns, start_ns + steps))
    inside = [one for one in placed if one[0] <= window.end_ns and one[1] >= start_ns]
    packets: dict[str, list[float]] = {}
    lost: dict[str, list[float]] = {}
    clock_steps: list[Step] = []
    if sum([one[3] for one in inside]) > MOST_RECORDS:
        packets[""] = spread((one[:3] for one in inside), window, steps)
    else:
        records = [
            record for *_, number in inside for record in reader.records_of(table[number]) if line.has(record)
        ]
        pieces = [
            Piece(
                line.first(record),
                line.last(record),
                record.packets,
                record.port_name,
                record.losses.system + record.losses.card,
            )
            for record in records
        ]
        clock_steps = [
            step for step in _clock_steps(reader, line, records) if start_ns <= step[0] <= window.end_ns
        ]
        for name in sorted({piece.port for piece in pieces}, key=lambda name: (len(name), name)):
            found = [piece for piece in pieces if piece.port == name]
            packets[name] = spread(((*one[:2], one.packets) for one in found), window, steps)
            lost[name] = spread(((*one[:2], one.lost) for one in found if one.lost), window, steps)
    return Traffic(
        window, oldest_ns, newest_ns, packets, lost, away(reader.runs(), line, window), clock_steps
    )


def _clock_steps(reader: RingReader, line: Timeline, records: Iterable[Record]) -> Iterator[Step]:
    """What the records of news among them tell of the clock; few are."""
    for record in records:
        if record.flags & FLAG_NEWS and record.boot_id:
            try:
                told = reader.news(record)
            except (RecordGone, RecordDamaged):
                continue
            for each in told:
                if isinstance(each, ClockStepped):
                    yield Step(line.moment(record, each.boot_ns), each.size_ns)


def spread(pieces: Iterable[tuple[int, int, int]], window: Span, steps: int) -> list[float]:
    """What came in in each step of the window: the count of a piece (first moment, last moment, count) is
    spread evenly over its time; what lies outside of the window is left out."""
    counts = [0.0] * steps
    start_ns, end_ns = window
    scale = steps / (end_ns - start_ns)
    for first_ns, last_ns, count in pieces:
        if last_ns < start_ns or first_ns > end_ns:
            continue
        begin, end = min((first_ns - start_ns) * scale, steps), (last_ns - start_ns) * scale
        if last_ns <= end_ns:  # rounded, it may come to a little more than all steps
            end = min(end, steps)
        low, high = int(begin), int(end)
        if begin >= 0 and (begin == end or low == high < steps):
            counts[min(low, steps - 1)] += count
            continue
        low, high = max(low, 0), min(high, steps - 1)
        if low >= high and begin >= 0 and end <= steps:
            counts[min(low, steps - 1)] += count
            continue
        share = count / (end - begin)
        for step in range(low, high + 1):
            counts[step] += share * (min(end, step + 1) - max(begin, step))
    return counts


def away(runs: Sequence[Run], line: Timeline, window: Span) -> list[Span]:
    """When no recorder was running within the window, as far as runs are known; not shorter than a second.
    Behind the last word of the last run nothing is known."""
    ups = sorted(span for run in runs if (span := line.run(run)) is not None)
    found = []
    alive_ns = None
    for start_ns, end_ns in ups:
        if alive_ns is not None and start_ns - alive_ns >= SHORTEST_AWAY_NS:
            begin, end = max(alive_ns, window.start_ns), min(start_ns, window.end_ns)
            found += [Span(begin, end)] if begin < end else []
        alive_ns = max(alive_ns or end_ns, end_ns)
    return found
