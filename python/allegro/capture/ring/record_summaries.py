"""``<sequence>.summary`` beside a segment: what the packets of its records hold, so that a filter need not
read those in which nothing can match.

A cache, like the index, made by the recorder while it has time to spare, and never asked for by it.  Each
entry has a CRC, and names its record by number and time: what is missing, damaged or of something else says
nothing, which means that the record may match.  What is in an entry makes ``capture/_summary.c``,
and ``capture/_summary_form.h`` says how it is written down.
Version 0.1.0 does not know these files; what it leaves behind is removed at the next start (`recovery`).
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections import OrderedDict, deque
from collections.abc import Iterator
from pathlib import Path

from allegro.capture.ring.record import Record, Segment

SUFFIX = ".summary"

# crc of all behind it, length with this header, sequence and first ns of the record; then the summary
_HEADER = struct.Struct("<IIQQ")
ENTRY_SIZE = _HEADER.size
"""Bytes of an entry beside the summary itself."""

_SHARE_OF_SMALL = 20
_SHARE_OF_LARGE = 256
_MOST_OF_USUAL = 4096
"""An entry has a twentieth of a small record, and 4 KiB of a full one of 1 MiB (0.4 %)."""

_KEPT_FILES = 3
_LARGEST_FILE = 256 << 20


def summary_path(segment: Path) -> Path:
    """Path of the summaries of a segment."""
    return segment.with_suffix(SUFFIX)


def largest_entry(length: int) -> int:
    """The most bytes that an entry of a record of `length` bytes takes."""
    return min(length // _SHARE_OF_SMALL, max(_MOST_OF_USUAL, length // _SHARE_OF_LARGE))


def room(length: int) -> int:
    """The most bytes that the summary of a record of `length` bytes may have."""
    return largest_entry(length) - ENTRY_SIZE


def pack(record: Record, summary: bytes) -> bytes:
    """The entry of a record; nothing for a record without a summary."""
    if not summary:
        return b""
    entry = _HEADER.pack(0, ENTRY_SIZE + len(summary), record.sequence, record.first_ns) + summary
    return zlib.crc32(entry[4:]).to_bytes(4, "little") + entry[4:]


def parse(data: bytes) -> dict[tuple[int, int], memoryview]:
    """By number and first time of the record, the summaries that are sound; behind damage nothing is used."""
    view = memoryview(data)
    return {(sequence, first_ns): view[begin:end] for sequence, first_ns, begin, end in _entries(view)}


def sound_length(data: bytes) -> int:
    """Where the first thing lies that is no sound entry, or the end."""
    return max((end for *_, end in _entries(memoryview(data))), default=0)


def _entries(data: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Of each entry in front of the first one that is not sound: number and first time of its record, and
    where its summary begins and ends. A search in a large ring asks for ten thousands."""
    unpack, checksum, size, position = _HEADER.unpack_from, zlib.crc32, len(data), 0
    while position + ENTRY_SIZE <= size:
        crc, length, sequence, first_ns = unpack(data, position)
        end = position + length
        if not ENTRY_SIZE <= length <= size - position or checksum(data[position + 4 : end]) != crc:
            return
        yield sequence, first_ns, position + ENTRY_SIZE, end
        position = end


class Appender:
    """The writer's side, for one segment: one thread may add while another one writes.

    No failure of the disk comes out of it: what cannot be written is left out. `size` is that of the file.
    """

    def __init__(self) -> None:
        self.size = 0
        self._waiting: deque[tuple[Record, bytes]] = deque()
        self._descriptor: int | None = None

    def add(self, record: Record, summary: bytes) -> None:
        """To be written; empty if there is none."""
        if summary:
            self._waiting.append((record, summary))

    def write(self, segment: Path) -> None:
        """Appends what was added to the file of the segment."""
        data = b"".join(pack(*self._waiting.popleft()) for _ in range(len(self._waiting)))
        if not data:
            return
        with contextlib.suppress(OSError):
            if self._descriptor is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
                self._descriptor = os.open(summary_path(segment), flags, 0o640)
            if os.pwrite(self._descriptor, data, self.size) == len(data):
                self.size += len(data)

    def take_over(self, segment: Path) -> None:
        """Goes on behind what is in the file, as far as that is sound."""
        with contextlib.suppress(OSError):
            self.size = sound_length(summary_path(segment).read_bytes())

    def close(self) -> None:
        """Closes the file as it is."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
        self._descriptor = None


def size_on_disk(segment: Path) -> int:
    """Bytes of the summaries of a segment, 0 if there are none."""
    try:
        return summary_path(segment).stat().st_size
    except OSError:
        return 0


class RecordSummaries:
    """A reader's side; the files of the segments asked for last are kept in memory. For one thread."""

    def __init__(self) -> None:
        self._files: OrderedDict[Segment, dict[tuple[int, int], memoryview]] = OrderedDict()

    def of(self, record: Record) -> bytes | memoryview:
        """The summary of a record; empty if nothing is known of it."""
        found = self._files.get(record.segment)
        if found is None:
            found = self._files[record.segment] = _read(record.segment)
            if len(self._files) > _KEPT_FILES:
                self._files.popitem(last=False)
        return found.get((record.sequence, record.first_ns), b"")


def _read(segment: Segment) -> dict[tuple[int, int], memoryview]:
    try:
        with summary_path(segment.path).open("rb") as file:
            return parse(file.read(_LARGEST_FILE))
    except OSError:
        return {}
