"""Reading the packet ring, from any process, while the recorder writes it.

The layout on disk is described in `segments` (files) and `record`.  A reader takes no lock and
never writes: it lists what is there, reads records, and notices when one has been overwritten meanwhile.
Where the index of a segment is missing or short, the records themselves are asked.
"""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType

from allegro.capture.ring import index, news, record, segments, summaries
from allegro.capture.ring.news import News
from allegro.capture.ring.record import Record, Segment
from allegro.capture.ring.segments import Run
from allegro.capture.ring.summaries import Listed, SegmentTable
from allegro.errors import AllegroError

ORDER_SLACK_NS = 50_000_000
"""Packets of a port may be out of order by the time between two CPUs' receive queues: a record is taken as
reaching this much (50 ms) further on both sides than its first and last packet say."""

_STALL_NS = 600_000_000_000
"""For how long records of a port may have waited for a disk that stood still, while others were written."""

_OPEN_FILES = 8
_FIRST_SEQUENCE = 1  # of a new ring, see `recovery`


class RecordGone(AllegroError):
    """The record has been overwritten by newer packets."""

    status = 409


class RecordDamaged(AllegroError):
    """The record on disk is not (any more) what the index says."""

    status = 409


class RingReader:
    """Finds and reads the records of a ring.  Not safe for use by several threads at once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: OrderedDict[Path, tuple[int, int]] = OrderedDict()
        self._list: SegmentTable | None = None
        self._list_state = (0, 0, 0)

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

    def records(self, start_ns: int, end_ns: int) -> list[Record]:
        """All records that may hold packets of start_ns <= time <= end_ns, by sequence number, and news.

        Records overwritten while this looks are left out. An absent or empty ring gives an empty list.
        """
        return list(self.iterate(start_ns, end_ns))

    def iterate(self, start_ns: int, end_ns: int) -> Iterator[Record]:
        """The same as `records`, found one segment at a time: a window may hold millions of them."""
        start, end = start_ns - ORDER_SLACK_NS, end_ns + ORDER_SLACK_NS
        if end_ns < start_ns:
            return
        yield from self._find(
            lambda table: table.within(start, end),
            lambda found: found.last_ns >= start and found.first_ns <= end,
        )

    def extents(self, start_ns: int, end_ns: int) -> Iterator[tuple[int, int]]:
        """(used bytes, packets) of what `iterate` would find: of a finished segment within the window at
        once, of the others record by record. So little is read, however long the window."""
        whole: list[index.Summary] = []

        def wholly(summary: index.Summary) -> bool:
            if not (start_ns <= summary.first_ns and summary.last_ns <= end_ns):
                return False
            whole.append(summary)
            return True

        start, end = start_ns - ORDER_SLACK_NS, end_ns + ORDER_SLACK_NS
        for found in self._find(
            lambda table: table.within(start, end),
            lambda one: one.last_ns >= start and one.first_ns <= end,
            wholly,
        ):
            yield found.used, found.packets
        for summary in whole:
            yield summary.used, summary.packets

    def iterate_boot(self, boot_id: bytes, start_boot_ns: int, end_boot_ns: int) -> Iterator[Record]:
        """All records of one start of the kernel that may hold packets between these times of its
        CLOCK_BOOTTIME (both included), by sequence number, and news; found one segment at a time."""
        start, end = start_boot_ns - ORDER_SLACK_NS, end_boot_ns + ORDER_SLACK_NS
        if end_boot_ns < start_boot_ns:
            return
        mark = index.start_mark(boot_id)
        yield from self._find(
            lambda table: table.of_start(mark, start - _STALL_NS, end + _STALL_NS),
            lambda found: (
                found.boot_id == boot_id and found.last_boot_ns >= start and found.first_boot_ns <= end
            ),
        )

    def news(self, place: Record) -> tuple[News, ...]:
        """What a record of news tells. Raises RecordGone and RecordDamaged as `read` does."""
        return news.parse(self.read(place))

    def read(self, place: Record) -> bytes:
        """The record's block (`length` bytes).

        Raises RecordGone if it has been overwritten, RecordDamaged if what is there is not that record.
        """
        segment = place.segment
        try:
            descriptor = self._open(segment.path, segment.inode)
            block = os.pread(descriptor, place.length, place.offset)
            # What was read once will not be read again soon: leave the memory to others.
            os.posix_fadvise(descriptor, place.offset, place.length, os.POSIX_FADV_DONTNEED)
            # Only now: a segment is renamed before it is overwritten, see `segments`.
            gone = segment.path.stat().st_ino != segment.inode
        except FileNotFoundError:
            gone = True
        except OSError as error:
            raise RecordDamaged(
                f"The disk could not read a part of the packet ring ({error.strerror}).",
                place=str(segment.path),
            ) from None
        if gone:
            self._forget(segment.path)
            raise RecordGone(
                "Packets were overwritten by newer ones while they were read.", place=str(segment.path)
            )
        try:
            record.check(block, place)
        except record.BlockFormatError as error:
            raise RecordDamaged(
                f"A part of the packet ring is damaged: {error}.", place=str(segment.path)
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
        table = self._segments()
        oldest = next(self._spans(table, range(len(table))), None)
        newest = next(self._spans(table, reversed(range(len(table)))), None)
        if oldest is None or newest is None:
            return None
        return oldest[0], newest[1]

    def outline(self) -> tuple[SegmentTable, list[tuple[int, ...]]]:
        """All segments, oldest first, and what each holds (`summaries.Row`); 0 records: none yet, or gone."""
        table = self._segments()
        rows = table.rows()
        for number in [number for number, row in enumerate(rows) if not row[0]]:
            rows[number] = summaries.row(self._summary(table, number))
        return table, rows

    def records_of(self, place: Listed) -> Iterator[Record]:
        """The records of one segment; none if it has been overwritten.

        Of one that is in use, those in front of the first gap: behind it lies what is left over from before.
        """
        path = self._path(place)
        in_use = index.read_summary(index.index_path(path)) is None
        with contextlib.suppress(FileNotFoundError):
            yield from self._entries(path, newest=in_use)

    def newest(self, most: int) -> list[Record]:
        """The last records, by sequence number, and news: at most so many, of the two newest segments."""
        table, found = self._segments(), list[Record]()
        for number in range(len(table) - 1, max(len(table) - 3, -1), -1):
            if len(found) < most:
                found = [*self.records_of(table[number]), *found]
        return found[-most:]

    def has_overwritten(self) -> bool:
        """Whether the ring's first packets are gone: it reaches back only to the oldest in `bounds`."""
        table = self._segments()
        return len(table) > 0 and table[0].sequence > _FIRST_SEQUENCE

    def _segments(self) -> SegmentTable:
        """The segments with records; of some, only the number may be known."""
        listed = self._listed()
        if listed is not None:
            return listed.from_oldest(lambda place: self._path(place).exists())
        try:
            paths = segments.list_segments(self._directory)
        except FileNotFoundError:
            paths = []
        return SegmentTable.of(Listed(segments.first_sequence(path) or 0, 0, None) for path in paths)

    def _listed(self) -> SegmentTable | None:
        """What ring.index says; read again only when it has changed."""
        try:
            status = (self._directory / summaries.FILE).stat()
        except OSError:
            return None
        state = (status.st_ino, status.st_size, status.st_mtime_ns)
        if state != self._list_state:
            self._list, self._list_state = summaries.read(self._directory), state
        return self._list

    def _path(self, place: Listed) -> Path:
        return segments.blocks_path(self._directory, place.sequence)

    def _spans(self, table: SegmentTable, places: Iterable[int]) -> Iterator[tuple[int, int]]:
        """Earliest and latest time of each of these segments that has any."""
        for number in places:
            summary = table[number].summary or self._summary(table, number)
            if summary.records:
                yield summary.first_ns, summary.last_ns

    def _summary(self, table: SegmentTable, number: int) -> index.Summary:
        """That of a segment of which the list knows none."""
        path = self._path(table[number])
        summary = index.read_summary(index.index_path(path))
        if summary is None:
            summary = index.Summary()
            with contextlib.suppress(FileNotFoundError):
                for found in self._entries(path, newest=number == len(table) - 1):
                    summary = summary.plus(found)
        return summary

    def _find(
        self,
        places: Callable[[SegmentTable], list[int]],
        wanted: Callable[[Record], bool],
        enough: Callable[[index.Summary], bool] = lambda _: False,
    ) -> Iterator[Record]:
        """The wanted records of the segments at these places, but those whose summary is enough."""
        table = self._segments()
        for number in places(table):
            place = table[number]
            path = self._path(place)
            summary = place.summary or index.read_summary(index.index_path(path))
            if summary is not None:
                known = place._replace(summary=summary)
                if (place.summary is None and not places(SegmentTable.of([known]))) or enough(summary):
                    continue
            with contextlib.suppress(FileNotFoundError):
                yield from filter(wanted, self._entries(path, newest=number == len(table) - 1))

    def _entries(self, path: Path, *, newest: bool) -> Iterator[Record]:
        """The records of a segment, by index and, where that ends early, by the records themselves.

        Raises FileNotFoundError if the segment is overwritten.
        """
        descriptor = self._open(path, None)
        status = os.fstat(descriptor)
        segment = Segment(path, status.st_ino)
        try:
            data = index.index_path(path).read_bytes()
        except OSError:
            data = b""
        if path.stat().st_ino != status.st_ino:
            raise FileNotFoundError(path)
        count, end, minimum = 0, 0, segments.first_sequence(path) or 0
        for found in index.parse_lists(data, segment):
            count, end, minimum = count + len(found), found[-1].end, found[-1].sequence + 1
            yield from found
        summary = index.summary_in(data)
        if summary is not None and summary.records == count:
            return
        identity = segments.read_identity(self._directory)
        if identity is None:
            return
        descriptor = self._open(path, status.st_ino)
        # In the newest segment a gap is where the recorder is writing; in others it is damage.
        rest = list(
            segments.walk(
                descriptor,
                status.st_size,
                identity.ring_id,
                minimum,
                end,
                segment=segment,
                stop_at_gap=newest,
            )
        )
        if path.stat().st_ino != status.st_ino:
            raise FileNotFoundError(path)
        yield from rest

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
