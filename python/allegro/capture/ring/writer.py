"""Writing the packet ring: places for records, the index, and the upkeep of the segment files.

Three threads use a RingWriter.  The recorder's main thread takes places for records and says which are
written; it makes no file operation at all, since each of them may have to wait for the file system's journal.
The publisher gives segments in use their names and writes the index, which is how readers learn of records.
The upkeep thread creates, recycles and removes segments, and makes what was written safe (fdatasync) at
least every half second.

Recycling happens ahead of need: when fewer than two empty segments are left (one in a small ring), the oldest
loses its index and its name, and that is made safe on disk before the first byte of it is overwritten.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from allegro.atomic import sync_directory
from allegro.capture import space
from allegro.capture.ring import index, recovery, segments
from allegro.capture.ring.finished import FinishedSegments
from allegro.capture.ring.index import Packer, Summary
from allegro.capture.ring.record import Record
from allegro.capture.ring.recovery import RecoveredSegment
from allegro.capture.ring.segments import Run
from allegro.capture.ring.summaries import Listed, SummaryFile
from allegro.capture.status import RingStatus
from allegro.errors import AllegroError, Unavailable
from allegro.words import mebibytes

_LOG = logging.getLogger(__name__)

_RUNS_INTERVAL = 1.0
_UPKEEP_INTERVAL = 0.4
_SHORTEST_SYNC_INTERVAL = 0.2
_SPACE_INTERVAL = 10.0
_LIST_INTERVAL = 10.0
_PUBLISH_PAUSE = 0.1
_EMPTY_AHEAD = 2


class RingUnavailable(Unavailable):
    """There is no ring at the moment, and the message says why."""


class RingBusyError(Exception):
    """No segment is free just now: the disk is behind. Try again in a moment."""


@dataclass(eq=False)
class OpenSegment:
    """A segment that is empty, that records are written to, or that waits for its last ones.

    `first` is the sequence number of its first record. Until there is one, and the publisher has come by, it
    has no index and the name of an empty segment (`named` is False). `entries` are those that the publisher
    has not seen; of the index, `indexed` bytes are in the file, and `unindexed` are still to be written.
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
    pending: int = 0
    entries: deque[Record] = field(default_factory=deque)
    dirty: bool = False


class Slot(NamedTuple):
    """The place of one record, and its number."""

    segment: OpenSegment
    offset: int
    sequence: int


class RingWriter:
    """The one writer of a ring; opening it brings the directory in order.

    `size` is what the ring may take on disk, in bytes. If the disk has less, the ring is as large as fits
    and `shortage` says so. Raises RingUnavailable if not even four segments fit, the directory cannot be
    used, or another process records into it.
    """

    def __init__(
        self, directory: Path, size: int, run_ns: int, boot_id: str = "", start_boot_ns: int = 0
    ) -> None:
        self.directory = directory
        self.run = run_ns
        self.shortage = ""
        self.sync_errors = 0
        self.published = 0
        """All records up to this sequence number can be found by readers."""
        self._target = size
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._written = threading.Event()
        self._stopped = False
        self._switch_wanted = False
        self._space_checked = 0.0
        self._closing: list[OpenSegment] = []
        self._current: OpenSegment | None = None
        self._free: list[OpenSegment] = []
        self._lock_file = _lock_directory(directory)
        try:
            ring = recovery.recover(directory)
            self.ring_id = ring.identity.ring_id
            self._next = ring.next_sequence
            self._finished = FinishedSegments(ring.segments)
            self._free = [_open_segment(path, path.stat().st_size) for path in ring.free]
            self._runs = [*ring.runs, Run(run_ns, run_ns, run_ns, (), boot_id, start_boot_ns, start_boot_ns)]
            self._alive_ns, self._alive_boot_ns = run_ns, start_boot_ns
            self._free_number = max((segments.free_number(path) for path in ring.free), default=0)
            self._segment_size = self._choose_segment_size(size)
            self._continue_newest()
            self._shrink()
            while self._count() < segments.FEWEST_SEGMENTS:
                self._create_segment()
            self._summaries = SummaryFile(directory)
            self._list_segments()
            segments.write_runs(directory, self._runs, sync=True)
        except OSError as error:
            self._release()
            raise RingUnavailable(
                f"The packet ring cannot be used: {error.strerror or error}.", place=str(directory)
            ) from error
        except BaseException:
            self._release()
            raise
        self._threads = [
            threading.Thread(target=self._upkeep, name="ring upkeep", daemon=True),
            threading.Thread(target=self._publisher, name="ring publisher", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    # -- main thread ---------------------------------------------------------------------------------

    def place(self, length: int) -> Slot:
        """The place and number for the next record of `length` bytes.

        Raises RingBusyError if there is none just now.
        """
        segment = self._current
        if segment is None or segment.used + length > segment.size or self._switch_wanted:
            segment = self._switch()
        slot = Slot(segment, segment.used, self._next)
        segment.used += length
        segment.pending += 1
        self._next += 1
        return slot

    def written(self, slot: Slot, record: Record) -> None:
        """The record is on disk. To be called in the order of the sequence numbers."""
        segment = slot.segment
        entry = record._replace(offset=slot.offset)
        segment.entries.append(entry)
        segment.summary = segment.summary.plus(entry)
        segment.dirty = True
        segment.pending -= 1

    def lost(self, slot: Slot) -> None:
        """The record could not be written; its place stays unused."""
        slot.segment.pending -= 1

    def publish(self) -> None:
        """Lets readers learn, in a moment, of what was said to be written."""
        self._written.set()

    def alive(self, complete: tuple[int, int], ports: tuple[str, ...]) -> None:
        """Notes up to when all that came in is in the ring (ns of CLOCK_BOOTTIME and since 1970; 0: nothing
        yet), and what is recorded."""
        if complete[0]:
            self._alive_boot_ns, self._alive_ns = complete
        run = self._runs[-1]
        if new := tuple(name for name in ports if name not in run.ports):
            self._runs[-1] = run._replace(ports=run.ports + new)

    def ended(self, complete: tuple[int, int]) -> None:
        """Notes that the run has ended, and that all that came in until then is in the ring."""
        self.alive(complete, ())
        self._runs[-1] = self._runs[-1]._replace(ended=True)

    def resize(self, size: int) -> None:
        """Lets the ring grow or shrink to `size` bytes, in the background; shrinking loses the oldest.

        Raises RingUnavailable, and leaves all as it is, if that is too small for a ring.
        """
        _check_size(size, self.directory)
        with self._lock:
            if size != self._target:
                self._segment_size = self._choose_segment_size(size)
                self._target = size
                self._space_checked = 0.0

    def status(self) -> RingStatus:
        """The ring as it is now."""
        with self._lock:
            opened = [segment.summary for segment in self._opened() if segment.summary.records]
            sums = replace(self._finished.sums)
            oldest = [*self._finished.summaries(range(2)), *opened][:2]
            newest = [*self._finished.summaries(range(-2, 0)), *opened][-2:]
            size = self._total()
        for summary in opened:
            sums.add(0, summary)
        return RingStatus(
            directory=str(self.directory),
            size=size,
            target=self._target,
            segment_size=self._segment_size,
            used=sums.end,
            oldest_ns=min((summary.first_ns for summary in oldest), default=None),
            newest_ns=max((summary.last_ns for summary in newest), default=None),
            records=sums.records,
            packets=sums.packets,
            bytes=sums.used,
            sequence=self._next,
        )

    def progress(self) -> str:
        """How far the ring is laid out, in plain words; empty when it is."""
        with self._lock:
            size, whole = self._total(), self._target - self._target % self._segment_size
        return f"The ring is being laid out: {mebibytes(size)} of {mebibytes(whole)}." if size < whole else ""

    def working(self) -> bool:
        """Whether both threads live. If not, nothing more can be done with this ring than to close it."""
        return all(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """Makes everything safe on disk. No record may be under way any more."""
        self._stopped = True
        self._wake.set()
        self._written.set()
        for thread in self._threads:
            thread.join()
        try:
            with self._lock:
                if self._current is not None:
                    self._closing.append(self._current)
                    self._current = None
            self._publish()
            self._finish_segments()
            self._summaries.close()
            self._write_runs(sync=True)
        except OSError as error:
            _LOG.warning("ring not closed cleanly: %s", error.strerror)
        self._release()

    def _switch(self) -> OpenSegment:
        """Goes on to the next segment."""
        with self._lock:
            if not self._free:
                self._wake.set()
                raise RingBusyError
            opened = self._free.pop(0)
            opened.first = self._next
            if self._current is not None:
                self._closing.append(self._current)
            self._current = opened
            self._switch_wanted = False
        self._wake.set()
        return opened

    # -- publisher thread ----------------------------------------------------------------------------

    def _publisher(self) -> None:
        while not self._stopped:
            self._written.wait()
            self._written.clear()
            try:
                self._publish()
            except Exception as error:
                self._failed("The index of the ring could not be written", error)
                self._written.set()
                time.sleep(_UPKEEP_INTERVAL)
            time.sleep(_PUBLISH_PAUSE)

    def _publish(self) -> None:
        """Names the segments in use, and puts the new records into their indexes."""
        with self._lock:
            opened = self._opened()
        for segment in opened:
            count = len(segment.entries)
            if count and not segment.named:
                segment.path = segment.path.rename(segments.blocks_path(self.directory, segment.first))
                segment.named = True
                self._summaries.add(Listed(segment.first, segment.size, None))
            entries = list(segment.entries)[:count]
            segment.unindexed += b"".join(map(segment.packer.pack, entries))
            _write_index(segment)
            if entries:
                self.published = entries[-1].sequence
            # Only now, as a segment is finished when it has none left.
            for _ in range(count):
                segment.entries.popleft()
        if self._closing:
            self._wake.set()

    # -- upkeep thread -------------------------------------------------------------------------------

    def _upkeep(self) -> None:
        synced = noted = listed = time.monotonic()
        while not self._stopped:
            self._wake.wait(_UPKEEP_INTERVAL)
            self._wake.clear()
            now = time.monotonic()
            try:
                self._adjust(now)
                self._finish_segments()
                if self._summaries.worn(self._count()) and now - listed >= _LIST_INTERVAL:
                    listed = now
                    self._list_segments()
                if now - synced >= _SHORTEST_SYNC_INTERVAL:
                    synced = now
                    self._sync()
                if now - noted >= _RUNS_INTERVAL:
                    noted = now
                    self._note_runs()
            except Exception as error:
                self._failed("The ring's files could not be kept in order", error)
                time.sleep(_UPKEEP_INTERVAL)

    def _list_segments(self) -> None:
        """Writes ring.index anew."""
        with self._lock:
            finished = [
                Listed(segments.first_sequence(segment.path) or 0, segment.size, segment.summary)
                for segment in self._finished
            ]
            opened = [
                Listed(segment.first, segment.size, None) for segment in self._opened() if segment.named
            ]
        self._summaries.write([*finished, *opened])

    def _note_runs(self) -> None:
        """Notes that the recorder lives. On a full disk that waits; the packets have their place already."""
        try:
            self._write_runs(sync=False)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    def _adjust(self, now: float) -> None:
        """Brings number and size of the segments nearer to what is wanted."""
        self._recycle_ahead()
        self._shrink()
        if not self._segment_wanted():
            self.shortage = ""
        elif now - self._space_checked >= _SPACE_INTERVAL:
            try:
                self._create_segment()
                self._wake.set()
            except RingUnavailable as error:
                self._space_checked = now
                there, wanted = mebibytes(self._total()), mebibytes(self._target)
                self.shortage = f"The ring has {there} instead of {wanted}: {error.message}"
                _LOG.warning("%s", self.shortage)

    def _segment_wanted(self) -> bool:
        """Whether the ring has to grow, or has nowhere to go on when it leaves a segment too large."""
        return self._total() + self._segment_size <= self._target or (
            self._current_too_large() and not self._free
        )

    def _current_too_large(self) -> bool:
        current = self._current
        return (
            current is not None
            and current.size != self._segment_size
            and self._total() + self._segment_size > self._target
        )

    def _shrink(self) -> None:
        """Removes empty segments of another size, and the oldest while the ring is larger than wanted."""
        with self._lock:
            odd = [segment for segment in self._free if segment.size != self._segment_size]
            self._free = [segment for segment in self._free if segment.size == self._segment_size]
        for segment in odd:
            os.close(segment.descriptor)
            segment.path.unlink()
        while self._total() > self._target:
            with self._lock:
                if len(self._free) > 1:
                    empty = self._free.pop()
                    os.close(empty.descriptor)
                    path = empty.path
                elif len(self._finished):
                    path = self._finished.popleft().path
                else:
                    break
            _remove(path)
        with self._lock:
            # The segment in use is what is too large: go on in a small one, then this one can go, too.
            if self._free and self._current_too_large():
                self._switch_wanted = True

    def _create_segment(self) -> None:
        """Adds one empty segment. Raises RingUnavailable if there is no space for it."""
        size = self._segment_size  # which another thread may change meanwhile
        available = self._available()
        if available < size:
            raise _no_space(self.directory, available)
        path = self._new_free_path()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            path.unlink()
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise _no_space(self.directory, available) from None
        finally:
            os.close(descriptor)
        opened = _open_segment(path, size)
        with self._lock:
            self._free.append(opened)

    def _recycle_ahead(self) -> None:
        """Makes the oldest segments empty ones, as many as are to be ready."""
        emptied: list[OpenSegment] = []
        while True:
            with self._lock:
                missing = min(_EMPTY_AHEAD, self._count() // 4) - len(self._free) - len(emptied)
                if not len(self._finished):
                    break
                oldest = self._finished[0]
                # Few, large segments of an earlier size must not keep the ring from going on in small ones.
                stuck = oldest.size != self._segment_size and not self._free and not emptied
                if missing <= 0 and not (stuck and self._total() + self._segment_size > self._target):
                    break
            if oldest.size != self._segment_size:
                _remove(oldest.path)
            else:
                path = self._new_free_path()
                index.index_path(oldest.path).unlink(missing_ok=True)
                emptied.append(_open_segment(oldest.path.rename(path), oldest.size))
            with self._lock:
                self._finished.popleft()
        if emptied:
            sync_directory(self.directory)
            with self._lock:
                self._free.extend(emptied)

    def _finish_segments(self) -> None:
        """Closes the segments that have got all their records, in their order."""
        while self._closing and not self._closing[0].pending and not self._closing[0].entries:
            segment = self._closing[0]
            if not segment.named:
                # Not one of its records could be written.
                with self._lock:
                    self._closing.remove(segment)
                    segment.used = 0
                    self._free.append(segment)
                continue
            os.fdatasync(segment.descriptor)
            # Not synced: the index may be lost in a power cut, but not be there before the data are.
            if _write_index(segment):
                segment.unindexed += segment.packer.pack_summary(segment.summary)
                _write_index(segment)
            with self._lock:
                self._closing.remove(segment)
                self._finished.append(RecoveredSegment(segment.path, segment.size, segment.summary))
            self._summaries.add(Listed(segment.first, segment.size, segment.summary))
            os.close(segment.descriptor)
            if segment.index is not None:
                os.close(segment.index)

    def _sync(self) -> None:
        with self._lock:
            opened = self._opened()
        for segment in opened:
            if segment.dirty:
                segment.dirty = False
                os.fdatasync(segment.descriptor)

    def _write_runs(self, *, sync: bool) -> None:
        oldest = self.status().oldest_ns or 0
        self._runs[-1] = self._runs[-1]._replace(alive_ns=self._alive_ns, alive_boot_ns=self._alive_boot_ns)
        # Runs of which nothing is left in the ring are of no use to anybody, but for the last of them.
        while len(self._runs) > 2 and self._runs[1].start_ns < oldest and self._runs[0].alive_ns < oldest:
            del self._runs[0]
        segments.write_runs(self.directory, self._runs, sync=sync)

    # -- both ----------------------------------------------------------------------------------------

    def _failed(self, what: str, error: Exception) -> None:
        """Tells and counts a failure; the thread goes on, as without it the ring would soon stand still."""
        known = isinstance(error, OSError | AllegroError)
        _LOG.warning("%s: %s", what, error if known else f"{type(error).__name__}: {error}")
        self.sync_errors += 1

    def _new_free_path(self) -> Path:
        with self._lock:
            self._free_number += 1
            return segments.free_path(self.directory, self._free_number)

    def _total(self) -> int:
        with self._lock:
            return self._finished.sums.size + sum(segment.size for segment in (*self._free, *self._opened()))

    def _opened(self) -> list[OpenSegment]:
        return [*self._closing, *([self._current] if self._current else [])]

    def _count(self) -> int:
        return len(self._finished) + len(self._free) + len(self._closing) + (self._current is not None)

    def _available(self) -> int:
        return space.available(self.directory)

    def _choose_segment_size(self, target: int) -> int:
        """By the size that the ring can have; existing segments keep theirs if that is not far from it."""
        _check_size(target, self.directory)
        possible = min(target, self._total() + self._available())
        if possible < segments.SMALLEST_RING:
            raise _no_space(self.directory, possible)
        wanted = segments.segment_size(possible)
        sizes = [segment.size for segment in self._finished] + [segment.size for segment in self._free]
        present = max(sizes, default=wanted)
        fits = segments.FEWEST_SEGMENTS * present <= possible and present & (present - 1) == 0
        return present if fits and wanted // 4 <= present <= wanted * 4 else wanted

    def _continue_newest(self) -> None:
        """Goes on in the newest segment, so that many restarts do not fill the ring with half-empty ones."""
        if not len(self._finished) or self._finished[-1].size != self._segment_size:
            return
        newest = self._finished[-1]
        place = index.index_path(newest.path)
        summary = index.read_summary(place)
        if summary is None:
            return
        # From now on the index is that of an open segment: without the summary.
        entries = place.stat().st_size // index.ENTRY_SIZE - 1
        os.truncate(place, entries * index.ENTRY_SIZE)
        self._finished.pop()
        self._current = _open_segment(newest.path, newest.size)
        self._current.named = True
        self._current.first = segments.first_sequence(newest.path) or 0
        self._current.indexed = entries * index.ENTRY_SIZE
        self._current.packer = Packer(entries)
        self._current.used = newest.summary.end
        self._current.summary = newest.summary

    def _release(self) -> None:
        for segment in (*self._free, *self._closing, *([self._current] if self._current else [])):
            os.close(segment.descriptor)
            if segment.index is not None:
                os.close(segment.index)
        os.close(self._lock_file)


def _open_segment(path: Path, size: int) -> OpenSegment:
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | os.O_DIRECT)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        descriptor = os.open(path, flags)  # a file system without direct I/O, e.g. tmpfs before Linux 6.6
    return OpenSegment(path, descriptor, size)


def _write_index(segment: OpenSegment) -> bool:
    """Appends to the index what it lacks, and says whether it lacks nothing then.

    A disk without room for an index has still room for the records, and readers ask those where the index
    ends: so what cannot be written waits for the next time, and nothing is ever left out between.
    """
    if not segment.unindexed:
        return True
    try:
        if segment.index is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
            segment.index = os.open(index.index_path(segment.path), flags, 0o640)
        written = os.pwrite(segment.index, segment.unindexed, segment.indexed)
    except OSError:
        return False
    written -= written % index.ENTRY_SIZE
    segment.indexed += written
    del segment.unindexed[:written]
    return not segment.unindexed


def _remove(path: Path) -> None:
    index.index_path(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _lock_directory(directory: Path) -> int:
    try:
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        descriptor = os.open(directory / segments.LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise RingUnavailable(
            f"The folder of the packet ring cannot be used: {error.strerror}.", place=str(directory)
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise RingUnavailable(
            "Another process records into this packet ring.", place=str(directory)
        ) from None
    return descriptor


def _check_size(size: int, directory: Path) -> None:
    if size < segments.SMALLEST_RING:
        raise RingUnavailable(
            f"A packet ring needs at least {mebibytes(segments.SMALLEST_RING)}, not {mebibytes(size)}.",
            place=str(directory),
            remedy="Make the ring larger in the settings.",
        )


def _no_space(directory: Path, available: int) -> RingUnavailable:
    return RingUnavailable(
        f"the disk has no more room for it ({mebibytes(available)} left).",
        place=str(directory),
        remedy="Delete captures, or make the ring smaller in the settings.",
    )
