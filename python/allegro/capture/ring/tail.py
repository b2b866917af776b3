"""The records that come into a ring while it is written, each once, in the order of their numbers.

Like `reader`, this takes no lock and never writes. Of the index only what has been added is read; where it
ends early, the records themselves are asked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from allegro.capture.ring import index, segments
from allegro.capture.ring.record import Record, Segment
from allegro.errors import Unavailable


class RingTail:
    """Gives the records behind number `last`. `overtaken` counts the numbers of records that were overwritten
    before they could be given; `identity` is that of the ring (None: not known)."""

    def __init__(self, directory: Path, last: int) -> None:
        self.last = last
        self.overtaken = 0
        self._directory = directory
        self.identity = segments.read_identity(directory)
        self._segment: Segment | None = None
        self._size = 0
        self._progress = index.Progress()
        self._end = 0

    def new(self) -> Iterator[Record]:
        """What can be found now and was not given yet. A record in which a packet is older than what the
        recorder says to be complete is wholly on the disk; others may still be under way.

        Raises Unavailable if another ring was begun.
        """
        if segments.read_identity(self._directory) != self.identity:
            raise Unavailable("The packet ring was begun anew.", remedy="Start the live capture again.")
        while True:
            if (self._segment is None or _gone(self._segment)) and not self._find():
                return
            try:
                yield from self._added()
                if (following := self._following()) is None:
                    return
                yield from self._rest()
            except FileNotFoundError:  # overwritten meanwhile
                self._segment = None
                continue
            self._enter(following)

    def _find(self) -> bool:
        """Goes to the segment in which the next record lies, or, if that was overwritten, the oldest."""
        try:
            paths = segments.list_segments(self._directory)
        except FileNotFoundError:
            return False
        firsts = [(segments.first_sequence(path) or 0, path) for path in paths]
        begun = [path for first, path in firsts if first <= self.last + 1]
        later = [each for each in firsts if each[0] > self.last + 1]
        if begun:
            return self._enter(begun[-1])
        if not later:
            return False
        first, path = later[0]
        self.overtaken += first - self.last - 1
        self.last = first - 1
        return self._enter(path)

    def _enter(self, path: Path) -> bool:
        try:
            status = path.stat()
        except FileNotFoundError:
            self._segment = None
            return False
        self._segment, self._size = Segment(path, status.st_ino), status.st_size
        self._progress, self._end = index.Progress(), 0
        return True

    def _added(self) -> Iterator[Record]:
        """By index, and where that ends, by the records."""
        assert self._segment is not None  # noqa: S101 (the caller has looked)
        try:
            with index.index_path(self._segment.path).open("rb") as file:
                known = index.ENTRY_SIZE if self._progress.position else 0
                file.seek(self._progress.position - known)
                data = file.read()
                if data[4:known] == self._progress.last_entry:
                    data = data[known:]
                else:  # made anew after a crash of the recorder: the same records may have other places
                    self._progress = index.Progress()
                    file.seek(0)
                    data = file.read()
        except FileNotFoundError:
            data = b""
        yield from self._not_given(index.parse_on(data, self._segment, self._progress))
        if not self._progress.finished:
            yield from self._walk(stop_at_gap=True)

    def _rest(self) -> Iterator[Record]:
        """Of a segment that is left; nothing if its index is whole."""
        if not self._progress.finished:
            yield from self._walk(stop_at_gap=False)

    def _walk(self, *, stop_at_gap: bool) -> Iterator[Record]:
        assert self._segment is not None  # noqa: S101
        if self.identity is None:
            return
        descriptor = os.open(self._segment.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = segments.walk(
                descriptor,
                self._size,
                self.identity.ring_id,
                segments.first_sequence(self._segment.path) or 0,  # what was given is left out behind this
                max(self._progress.last_end, self._end),
                segment=self._segment,
                stop_at_gap=stop_at_gap,
            )
            records = list(found)
        finally:
            os.close(descriptor)
        if _gone(self._segment):
            raise FileNotFoundError(self._segment.path)
        yield from self._not_given(records)

    def _not_given(self, records: Iterator[Record] | list[Record]) -> Iterator[Record]:
        for record in records:
            self._end = record.end
            if record.sequence > self.last:
                self.last = record.sequence
                yield record

    def _following(self) -> Path | None:
        """The segment behind this one, once the recorder is there."""
        assert self._segment is not None  # noqa: S101
        present = self._segment.path  # of which no record may be readable: then the next one has its number
        path = segments.blocks_path(self._directory, self.last + 1)
        if path != present and path.exists():
            return path
        if not self._progress.finished:
            return None
        # The first records of the next one may not have been written: its number is not known.
        later = (path for path in segments.list_segments(self._directory) if path > present)
        return next((path for path in later if (segments.first_sequence(path) or 0) > self.last), None)


def _gone(segment: Segment) -> bool:
    try:
        return segment.path.stat().st_ino != segment.inode
    except FileNotFoundError:
        return True
