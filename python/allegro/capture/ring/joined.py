"""A ring on a disk, and the one in memory that took its place while the disk gave none, read as one.

Once the disk's ring is in use again, the one in memory is kept for some minutes (`recorder.ring_keeper`). The
recorder wrote into one of them at a time, so their records together are what a single ring would hold; what
the disk's news say of the time in between is shortened to what neither has.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

from allegro.capture.ring.news import (
    KEPT_IN_MEMORY,
    KEPT_ON_ANOTHER_DISK,
    KEPT_ON_ANOTHER_DISK_AND_IN_MEMORY,
    News,
    RingOpened,
)
from allegro.capture.ring.reader import RingReader
from allegro.capture.ring.record import Record
from allegro.capture.ring.segments import Run

_LATEST_NS = (1 << 63) - 1


def reader_of(directory: Path, memory: Path | None) -> RingReader:
    """A reader of the ring in `directory`, with the one in `memory` if that holds packets next to its own."""
    if memory is None:
        return RingReader(directory)
    try:
        with RingReader(memory) as beside:
            kept = beside.bounds()
    except OSError:  # whatever it is, the disk's ring can be read without
        kept = None
    if kept is None:
        return RingReader(directory)
    joined = JoinedReader(directory, memory)
    if joined.has_overwritten() and joined.begins_ns() > kept[1]:  # what came between is overwritten
        joined.close()
        return RingReader(directory)
    return joined


class JoinedReader(RingReader):
    """Finds the records of both rings in the order of their times; not safe for several threads either."""

    def __init__(self, directory: Path, memory: Path) -> None:
        super().__init__(directory)
        self._memory = memory
        self._kept = RingReader(memory)

    def close(self) -> None:
        """Closes the files of both."""
        super().close()
        self._kept.close()

    def iterate(self, start_ns: int, end_ns: int) -> Iterator[Record]:
        """As that of a ring, of both."""
        both = super().iterate(start_ns, end_ns), self._kept.iterate(start_ns, end_ns)
        return heapq.merge(*both, key=attrgetter("first_ns"))

    def extents(self, start_ns: int, end_ns: int) -> Iterator[tuple[int, int]]:
        """As that of a ring, of both."""
        return itertools.chain(super().extents(start_ns, end_ns), self._kept.extents(start_ns, end_ns))

    def iterate_boot(self, boot_id: bytes, start_boot_ns: int, end_boot_ns: int) -> Iterator[Record]:
        """As that of a ring, of both."""
        wanted = boot_id, start_boot_ns, end_boot_ns
        both = super().iterate_boot(*wanted), self._kept.iterate_boot(*wanted)
        return heapq.merge(*both, key=attrgetter("first_boot_ns"))

    def news(self, place: Record) -> tuple[News, ...]:
        """That a ring was taken into use is said by the disk's alone."""
        if place.segment.path.parent == self._memory:
            return tuple(one for one in self._kept.news(place) if not isinstance(one, RingOpened))
        return tuple(self._shortened(one, place.boot_id) for one in super().news(place))

    def runs(self) -> list[Run]:
        """Those of the disk's ring, and of those in memory what only that one knows and still holds."""
        runs = super().runs()
        known = {run.run: run.alive_boot_ns for run in runs}
        if (oldest := self._oldest()) is not None:
            begin_ns = oldest.first_boot_ns
            for run in self._kept.runs():
                if run.alive_boot_ns > max(known.get(run.run, 0), begin_ns):
                    later_ns = max(begin_ns - run.start_boot_ns, 0)
                    runs.append(
                        run._replace(
                            start_ns=run.start_ns + later_ns, start_boot_ns=run.start_boot_ns + later_ns
                        )
                    )
        return sorted(runs, key=lambda run: run.start_ns)

    def ports(self) -> list[str]:
        """Names of all ports that were recorded into either, sorted."""
        return sorted({*super().ports(), *self._kept.ports()})

    def bounds(self) -> tuple[int, int] | None:
        """Time of the oldest and of the newest packet of both in ns, None if there is none."""
        both = [bounds for bounds in (super().bounds(), self._kept.bounds()) if bounds is not None]
        return (min(one[0] for one in both), max(one[1] for one in both)) if both else None

    def begins_ns(self) -> int:
        """Time of the oldest packet on the disk in ns, 0 if there is none."""
        bounds = super().bounds()
        return bounds[0] if bounds else 0

    def _oldest(self) -> Record | None:
        return next(self._kept.iterate(0, _LATEST_NS), None)

    def _shortened(self, told: News, boot_id: bytes) -> News:
        """That the disk's ring was not in use is over where the one in memory begins. What is left of that
        time was not in memory, unless that has been overwritten there."""
        if not isinstance(told, RingOpened) or not told.memory_boot_ns:
            return told
        oldest = self._oldest()
        if oldest is None or oldest.boot_id != boot_id:
            return told
        begin_ns = max(told.memory_boot_ns, oldest.first_boot_ns)
        reason = told.reason
        if begin_ns == told.memory_boot_ns or not self._kept.has_overwritten():
            reason = reason.replace(KEPT_ON_ANOTHER_DISK_AND_IN_MEMORY, KEPT_ON_ANOTHER_DISK)
            reason = reason.replace(KEPT_IN_MEMORY, "").rstrip()
        return replace(told, boot_ns=min(told.boot_ns, begin_ns), reason=reason)
