"""Reads records of the ring ahead of the merge: neighbours at one go, past the page cache, in threads."""

from __future__ import annotations

import errno
import itertools
import mmap
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from allegro.capture.extraction.coverage import DAMAGED, OVERWRITTEN
from allegro.capture.ring import record
from allegro.capture.ring.record import Record, Segment

GROUP_BYTES = 4 << 20
"""A group is at most this long, unless it is a single record."""

GROUP_RECORDS = 512

_THREADS = 2
_GROUPS_AHEAD = 3
_OPEN_FILES = 8


@dataclass(eq=False)
class Group:
    """Records that are read together. `blocks` are their blocks, or why there is none; all of them lie in
    `buffer`, which is used again when `done` was said as often as there are blocks."""

    records: list[Record]
    buffer: mmap.mmap
    blocks: list[memoryview | str] = field(default_factory=list)
    users: int = 0


class ReadAhead:
    """Reads the records of one ring. Used by one thread, which iterates over `groups`."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, "reader")
        self._spare: list[mmap.mmap] = []
        self._files: OrderedDict[Segment, int] = OrderedDict()
        self._lock = threading.Lock()

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()

    def groups(self, records: Iterable[Record]) -> Iterator[Group]:
        """The records in their order, with their blocks. Memory does not grow with their number."""
        under_way: deque[Future[Group]] = deque()
        for group in in_groups(records):
            under_way.append(self._pool.submit(self._read, Group(group, self._buffer(group))))
            if len(under_way) > _GROUPS_AHEAD:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()

    def done(self, group: Group) -> None:
        """A block of the group is not needed any more."""
        group.users -= 1
        if not group.users and len(group.buffer) == GROUP_BYTES:
            self._spare.append(group.buffer)

    def _buffer(self, records: list[Record]) -> mmap.mmap:
        length = sum(one.length for one in records)
        if length <= GROUP_BYTES and self._spare:
            return self._spare.pop()
        return mmap.mmap(-1, max(length, GROUP_BYTES))

    def _read(self, group: Group) -> Group:
        """Reads in the order on disk; answers in the order of the group."""
        found: dict[int, memoryview | str] = {}
        view = memoryview(group.buffer)
        at = 0
        for run in _runs(sorted(group.records, key=lambda one: (one.segment, one.offset))):
            length = run[-1].end - run[0].offset
            found.update(self._read_run(run, view[at : at + length]))
            at += length
        group.blocks = [found[one.sequence] for one in group.records]
        group.users = sum(not isinstance(block, str) for block in group.blocks)
        return group

    def _read_run(self, run: list[Record], view: memoryview) -> Iterator[tuple[int, memoryview | str]]:
        segment = run[0].segment
        try:
            complete = self._fill(segment, view, run[0].offset)
            # Only now: a segment is renamed before it is overwritten, see `allegro.capture.ring.segments`.
            gone = segment.path.stat().st_ino != segment.inode
        except FileNotFoundError:
            complete, gone = True, True
        except OSError:
            complete, gone = False, False
        if gone:
            return ((one.sequence, OVERWRITTEN) for one in run)
        if not complete and len(run) > 1:  # a bad sector costs one record, not its neighbours
            parts = (
                self._read_run([one], view[one.offset - run[0].offset : one.end - run[0].offset])
                for one in run
            )
            return itertools.chain.from_iterable(parts)
        if not complete:
            return iter([(run[0].sequence, DAMAGED)])
        return (
            (one.sequence, _checked(view[one.offset - run[0].offset : one.end - run[0].offset], one))
            for one in run
        )

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


def in_groups(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Cuts the sequence into groups of at most GROUP_BYTES and GROUP_RECORDS, of one record at least."""
    group: list[Record] = []
    length = 0
    for one in records:
        if group and (length + one.length > GROUP_BYTES or len(group) == GROUP_RECORDS):
            yield group
            group, length = [], 0
        group.append(one)
        length += one.length
    if group:
        yield group


def _runs(records: list[Record]) -> Iterator[list[Record]]:
    """Parts of what is sorted by place that lie on disk without a gap."""
    run: list[Record] = []
    for one in records:
        if run and (one.offset != run[-1].end or one.segment != run[-1].segment):
            yield run
            run = []
        run.append(one)
    if run:
        yield run


def _checked(block: memoryview, one: Record) -> memoryview | str:
    try:
        record.check(block, one)
    except record.BlockFormatError:
        return DAMAGED
    return block


def _opened(path: Path, flags: int) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
