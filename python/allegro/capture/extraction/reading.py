"""Reads records of the ring ahead of the merge, and looks through them: neighbours at one go, past the page
cache, in threads, of which there is one for each processor."""

from __future__ import annotations

import errno
import mmap
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from allegro.capture import _packets
from allegro.capture.extraction.buffers import buffer
from allegro.capture.extraction.coverage import DAMAGED, OVERWRITTEN, PULLED
from allegro.capture.extraction.group_parts import Contents, Found
from allegro.capture.extraction.pieces import Pieces, Wanted, size, spans
from allegro.capture.ring.record import NOWHERE, PACKET_SLACK_NS, Record, Segment, fields

GROUP_BYTES = 4 << 20
"""A group is at most this long, unless it is a single record, or the reader wants other ones."""

GROUP_RECORDS = 512

_SEQUENCE = fields("sequence")  # the order on disk
_LENGTH = fields("length")
_FEWEST_THREADS = 2
_MOST_THREADS = 4
_OPEN_FILES = 8


@dataclass(eq=False)
class Group:
    """Records that are read together, of some no more than `pieces` (by their numbers). `places` says where
    in `buffer` the block of each lies, or why there is none, `contents` what they hold; `read` bytes were
    read. The buffer is used again when all its `users` have said `done`, the first of whom is who gets the
    group."""

    records: list[Record]
    buffer: mmap.mmap
    pieces: dict[int, Pieces] = field(default_factory=dict)
    places: list[Found] = field(default_factory=list)
    contents: Contents = field(default_factory=Contents)
    read: int = 0
    users: int = 1

    def take(self) -> tuple[Contents, list[tuple[str, Record]]]:
        """What the records hold, which it gives away; and those that are missing, with the reason."""
        placed = zip(self.places, self.records, strict=True)
        missing = [(place, record) for place, record in placed if isinstance(place, str)]
        contents, self.contents = self.contents, Contents()
        return contents, missing + [(DAMAGED, record) for record in contents.damaged]


class ReadAhead:
    """Reads the records of one ring. Used by one thread, which iterates over `groups`.

    `look` says what records hold whose blocks lie at places in a buffer, in several threads at once.
    Groups are so many `times` as long as usual.
    """

    def __init__(
        self,
        look: Callable[[mmap.mmap, Sequence[Record], Sequence[Found]], Contents],
        times: int = 1,
    ) -> None:
        self._look = look
        self._group_bytes = times * GROUP_BYTES
        threads = min(max(len(os.sched_getaffinity(0)), _FEWEST_THREADS), _MOST_THREADS)
        self._groups_ahead = threads + 1
        self._pool = ThreadPoolExecutor(threads, "reader")
        self._spare: list[mmap.mmap] = []
        self._files: OrderedDict[Segment, int] = OrderedDict()
        self._lock = threading.Lock()

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        self.close_files()

    def close_files(self) -> None:
        """Keeps no file open for the next groups. None may be under way."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()

    def groups(self, wanted: Iterable[Wanted]) -> Iterator[Group]:
        """The records in their order, with their blocks. Memory does not grow with their number."""
        under_way: deque[Future[Group]] = deque()
        for some in in_groups(wanted, self._group_bytes):
            records = [record for record, _ in some]
            pieces = {record.sequence: pieces for record, pieces in some if pieces}
            memory = self._buffer(records, in_parts=bool(pieces))
            under_way.append(self._pool.submit(self._read, Group(records, memory, pieces)))
            if len(under_way) > self._groups_ahead:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()

    def done(self, group: Group) -> None:
        """One of those who used the group does not need it any more."""
        group.users -= 1
        if not group.users and len(group.buffer) == self._group_bytes:
            self._spare.append(group.buffer)

    def _buffer(self, records: list[Record], *, in_parts: bool) -> mmap.mmap:
        length = sum(map(_LENGTH, records))
        if length <= self._group_bytes and self._spare:
            return self._spare.pop()
        filled = 2 * length > self._group_bytes and not in_parts
        return buffer(max(length, self._group_bytes), filled=filled)

    def _read(self, group: Group) -> Group:
        """Reads in the order on disk; answers in the order of the group."""
        found: dict[int, Found] = {}
        at = 0
        for run in _runs(sorted(group.records, key=_SEQUENCE), group.pieces):
            if pieces := group.pieces.get(run[0].sequence):
                found[run[0].sequence] = self._read_pieces(run[0], pieces, group.buffer, at)
                group.read += size(run[0], pieces)
            else:
                found.update(zip(map(_SEQUENCE, run), self._read_run(run, group.buffer, at), strict=True))
                group.read += run[-1].end - run[0].offset
            at += run[-1].end - run[0].offset
        group.places = [found[one.sequence] for one in group.records]
        group.contents = self._look(group.buffer, group.records, group.places)
        if any(found[one] == DAMAGED for one in group.pieces) or any(
            one.sequence in group.pieces for one in group.contents.damaged
        ):  # what is read whole says more than a part that is not as the summary has it
            group.pieces = {}
            return self._read(group)
        return group

    def _read_pieces(self, record: Record, pieces: Pieces, buffer: mmap.mmap, at: int) -> Found:
        """Reads parts of a record to where they lie in it, if it were at this place in the buffer."""
        complete = True
        try:
            for begin, end in spans(record, pieces):
                with memoryview(buffer) as whole, whole[at + begin : at + end] as view:
                    complete = complete and self._fill(record.segment, view, record.offset + begin)
            if _is_gone(record.segment):
                return OVERWRITTEN
        except FileNotFoundError:
            return _why_gone(record.segment)
        except OSError:
            return DAMAGED
        head_only = pieces[-1].end < record.used
        arguments = buffer, at, [record], record.offset, PACKET_SLACK_NS, head_only
        (place,) = _packets.sound_places(*arguments) if complete else (None,)
        if place is None:
            return DAMAGED
        _, _, *times = place
        return [(at + one.begin, one.end - one.begin, times[0], times[1], one.packets) for one in pieces]

    def _read_run(self, run: list[Record], buffer: mmap.mmap, at: int) -> list[Found]:
        """Reads records to a place in the buffer; where each lies, or why it is not there."""
        segment, begin = run[0].segment, run[0].offset
        try:
            with memoryview(buffer) as whole, whole[at : at + run[-1].end - begin] as view:
                complete = self._fill(segment, view, begin)
            gone = _is_gone(segment)
        except FileNotFoundError:
            complete, gone = True, True
        except OSError:
            complete, gone = False, False
        if gone:
            return [_why_gone(segment)] * len(run)
        if complete:
            places = _packets.sound_places(buffer, at, run, begin, PACKET_SLACK_NS)
            return [DAMAGED if place is None else place for place in places]
        if len(run) == 1:
            return [DAMAGED]
        # A bad sector costs one record, not its neighbours.
        return [self._read_run([one], buffer, at + one.offset - begin)[0] for one in run]

    def _fill(self, segment: Segment, view: memoryview, offset: int) -> bool:
        """Whether the file had as much. Raises OSError, FileNotFoundError if it is another one by now."""
        descriptor = self._open(segment, os.O_DIRECT)
        try:
            return os.preadv(descriptor, [view], offset) == len(view)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        finally:
            self._give_back(segment, descriptor)
        descriptor = self._open(segment, 0)  # a file system without direct I/O
        try:
            return os.preadv(descriptor, [view], offset) == len(view)
        finally:
            # What was read once will not be read again soon: leave the memory to others.
            os.posix_fadvise(descriptor, offset, len(view), os.POSIX_FADV_DONTNEED)
            os.close(descriptor)

    def _open(self, segment: Segment, flags: int) -> int:
        with self._lock:
            descriptor = self._files.pop(segment, None) if flags else None
        if descriptor is None:
            descriptor = _opened(segment.path, flags)
            if os.fstat(descriptor).st_ino != segment.inode:
                os.close(descriptor)
                raise FileNotFoundError(segment.path)
        return descriptor

    def _give_back(self, segment: Segment, descriptor: int) -> None:
        """Keeps a descriptor for the next run; two threads may have one each."""
        with self._lock:
            self._files[segment], other = descriptor, self._files.get(segment)
            if other is None and len(self._files) > _OPEN_FILES:
                _, other = self._files.popitem(last=False)
        if other is not None:
            os.close(other)


def in_groups(records: Iterable[Wanted], most: int) -> Iterator[list[Wanted]]:
    """Cuts the sequence into groups of at most so many bytes and GROUP_RECORDS, of one record at least.

    A group is of one ring, as each has numbers of its own.
    """
    group: list[Wanted] = []
    length, segment = 0, NOWHERE
    for wanted in records:
        one = wanted[0].length
        full = length + one > most or len(group) == GROUP_RECORDS
        if wanted[0].segment is not segment:
            before, segment = segment, wanted[0].segment
            full = full or before.path.parent != segment.path.parent
        if full and group:
            yield group
            group, length = [], 0
        group.append(wanted)
        length += one
    if group:
        yield group


def _runs(records: list[Record], alone: Container[int]) -> Iterator[list[Record]]:
    """Parts of what is sorted by place that lie on disk without a gap; some records, by their numbers, stay
    alone."""
    first, last = records[0], records[-1]
    if not alone and first.segment == last.segment and last.end - first.offset == sum(map(_LENGTH, records)):
        yield records
        return
    run: list[Record] = []
    end, segment = 0, None
    for one in records:
        apart = alone and (one.sequence in alone or (run[-1:] and run[-1].sequence in alone))
        if run and (one.offset != end or one.segment != segment or apart):
            yield run
            run = []
        run.append(one)
        end, segment = one.offset + one.length, one.segment
    if run:
        yield run


def _is_gone(segment: Segment) -> bool:
    """To be asked after reading: a segment is renamed before it is overwritten, see
    `allegro.capture.ring.segments`. Raises OSError, FileNotFoundError if it is."""
    return segment.path.stat().st_ino != segment.inode


def _why_gone(segment: Segment) -> str:
    """A ring on a disk that was pulled is gone as a whole."""
    return OVERWRITTEN if segment.path.parent.exists() else PULLED


def _opened(path: Path, flags: int) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
