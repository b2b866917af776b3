"""ring.index: which segments a ring has, oldest first, with a summary of each finished one.

A cache, like the indexes of the segments: with it, neither the start of the recorder nor a reader has to list
the directory and open every segment's index, of which a large ring has ten thousands.  The writer appends an
entry when a segment gets its name and another one when it is finished; what is said last of a segment counts.
Segments that are gone stay listed until the file is written anew.  If it cannot be written, it is removed:
then the directory is listed.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from allegro.atomic import write_atomically
from allegro.capture.ring.index import Summary

FILE = "ring.index"

# crc, reserved, first sequence, size, then the summary; without records: the segment is not finished
_ENTRY = struct.Struct("<I4xQQ9Q")
_STALE_ALLOWED = 1024


class Listed(NamedTuple):
    """A segment: the number of its first record, its size, its summary (None: it is not finished)."""

    sequence: int
    size: int
    summary: Summary | None


def read(directory: Path) -> list[Listed] | None:
    """The segments, oldest first; None if the file is missing or damaged. Some may be gone by now."""
    try:
        data = (directory / FILE).read_bytes()
    except OSError:
        return None
    found: dict[int, Listed] = {}
    view = memoryview(data)[: len(data) - len(data) % _ENTRY.size]
    place, length, checksum = 4, _ENTRY.size, zlib.crc32
    for fields in _ENTRY.iter_unpack(view):
        if checksum(view[place : place + length - 4]) != fields[0]:
            return None
        place += length
        sequence = fields[1]
        found[sequence] = Listed(sequence, fields[2], Summary._make(fields[3:]) if fields[3] else None)
    return list(found.values()) or None


class SummaryFile:
    """The writer's side. May be used by several threads; no failure of the disk comes out of it."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._entries = 0

    def write(self, segments: Iterable[Listed]) -> None:
        """Replaces the whole file."""
        data = [_packed(segment) for segment in segments]
        with self._lock:
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
    entry = _ENTRY.pack(0, segment.sequence, segment.size, *summary)
    return zlib.crc32(entry[4:]).to_bytes(4, "little") + entry[4:]
