"""One time line for a window, whatever the device's clock was set to meanwhile. No I/O.

A moment is a number of nanoseconds; on the time line it is what the clock would have said if it had been
set at all times as it was at the press. Packets that came in since the device was started have their place by
the clock that nobody sets. Those of an earlier or later start are placed by what the clock said at the end of
that start, when it was set best; a start whose place cannot be true (it would overlap with that of the press,
as on a device whose clock does not run while it is off) has none. What release 0.1.0 recorded knows no other
clock than that of its stamps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from allegro.capture.ring.index import start_mark
from allegro.capture.ring.record import Record
from allegro.capture.ring.segments import Run
from allegro.system.boottime import STEP_NS, Reading


@dataclass(frozen=True)
class Start:
    """A start of the kernel: first and last time of its CLOCK_BOOTTIME at which the recorder was up, and how
    far the wall clock was ahead of it at the end."""

    boot_id: bytes
    first_boot_ns: int
    last_boot_ns: int
    offset_ns: int


@dataclass(frozen=True)
class Timeline:
    """Where records have their place. `offsets` are those of the starts that have one, in their order: moment
    minus CLOCK_BOOTTIME; those of `unplaced` have none, and lie before the moment `begin_ns`. Records of a
    start that is not known, or that know none, are placed by their stamps: moment minus stamp is
    `correction_ns`.
    """

    offsets: dict[bytes, int]
    correction_ns: int = 0
    begin_ns: int = 0
    unplaced: frozenset[bytes] = frozenset()

    def has(self, record: Record) -> bool:
        """Whether the record has a place."""
        return record.boot_id not in self.unplaced

    def first(self, record: Record) -> int:
        """The moment of the record's first packet."""
        if (offset_ns := self.offsets.get(record.boot_id)) is not None:
            return record.first_boot_ns + offset_ns
        if record.boot_id:
            return record.first_boot_ns + self._offset(record)
        return record.first_ns + self.correction_ns

    def last(self, record: Record) -> int:
        """The moment of the record's last packet."""
        if (offset_ns := self.offsets.get(record.boot_id)) is not None:
            return record.last_boot_ns + offset_ns
        if record.boot_id:
            return record.last_boot_ns + self._offset(record)
        return record.last_ns + self.correction_ns

    def shift(self, record: Record) -> int:
        """Stamp minus moment of the record's packets (of those before the step, if the clock was set)."""
        if record.boot_id:
            return record.wall_offset_ns - self._offset(record)
        return -self.correction_ns

    def extents(self, rows: Iterable[tuple[int, ...]]) -> Iterator[tuple[int, int] | None]:
        """Of each segment (`summaries.Row`) the moments of its first and its last packet, as well as its
        summary knows them; None if it has no place. There may be ten thousands."""
        marks = {start_mark(boot_id): offset_ns for boot_id, offset_ns in self.offsets.items()}
        nowhere = {start_mark(boot_id) for boot_id in self.unplaced}
        correction_ns = self.correction_ns
        for _, _, first_ns, last_ns, first_boot_ns, last_boot_ns, first_start, last_start in rows:
            if first_start != last_start or first_start not in marks:
                placed = first_start != last_start or first_start not in nowhere
                yield (first_ns + correction_ns, last_ns + correction_ns) if placed else None
            else:
                offset_ns = marks[first_start]
                yield first_boot_ns + offset_ns, last_boot_ns + offset_ns

    def moment(self, record: Record, boot_ns: int) -> int:
        """The moment of a time of CLOCK_BOOTTIME that a record tells, which has to know its start."""
        return boot_ns + self._offset(record)

    def _offset(self, record: Record) -> int:
        known = self.offsets.get(record.boot_id)
        return record.wall_offset_ns + self.correction_ns if known is None else known

    def run(self, run: Run) -> tuple[int, int] | None:
        """The moments at which a run began and at which it was last alive; None if it has no place."""
        if not run.boot_id:
            return run.start_ns + self.correction_ns, run.alive_ns + self.correction_ns
        offset_ns = self.offsets.get(bytes.fromhex(run.boot_id))
        return None if offset_ns is None else (run.start_boot_ns + offset_ns, run.alive_boot_ns + offset_ns)


def timeline(runs: Sequence[Run], boot_id: bytes, offset_ns: int) -> Timeline:
    """The time line of a press in the start `boot_id`, when the wall clock was `offset_ns` ahead of its
    CLOCK_BOOTTIME. Without a press (empty `boot_id`) the newest start takes its place."""
    starts = _starts(runs)
    place = next((number for number, start in enumerate(starts) if start.boot_id == boot_id), None)
    if boot_id and place is None:  # the recorder has not run since the device was started
        starts.append(Start(boot_id, 0, 0, offset_ns))
        place = len(starts) - 1
    if place is None:
        if not starts:
            return Timeline({})
        place, offset_ns = len(starts) - 1, starts[-1].offset_ns
    pressed = starts[place]
    correction_ns = offset_ns - pressed.offset_ns
    begin_ns, end_ns = offset_ns, pressed.last_boot_ns + offset_ns
    offsets: dict[bytes, int] = {}
    for number, start in enumerate(starts):
        own_ns = start.offset_ns + correction_ns
        before = number < place and start.last_boot_ns + own_ns <= begin_ns
        after = number > place and start.first_boot_ns + own_ns >= end_ns
        if number == place or before or after:
            offsets[start.boot_id] = offset_ns if number == place else own_ns
    unplaced = frozenset(start.boot_id for start in starts if start.boot_id not in offsets)
    return Timeline(offsets, correction_ns, begin_ns, unplaced)


def present(runs: Sequence[Run], boot_id: str, now: Reading) -> Timeline:
    """The time line by the clock of now, in the start `boot_id`: that it was just set, no ring says yet.

    Only then: by what the ring says, a window of dates is exact, and not only as exact as clocks are read.
    """
    seen = [
        run._replace(alive_ns=now.wall_ns, alive_boot_ns=now.boot_ns)
        if run.boot_id == boot_id
        and abs(now.wall_ns - now.boot_ns - (run.alive_ns - run.alive_boot_ns)) >= STEP_NS
        else run
        for run in runs
    ]
    return timeline(seen, b"", 0)


def _starts(runs: Sequence[Run]) -> list[Start]:
    """The starts of the kernel in which the recorder ran, in their order."""
    starts: dict[bytes, Start] = {}
    for run in runs:
        if not run.boot_id:
            continue
        boot_id = bytes.fromhex(run.boot_id)
        known = starts.get(boot_id)
        first_ns = min(run.start_boot_ns, known.first_boot_ns) if known else run.start_boot_ns
        offset_ns = run.alive_ns - run.alive_boot_ns
        if known and known.last_boot_ns > run.alive_boot_ns:
            offset_ns = known.offset_ns
        last_ns = max(run.alive_boot_ns, known.last_boot_ns if known else 0)
        starts[boot_id] = Start(boot_id, first_ns, last_ns, offset_ns)
    return list(starts.values())
