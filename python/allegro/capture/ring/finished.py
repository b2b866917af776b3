"""The finished segments of a ring, oldest first, and their sums: what the status tells costs the same however
many there are.  No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from allegro.capture.ring.index import Summary
from allegro.capture.ring.recovery import RecoveredSegment


@dataclass
class Sums:
    """Of all segments: bytes of the files, and of what is in them; bytes of their records' summaries."""

    size: int = 0
    end: int = 0
    records: int = 0
    packets: int = 0
    used: int = 0
    record_summaries: int = 0

    def add(self, size: int, summary: Summary, sign: int = 1, *, record_summaries: int = 0) -> None:
        """Adds a segment, or with -1 takes it away."""
        self.size += sign * size
        self.end += sign * summary.end
        self.records += sign * summary.records
        self.packets += sign * summary.packets
        self.used += sign * summary.used
        self.record_summaries += sign * record_summaries


class FinishedSegments:
    """A queue: finished segments come to its end, the oldest go from its beginning."""

    def __init__(self, segments: Iterable[RecoveredSegment]) -> None:
        self.sums = Sums()
        self._segments: deque[RecoveredSegment] = deque()
        for segment in segments:
            self.append(segment)

    def __len__(self) -> int:
        return len(self._segments)

    def __iter__(self) -> Iterator[RecoveredSegment]:
        return iter(self._segments)

    def __getitem__(self, place: int) -> RecoveredSegment:
        return self._segments[place]

    def append(self, segment: RecoveredSegment) -> None:
        """The newest one."""
        self._segments.append(segment)
        self.sums.add(segment.size, segment.summary, record_summaries=segment.record_summaries)

    def popleft(self) -> RecoveredSegment:
        """Takes out the oldest."""
        return self._taken(self._segments.popleft())

    def pop(self) -> RecoveredSegment:
        """Takes out the newest."""
        return self._taken(self._segments.pop())

    def summaries(self, places: range) -> list[Summary]:
        """Those at these places (negative: from the end), as far as there are so many."""
        count = len(self._segments)
        return [self._segments[place].summary for place in places if -count <= place < count]

    def _taken(self, segment: RecoveredSegment) -> RecoveredSegment:
        self.sums.add(segment.size, segment.summary, -1, record_summaries=segment.record_summaries)
        return segment
