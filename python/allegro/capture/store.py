"""Reading the packet ring, from any process, while the recorder writes it.

The layout on disk is described in `segments` (files) and `blocks` (records).  A reader takes no lock and
never writes: it lists what is there, reads records, and notices when one has been overwritten meanwhile.
Where the index of a segment is missing or short, the records themselves are asked.
"""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from allegro.capture import blocks, segments
from allegro.capture.segments import IndexEntry, Run
from allegro.errors import AllegroError

ORDER_SLACK_NS = 50_000_000
"""Packets of a port may be out of order by the time between two CPUs' receive queues: a record is taken as
reaching this much (50 ms) further on both sides than its first and last packet say."""

_OPEN_FILES = 8
_FIRST_SEQUENCE = 1  # of a new ring, see `ring_recovery`

__all__ = ["ORDER_SLACK_NS", "RecordDamaged", "RecordGone", "RecordRef", "RingReader", "Run"]


class RecordGone(AllegroError):
    """The record has been overwritten by newer packets."""

    status = 409


class RecordDamaged(AllegroError):
    """The record on disk is not (any more) what the index says."""

    status = 409


@dataclass(frozen=True, slots=True)
class RecordRef:
    """Where a record lies and what it holds.

    Times in nanoseconds since 1970 (UTC); `length` bytes on disk, of which `used` are the kernel's block.
    `drops`, `freezes` and `nic_missed` are what the port lost since its record before this one.
    """

    path: Path
    inode: int
    offset: int
    length: int
    sequence: int
    run: int
    port_index: int
    port_name: str
    first_ns: int
    last_ns: int
    packets: int
    used: int
    drops: int
    freezes: int
    nic_missed: int


class RingReader:
    """Finds and reads the records of a ring.  Not safe for use by several threads at once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: OrderedDict[Path, tuple[int, int]] = OrderedDict()

    def __enter__(self) -> RingReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the files; the reader can still be used afterwards."""
        while self._files:
            self._forget(next(iter(self._files)))

    def records(self, start_ns: int, end_ns: int) -> list[RecordRef]:
        """All records that may hold packets of start_ns <= time <= end_ns, by sequence number.

        Records overwritten while this looks are left out. An absent or empty ring gives an empty list.
        """
        return list(self.iterate(start_ns, end_ns))

    def iterate(self, start_ns: int, end_ns: int) -> Iterator[RecordRef]:
        """The same as `records`, found one segment at a time: a window may hold millions of them."""
        start, end = start_ns - ORDER_SLACK_NS, end_ns + ORDER_SLACK_NS
        if end_ns < start_ns:
            return
        paths = self._segments()
        for path in paths:
            summary = segments.read_summary(segments.index_path(path))
            if summary is not None and (summary.last_ns < start or summary.first_ns > end):
                continue
            with contextlib.suppress(FileNotFoundError):
                inode, entries = self._entries(path, newest=path == paths[-1])
                for entry in entries:
                    if entry.last_ns >= start and entry.first_ns <= end:
                        yield _reference(path, inode, entry)

    def extents(self, start_ns: int, end_ns: int) -> Iterator[tuple[int, int]]:
        """(used bytes, packets) of what `iterate` would find: of a finished segment within the window at
        once, of the others record by record. So little is read, however long the window."""
        start, end = start_ns - ORDER_SLACK_NS, end_ns + ORDER_SLACK_NS
        paths = self._segments()
        for path in paths:
            summary = segments.read_summary(segments.index_path(path))
            if summary is not None and start_ns <= summary.first_ns and summary.last_ns <= end_ns:
                yield summary.used, summary.packets
                continue
            if summary is not None and (summary.last_ns < start or summary.first_ns > end):
                continue
            with contextlib.suppress(FileNotFoundError):
                for entry in self._entries(path, newest=path == paths[-1])[1]:
                    if entry.last_ns >= start and entry.first_ns <= end:
                        yield entry.used, entry.packets

    def read(self, ref: RecordRef) -> bytes:
        """The record's block (`ref.length` bytes).

        Raises RecordGone if it has been overwritten, RecordDamaged if what is there is not that record.
        """
        try:
            descriptor = self._open(ref.path, ref.inode)
            block = os.pread(descriptor, ref.length, ref.offset)
            # What was read once will not be read again soon: leave the memory to others.
            os.posix_fadvise(descriptor, ref.offset, ref.length, os.POSIX_FADV_DONTNEED)
            # Only now: a segment is renamed before it is overwritten, see `segments`.
            gone = ref.path.stat().st_ino != ref.inode
        except FileNotFoundError:
            gone = True
        except OSError as error:
            raise RecordDamaged(
                f"The disk could not read a part of the packet ring ({error.strerror}).", place=str(ref.path)
            ) from None
        if gone:
            self._forget(ref.path)
            raise RecordGone(
                "Packets were overwritten by newer ones while they were read.", place=str(ref.path)
            )
        try:
            header = blocks.read_header(block)
            if header.sequence != ref.sequence:
                raise blocks.BlockFormatError("another record lies here")
            blocks.check_complete(block, header)
        except blocks.BlockFormatError as error:
            raise RecordDamaged(
                f"A part of the packet ring is damaged: {error}.", place=str(ref.path)
            ) from None
        return block

    def runs(self) -> list[Run]:
        """The periods in which the recorder was up, oldest first."""
        return segments.read_runs(self._directory)

    def ports(self) -> list[str]:
        """Names of all ports that were recorded in the runs still known, sorted."""
        return sorted({name for run in self.runs() for name in run.ports})

    def bounds(self) -> tuple[int, int] | None:
        """Time of the oldest and of the newest packet in ns, None if the ring holds none."""
        paths = self._segments()
        oldest = next(self._extents(paths), None)
        newest = next(self._extents(paths[::-1]), None)
        if oldest is None or newest is None:
            return None
        return oldest[0], newest[1]

    def has_overwritten(self) -> bool:
        """Whether the ring's first packets are gone: it reaches back only to the oldest in `bounds`."""
        first = [segments.first_sequence(path) for path in self._segments()[:1]]
        return any(sequence is not None and sequence > _FIRST_SEQUENCE for sequence in first)

    def _segments(self) -> list[Path]:
        try:
            return segments.list_segments(self._directory)
        except FileNotFoundError:
            return []

    def _extents(self, paths: list[Path]) -> Iterator[tuple[int, int]]:
        """Earliest and latest time of each of these segments that has any."""
        last = max(paths, default=None)
        for path in paths:
            summary = segments.read_summary(segments.index_path(path))
            if summary is not None:
                yield summary.first_ns, summary.last_ns
                continue
            with contextlib.suppress(FileNotFoundError):
                _, entries = self._entries(path, newest=path == last)
                if entries:
                    yield min(entry.first_ns for entry in entries), max(entry.last_ns for entry in entries)

    def _entries(self, path: Path, *, newest: bool) -> tuple[int, list[IndexEntry]]:
        """Inode and records of a segment, by index and, where that ends early, by the records themselves."""
        index = segments.read_index(segments.index_path(path))
        descriptor = self._open(path, None)
        status = os.fstat(descriptor)
        entries = index.entries
        if index.summary is None:
            identity = segments.read_identity(self._directory)
            first = segments.first_sequence(path)
            if identity is not None and first is not None:
                start = entries[-1].end if entries else 0
                minimum = entries[-1].sequence + 1 if entries else first
                # In the newest segment a gap is where the recorder is writing; in others it is damage.
                entries.extend(
                    segments.walk(
                        descriptor, status.st_size, identity.ring_id, minimum, start, stop_at_gap=newest
                    )
                )
        if path.stat().st_ino != status.st_ino:
            raise FileNotFoundError(path)
        return status.st_ino, entries

    def _open(self, path: Path, inode: int | None) -> int:
        """A descriptor of the segment. Raises FileNotFoundError if the path is no longer that `inode`."""
        known = self._files.get(path)
        if known is not None:
            self._files.move_to_end(path)
        else:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            known = (descriptor, os.fstat(descriptor).st_ino)
            self._files[path] = known
            while len(self._files) > _OPEN_FILES:
                self._forget(next(iter(self._files)))
        if inode is not None and known[1] != inode:
            self._forget(path)
            raise FileNotFoundError(path)
        return known[0]

    def _forget(self, path: Path) -> None:
        known = self._files.pop(path, None)
        if known is not None:
            with contextlib.suppress(OSError):
                os.posix_fadvise(known[0], 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(known[0])


def _reference(path: Path, inode: int, entry: IndexEntry) -> RecordRef:
    return RecordRef(
        path=path,
        inode=inode,
        offset=entry.offset,
        length=entry.length,
        sequence=entry.sequence,
        run=entry.run,
        port_index=entry.port_index,
        port_name=entry.port_name,
        first_ns=entry.first_ns,
        last_ns=entry.last_ns,
        packets=entry.packets,
        used=entry.used,
        drops=entry.drops,
        freezes=entry.freezes,
        nic_missed=entry.nic_missed,
    )
