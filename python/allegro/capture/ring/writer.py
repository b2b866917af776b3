"""Writing the packet ring: places for records, their index, and making them safe on disk.

Four threads use a RingWriter.  The recorder's main thread takes places for records and says which are
written; it makes no file operation at all, since each of them may have to wait for the file system's journal.
The publisher gives segments in use their names and is the only one to write indexes, which is how readers
learn of records.  The safe-keeper makes what was written safe (fdatasync) at least every half second, and
notes that the recorder lives.  The upkeep creates, recycles and removes segments (see `stock`), which may
take long, and nobody waits for it.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from allegro.capture.recent import RecentMaximum
from allegro.capture.ring import recovery, segments
from allegro.capture.ring.open_segment import OpenSegment, Slot
from allegro.capture.ring.record import Record
from allegro.capture.ring.segments import Run
from allegro.capture.ring.stock import RingBusyError, RingUnavailable, SegmentStock
from allegro.capture.ring.summaries import Listed, SummaryFile
from allegro.capture.status import RingStatus
from allegro.errors import AllegroError

_LOG = logging.getLogger(__name__)

_RUNS_INTERVAL = 1.0
_UPKEEP_INTERVAL = 0.4
_LONGEST_LOOK_INTERVAL = 2.0
"""Between two looks at what the ring has; what has to be done soon is told."""

_SHORTEST_SYNC_INTERVAL = 0.2
_LIST_INTERVAL = 10.0
_PUBLISH_PAUSE = 0.1

_NOT_PUBLISHED = "The index of the ring could not be written"
_NOT_SAFE = "What was recorded could not be made safe on disk"
_NO_ROOM = "No room could be made in the ring"
_HOLDING_UP = (_NOT_PUBLISHED, _NOT_SAFE, _NO_ROOM)
_NOT_NOTED = "Up to when the ring is complete could not be noted"
_NOT_IN_ORDER = "The ring's files could not be kept in order"
_NOT_CLOSED = "The ring was not closed cleanly"
_OTHERS = (_NOT_NOTED, _NOT_IN_ORDER, _NOT_CLOSED)


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
        self.recent_slowest_sync = RecentMaximum()
        """Seconds that one flush of the disk took."""
        self.published = 0
        """All records up to this sequence number can be found by readers."""
        self._refusing = False
        """The last record that is known of could not be written."""
        self._failures = dict.fromkeys((*_HOLDING_UP, *_OTHERS), 0)
        self._written = threading.Event()
        self._to_be_safe = threading.Event()
        self._stopped = False
        self._threads: list[threading.Thread] = []
        self._stock = SegmentStock(directory, size)
        self._summaries = SummaryFile(directory)
        self._lock_file = _lock_directory(directory)
        try:
            ring = recovery.recover(directory)
            self.ring_id = ring.identity.ring_id
            self._next = ring.next_sequence
            self.begun = not ring.segments
            """Whether there was no record in it before."""
            self._earlier = ring.runs
            self._own = Run(run_ns, run_ns, run_ns, (), boot_id, start_boot_ns, start_boot_ns)
            """The run that goes on: only the main thread sets it, and always as a whole."""
            self._stock.take_over(ring)
            self._list_segments()
            _if_there_is_room(lambda: self._write_runs(sync=True))
            self._start("upkeep", self._upkeep)
            self._start("safe-keeper", self._safe_keeper)
            self._start("publisher", self._publisher)
        except BaseException as error:
            self._end_threads()
            self._release()
            if not isinstance(error, OSError):
                raise
            raise RingUnavailable(
                f"The packet ring cannot be used: {error.strerror or error}.", place=str(directory)
            ) from error

    # -- main thread ---------------------------------------------------------------------------------

    @property
    def failures(self) -> int:
        """How often something else has failed than to write a record."""
        return sum(self._failures.values())

    @property
    def held_up(self) -> int:
        """How often something of that has failed without which no segment gets free for new records."""
        return sum(self._failures[what] for what in _HOLDING_UP)

    @property
    def shortage(self) -> str:
        """Why the ring is smaller than wanted, in plain words; empty if it is not."""
        return self._stock.shortage

    def place(self, length: int) -> Slot:
        """The place and number for the next record of `length` bytes.

        As long as the disk refuses, a segment in which nothing could be written is not left for the next one:
        there lies, or soon would, what is good. Raises RingBusyError if there is no place just now.
        """
        stock = self._stock
        segment = stock.current
        if self._refusing and segment is not None and segment.used + length > segment.size:
            self._begin_again(segment)
        if segment is None or segment.used + length > segment.size or stock.switch_wanted:
            segment = stock.next_segment(self._next)
        slot = Slot(segment, segment.used, self._next)
        segment.used += length
        segment.pending += 1
        self._next += 1
        return slot

    def written(self, slot: Slot, record: Record, summary: bytes = b"") -> None:
        """The record is on disk. To be called in the order of the sequence numbers.

        `summary` says what its packets hold; empty if that was not looked at.
        """
        slot.segment.written(record._replace(offset=slot.offset), summary)
        self._refusing = False

    def lost(self, slot: Slot) -> None:
        """The record could not be written; its place stays unused, unless nothing else gets into its segment
        either. To be called in the order of the sequence numbers, like `written`."""
        slot.segment.pending -= 1
        self._refusing = True

    def _begin_again(self, segment: OpenSegment) -> None:
        """Goes back to the beginning of a full segment if nothing is in it. Raises RingBusyError while that
        is not known."""
        if segment.summary.records:
            return
        if segment.pending:
            raise RingBusyError
        segment.first, segment.used = self._next, 0

    def publish(self) -> None:
        """Lets readers learn, in a moment, of what was said to be written."""
        self._written.set()

    def alive(self, complete: tuple[int, int], ports: tuple[str, ...]) -> None:
        """Notes up to when all that came in is in the ring (ns of CLOCK_BOOTTIME and since 1970; 0: nothing
        yet), and what is recorded."""
        run = self._own
        if complete[0]:
            run = run._replace(alive_boot_ns=complete[0], alive_ns=complete[1])
        new = tuple(name for name in ports if name not in run.ports)
        self._own = run._replace(ports=run.ports + new)

    def ended(self, complete: tuple[int, int]) -> None:
        """Notes that the run has ended, and that all that came in until then is in the ring."""
        self.alive(complete, ())
        self._own = self._own._replace(ended=True)

    def left(self) -> None:
        """Notes that the run goes on in another ring, from what was last said to be complete."""
        self._own = self._own._replace(left=True)

    def resize(self, size: int) -> None:
        """Lets the ring grow or shrink to `size` bytes, in the background; shrinking loses the oldest.

        Raises RingUnavailable, and leaves all as it is, if that is too small for a ring.
        """
        self._stock.resize(size)

    def status(self) -> RingStatus:
        """The ring as it is now."""
        sums, oldest, newest = self._stock.contents()
        return RingStatus(
            directory=str(self.directory),
            size=sums.size,
            target=self._stock.target,
            segment_size=self._stock.segment_size,
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
        return self._stock.progress()

    def working(self) -> bool:
        """Whether all threads live. If not, nothing more can be done with this ring than to close it."""
        return all(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """Makes everything safe on disk, and waits for a disk that stands still. No record may be under way
        any more. What fails is told; the next start puts it in order."""
        self._end_threads()
        self._stock.end()
        for work in (self._publish, self._sync, self._finish_segments, lambda: self._write_runs(sync=True)):
            if not self._attempt(_NOT_CLOSED, work):
                self._own = self._own._replace(ended=False)
        self._release()

    def _start(self, name: str, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name=f"ring {name}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _end_threads(self) -> None:
        self._stopped = True
        for event in (self._stock.wanted, self._to_be_safe, self._written):
            event.set()
        for thread in self._threads:
            thread.join()

    # -- publisher thread ----------------------------------------------------------------------------

    def _publisher(self) -> None:
        while not self._stopped:
            self._written.wait()
            self._written.clear()
            if not self._attempt(_NOT_PUBLISHED, self._publish, self._finish_segments):
                self._written.set()
                time.sleep(_UPKEEP_INTERVAL)
            time.sleep(_PUBLISH_PAUSE)

    def _publish(self) -> None:
        """Names the segments in use, and puts the new records into their indexes."""
        for segment in self._stock.opened():
            count = len(segment.entries)
            if count and not segment.named:
                segment.path = segment.path.rename(segments.blocks_path(self.directory, segment.first))
                segment.named = True
                self._summaries.add(Listed(segment.first, segment.size, None))
            entries = list(segment.entries)[:count]
            segment.unindexed += b"".join(map(segment.packer.pack, entries))
            segment.write_index()
            if segment.named:  # else a record has just come in, and the next time will name it
                segment.record_summaries.write(segment.path)
            if entries:
                self.published = entries[-1].sequence
            # Only now, as a segment is finished when it has none left.
            for _ in range(count):
                segment.entries.popleft()
        if self._stock.closing:
            self._to_be_safe.set()

    def _finish_segments(self) -> None:
        """Closes the segments that have got all their records, in their order."""
        stock = self._stock
        while stock.closing and _complete(stock.closing[0]):
            segment = stock.closing[0]
            if not segment.named:
                stock.unused(segment)
                continue
            if not segment.safe:
                return
            # Not synced: the index may be lost in a power cut, but not be there before the data are.
            if segment.write_index():
                segment.unindexed += segment.packer.pack_summary(segment.summary)
                segment.write_index()
            stock.finished(segment)
            summaries_size = segment.record_summaries.size
            self._summaries.add(Listed(segment.first, segment.size, segment.summary, summaries_size))
            segment.close()
            stock.wanted.set()

    # -- safe-keeper thread --------------------------------------------------------------------------

    def _safe_keeper(self) -> None:
        synced = noted = time.monotonic()
        while not self._stopped:
            self._to_be_safe.wait(_UPKEEP_INTERVAL)
            self._to_be_safe.clear()
            now = time.monotonic()
            if now - synced >= _SHORTEST_SYNC_INTERVAL or self._stock.closing:
                synced = now
                if not self._attempt(_NOT_SAFE, self._sync):
                    time.sleep(_UPKEEP_INTERVAL)
            if now - noted >= _RUNS_INTERVAL:
                noted = now
                self._attempt(_NOT_NOTED, lambda: _if_there_is_room(lambda: self._write_runs(sync=False)))

    def _sync(self) -> None:
        """Makes safe what was written; and of segments that get no more, notes that they are."""
        for segment in self._stock.opened():
            complete = segment is not self._stock.current and _complete(segment)
            if segment.dirty:
                segment.dirty = False
                began = time.monotonic()
                try:
                    os.fdatasync(segment.descriptor)
                except OSError:
                    segment.dirty = True
                    raise
                finally:
                    ended = time.monotonic()
                    self.recent_slowest_sync.note(ended - began, ended)
            if complete and segment.named and not segment.safe:
                segment.safe = True
                self._written.set()

    def _write_runs(self, *, sync: bool) -> None:
        oldest, runs = self.status().oldest_ns or 0, self._earlier
        # Runs of which nothing is left in the ring are of no use to anybody, but for the last of them.
        while len(runs) > 1 and runs[1].start_ns < oldest and runs[0].alive_ns < oldest:
            del runs[0]
        segments.write_runs(self.directory, [*runs, self._own], sync=sync)

    # -- upkeep thread -------------------------------------------------------------------------------

    def _upkeep(self) -> None:
        listed = time.monotonic()
        works = True
        while not self._stopped:
            self._stock.wanted.wait(_LONGEST_LOOK_INTERVAL if works else _UPKEEP_INTERVAL)
            self._stock.wanted.clear()
            now = time.monotonic()
            works = self._attempt(_NO_ROOM, self._stock.adjust)
            works = self._attempt(_NOT_IN_ORDER, lambda: self._stock.grow(time.monotonic())) and works
            if now - listed >= _LIST_INTERVAL and self._summaries.worn(len(self._stock)):
                listed = now
                self._attempt(_NOT_IN_ORDER, self._list_segments)
            if not works:
                time.sleep(_UPKEEP_INTERVAL)

    def _list_segments(self) -> None:
        """Writes ring.index anew."""
        self._summaries.write(self._stock.listed)

    # -- all -----------------------------------------------------------------------------------------

    def _attempt(self, what: str, *works: Callable[[], None]) -> bool:
        """Does one thing after the other; whether that worked. A failure is told and counted, of which each
        kind has one thread, which goes on: without it the ring would soon stand still."""
        try:
            for work in works:
                work()
        except Exception as error:
            known = isinstance(error, OSError | AllegroError)
            _LOG.warning("%s: %s", what, error if known else f"{type(error).__name__}: {error}")
            self._failures[what] += 1
            return False
        return True

    def _release(self) -> None:
        self._summaries.close()
        self._stock.close()
        os.close(self._lock_file)


def _complete(segment: OpenSegment) -> bool:
    """Whether a segment that gets no more places has got all its records, and readers can find them."""
    return not segment.pending and not segment.entries


def _if_there_is_room(write: Callable[[], None]) -> None:
    """On a full disk that waits; the packets have their place already."""
    try:
        write()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise


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
