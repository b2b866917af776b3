"""ring.index: which segments a ring has, oldest first, with a summary of each finished one.

A cache, like the indexes of the segments: with it, neither the start of the recorder nor a reader has to list
the directory and open every segment's index, of which a large ring has ten thousands.  The writer appends an
entry when a segment gets its name and another one when it is finished; what is said last of a segment counts.
Segments that are gone stay listed until the file is written anew.  If it cannot be written, it is removed:
then the directory is listed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from allegro.atomic import write_atomically
from allegro.capture.ring.index import Summary

FILE = "ring.index"

# crc, bytes of record summaries, first sequence, size, then the summary; without records: it is not finished
_ENTRY = struct.Struct("<IIQQ9Q2I")
_STALE_ALLOWED = 1024

# Places of fields in an entry, in words of eight bytes, and of four.
_WORDS, _HALF_WORDS = _ENTRY.size // 8, _ENTRY.size // 4
_SEQUENCE, _RECORDS, _PACKETS, _FIRST_NS, _LAST_NS, _FIRST_BOOT_NS, _LAST_BOOT_NS = 1, 3, 4, 6, 7, 10, 11
_FIRST_START, _LAST_START = 24, 25


class Listed(NamedTuple):
    """A segment: the number of its first record, its size, its summary (None: it is not finished), and how
    many bytes the summaries of its records have."""

    sequence: int
    size: int
    summary: Summary | None
    record_summaries: int = 0


class Row(NamedTuple):
    """What a picture of the ring takes from the summary of a segment."""

    records: int
    packets: int
    first_ns: int
    last_ns: int
    first_boot_ns: int
    last_boot_ns: int
    first_start: int
    last_start: int


def row(summary: Summary) -> Row:
    """Taken from this one."""
    return Row(*(getattr(summary, name) for name in Row._fields))


class SegmentTable:
    """The segments of a ring, oldest first; some may be gone by now.

    There are ten thousands of them in a large ring. So searches go over whole columns of the file, which
    costs nanoseconds per segment, and `Listed` is made only of what is asked for by its place.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        latest = dict(zip(memoryview(data).cast("Q")[_SEQUENCE::_WORDS].tolist(), itertools.count()))
        self._entries = [latest[sequence] for sequence in sorted(latest)]

    @classmethod
    def of(cls, segments: Iterable[Listed]) -> SegmentTable:
        """Made of these."""
        return cls(b"".join(map(_packed, segments)))

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, place: int) -> Listed:
        _, record_summaries, sequence, size, *summary = _ENTRY.unpack_from(
            self._data, self._entries[place] * _ENTRY.size
        )
        return Listed(sequence, size, Summary._make(summary) if summary[0] else None, record_summaries)

    def __iter__(self) -> Iterator[Listed]:
        return map(self.__getitem__, range(len(self)))

    def from_oldest(self, present: Callable[[Listed], bool]) -> SegmentTable:
        """Without those that are gone, which are the oldest: found by asking for few of them.

        A single one that is missing in the middle has been lost, and says nothing of the others.
        """

        def there(place: int) -> bool:
            return any(present(self[near]) for near in range(place, min(place + 3, len(self))))

        low, high = 0, len(self)
        if not low < high or present(self[0]):
            return self
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if there(middle) else (middle + 1, high)
        while low < len(self) and not present(self[low]):
            low += 1
        rest = SegmentTable(b"")
        rest._data, rest._entries = self._data, self._entries[low:]
        return rest

    def within(self, start_ns: int, end_ns: int) -> list[int]:
        """The places of segments that may hold records of this time by the wall clock."""
        columns = zip(*map(self._column, (_RECORDS, _FIRST_NS, _LAST_NS)), strict=True)
        return [
            place
            for place, (records, first_ns, last_ns) in enumerate(columns)
            if not records or (last_ns >= start_ns and first_ns <= end_ns)
        ]

    def of_start(self, mark: int, start_boot_ns: int, end_boot_ns: int) -> list[int]:
        """The places of segments that may hold records of this start of the kernel (`index.start_mark`) and
        this time of its CLOCK_BOOTTIME. A start stands in neighbouring records; several may share a
        segment."""
        starts = (self._column(word, "I", _HALF_WORDS) for word in (_FIRST_START, _LAST_START))
        times = map(self._column, (_RECORDS, _FIRST_BOOT_NS, _LAST_BOOT_NS))
        columns = zip(*times, *starts, strict=True)
        return [
            place
            for place, (records, first_ns, last_ns, first, last) in enumerate(columns)
            if not records
            or (last_ns and (first != last or not first))
            or (first == mark and last_ns >= start_boot_ns and first_ns <= end_boot_ns)
        ]

    def rows(self) -> list[tuple[int, ...]]:
        """Of each segment what `Row` names, as plain tuples; all 0 of one that is not finished."""
        words = (_RECORDS, _PACKETS, _FIRST_NS, _LAST_NS, _FIRST_BOOT_NS, _LAST_BOOT_NS)
        starts = (self._column(word, "I", _HALF_WORDS) for word in (_FIRST_START, _LAST_START))
        return list(zip(*map(self._column, words), *starts, strict=True))

    def _column(self, field: int, kind: Literal["Q", "I"] = "Q", stride: int = _WORDS) -> list[int]:
        values: list[int] = memoryview(self._data).cast(kind)[field::stride].tolist()
        return list(map(values.__getitem__, self._entries))


def read(directory: Path) -> SegmentTable | None:
    """The segments; None if the file is missing or damaged."""
    try:
        data = (directory / FILE).read_bytes()
    except OSError:
        return None
    data = data[: len(data) - len(data) % _ENTRY.size]
    view, checksum, length = memoryview(data), zlib.crc32, _ENTRY.size
    sums = view.cast("I")[::_HALF_WORDS].tolist() if data else []
    places = range(4, len(data), length)
    if any(checksum(view[at : at + length - 4]) != told for at, told in zip(places, sums, strict=True)):
        return None
    return SegmentTable(data) if data else None


class SummaryFile:
    """The writer's side. May be used by several threads; no failure of the disk comes out of it."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._entries = 0

    def write(self, segments: Callable[[], Iterable[Listed]]) -> None:
        """Replaces the whole file by what `segments` then says: what is added meanwhile comes behind it."""
        with self._lock:
            data = [_packed(segment) for segment in segments()]
            self._close()
            try:
                write_atomically(self._path, b"".join(data), mode=0o644, sync=False)
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
                self._entries = len(data)
            except OSError:
                self._give_up()

    def add(self, segment: Listed) -> None:
        """The segment has got its name, or is finished."""
        data = _packed(segment)
        with self._lock:
            if self._descriptor is None:
                return
            try:
                if os.write(self._descriptor, data) != len(data):
                    self._give_up()
                self._entries += 1
            except OSError:
                self._give_up()

    def worn(self, segments: int) -> bool:
        """Whether the file is to be written anew: it is not there, or lists much more than there is."""
        return self._descriptor is None or self._entries > 3 * segments + _STALE_ALLOWED

    def close(self) -> None:
        """Leaves the file as it is."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def _give_up(self) -> None:
        self._close()
        with contextlib.suppress(OSError):
            self._path.unlink()


def _packed(segment: Listed) -> bytes:
    summary = segment.summary or Summary()
    entry = _ENTRY.pack(0, segment.record_summaries, segment.sequence, segment.size, *summary)
    return zlib.crc32(entry[4:]).to_bytes(4, "little") + entry[4:]
