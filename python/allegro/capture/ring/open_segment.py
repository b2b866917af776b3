"""A segment file that the recorder has open: empty, in use, or waiting for its last records."""

from __future__ import annotations

import errno
import os
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from allegro.capture.ring import index
from allegro.capture.ring.index import Packer, Summary
from allegro.capture.ring.record import Record
from allegro.capture.ring.record_summaries import Appender


@dataclass(eq=False)
class OpenSegment:
    """`first` is the sequence number of its first record. Until there is one, and the publisher has come by,
    it has no index and the name of an empty segment (`named` is False).

    `pending` records are under way. `entries` are those that the publisher has not seen; of the index,
    `indexed` bytes are in the file, and `unindexed` are still to be written. `dirty`: not all that was
    written is safe on disk; `safe`: all of it is, and nothing more comes.
    """

    path: Path
    descriptor: int
    size: int
    first: int = 0
    used: int = 0
    named: bool = False
    index: int | None = None
    indexed: int = 0
    unindexed: bytearray = field(default_factory=bytearray)
    packer: Packer = field(default_factory=Packer)
    summary: Summary = field(default_factory=Summary)
    record_summaries: Appender = field(default_factory=Appender)
    pending: int = 0
    entries: deque[Record] = field(default_factory=deque)
    dirty: bool = False
    safe: bool = False

    def written(self, record: Record, summary: bytes) -> None:
        """The record is on disk; `summary` says what its packets hold (see `record_summaries`)."""
        self.record_summaries.add(record, summary)
        self.entries.append(record)
        self.summary = self.summary.plus(record)
        self.dirty = True
        self.pending -= 1

    def write_index(self) -> bool:
        """Appends to the index what it lacks, and says whether it lacks nothing then.

        A disk without room for an index has still room for the records, and readers ask those where the index
        ends: so what cannot be written waits for the next time, and nothing is ever left out between.
        """
        if not self.unindexed:
            return True
        try:
            if self.index is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
                self.index = os.open(index.index_path(self.path), flags, 0o640)
            written = os.pwrite(self.index, self.unindexed, self.indexed)
        except OSError:
            return False
        written -= written % index.ENTRY_SIZE
        self.indexed += written
        del self.unindexed[:written]
        return not self.unindexed

    def close(self) -> None:
        """Closes the files as they are."""
        try:
            os.close(self.descriptor)
        finally:
            self.record_summaries.close()
            if self.index is not None:
                os.close(self.index)


class Slot(NamedTuple):
    """The place of one record, and its number."""

    segment: OpenSegment
    offset: int
    sequence: int


def open_segment(path: Path, size: int) -> OpenSegment:
    """Opens a segment, for direct writing where the file system can. Raises OSError."""
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | os.O_DIRECT)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        descriptor = os.open(path, flags)  # a file system without direct I/O, e.g. tmpfs before Linux 6.6
    return OpenSegment(path, descriptor, size)
