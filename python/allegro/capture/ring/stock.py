"""The segment files of a ring that is being written: how many there are, how large, and which comes next.

Recycling happens ahead of need: when fewer than two empty segments are left (one in a small ring), the oldest
loses its index, its summaries and its name, and that is made safe on disk before the first byte of it is
overwritten.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from allegro import words
from allegro.atomic import sync_directory
from allegro.capture import space
from allegro.capture.ring import index, record_summaries, segments
from allegro.capture.ring.finished import FinishedSegments, Sums
from allegro.capture.ring.index import Packer, Summary
from allegro.capture.ring.open_segment import OpenSegment, open_segment
from allegro.capture.ring.recovery import RecoveredRing, RecoveredSegment
from allegro.capture.ring.summaries import Listed
from allegro.errors import Unavailable

_LOG = logging.getLogger(__name__)

_SPACE_INTERVAL = 10.0
_EMPTY_AHEAD = 2


class RingUnavailable(Unavailable):
    """There is no ring at the moment, and the message says why."""


class RingBusyError(Exception):
    """No segment is free just now: the disk is behind. Try again in a moment."""


class SegmentStock:
    """All segments: `current` is written to, `closing` wait for their last records, of the others the oldest
    are recycled. `target` is what the ring may take on disk, in bytes.

    Used by several threads; `adjust` and `grow` by one of them. Of what has to be done soon, `wanted` tells.
    """

    def __init__(self, directory: Path, target: int) -> None:
        self.target = target
        self.segment_size = 0
        self.shortage = ""
        self.wanted = threading.Event()
        self.current: OpenSegment | None = None
        self.closing: list[OpenSegment] = []
        self.switch_wanted = False
        """The next record is to lie in another segment."""
        self._directory = directory
        self._lock = threading.RLock()
        self._finished = FinishedSegments(())
        self._free: list[OpenSegment] = []
        self._emptied: list[OpenSegment] = []
        """Recycled, but that they have lost their name is not safe on disk yet."""
        self._free_number = 0
        self._space_checked = 0.0

    def take_over(self, ring: RecoveredRing) -> None:
        """Begins with what was found; afterwards there are at least the fewest segments.

        Raises RingUnavailable if that cannot be, and OSError.
        """
        self._finished = FinishedSegments(ring.segments)
        for path in ring.free:  # one by one: if one cannot be opened, those before it are known, and closed
            self._free.append(open_segment(path, path.stat().st_size))
        self._free_number = max((segments.free_number(path) for path in ring.free), default=0)
        self.segment_size = self._choose_segment_size(self.target)
        self._continue_newest()
        self._shrink()
        while self._count() < segments.FEWEST_SEGMENTS:
            self._create_segment()

    # -- what there is -------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._count()

    def opened(self) -> list[OpenSegment]:
        """Those that records may still be under way to, oldest first."""
        with self._lock:
            return [*self.closing, *([self.current] if self.current else [])]

    def size(self) -> int:
        """Bytes of all segments on disk."""
        with self._lock:
            opened = sum(one.size for one in (*self._free, *self._emptied, *self.opened()))
            return self._finished.sums.size + opened

    def contents(self) -> tuple[Sums, list[Summary], list[Summary]]:
        """Sums of what is in the ring, and summaries of the oldest and of the newest segments (two each)."""
        with self._lock:
            opened = [segment.summary for segment in self.opened() if segment.summary.records]
            sums = replace(self._finished.sums, size=self.size())
            oldest = [*self._finished.summaries(range(2)), *opened][:2]
            newest = [*self._finished.summaries(range(-2, 0)), *opened][-2:]
        for summary in opened:
            sums.add(0, summary)
        return sums, oldest, newest

    def listed(self) -> Iterator[Listed]:
        """All segments with records, as ring.index lists them."""
        with self._lock:
            finished = list(self._finished)
            opened = [segment for segment in self.opened() if segment.named]
        for segment in finished:
            sequence = segments.first_sequence(segment.path) or 0
            yield Listed(sequence, segment.size, segment.summary, segment.record_summaries)
        for one in opened:
            yield Listed(one.first, one.size, None)

    def progress(self) -> str:
        """How far the ring is laid out, in plain words; empty when it is."""
        with self._lock:
            if not self._room_for_one():
                return ""
            size, whole = self.size(), self.target - self.target % self.segment_size
        return f"The ring is being laid out: {words.size(size)} of {words.size(whole)}."

    # -- from one segment to the next ----------------------------------------------------------------

    def next_segment(self, first: int) -> OpenSegment:
        """Goes on to the next segment, for records from this number on. Raises RingBusyError."""
        with self._lock:
            if not self._free:
                self.wanted.set()
                raise RingBusyError
            opened = self._free.pop(0)
            opened.first = first
            if self.current is not None:
                self.closing.append(self.current)
            self.current = opened
            self.switch_wanted = False
        self.wanted.set()
        return opened

    def end(self) -> None:
        """No record comes any more."""
        with self._lock:
            if self.current is not None:
                self.closing.append(self.current)
            self.current = None

    def finished(self, segment: OpenSegment) -> None:
        """The oldest of `closing` has got all its records."""
        with self._lock:
            self.closing.remove(segment)
            summaries_size = segment.record_summaries.size
            self._finished.append(
                RecoveredSegment(segment.path, segment.size, segment.summary, summaries_size)
            )

    def unused(self, segment: OpenSegment) -> None:
        """Of the oldest of `closing` not one record could be written."""
        with self._lock:
            self.closing.remove(segment)
            segment.used = 0
            self._free.append(segment)

    def close(self) -> None:
        """Closes all files as they are."""
        for segment in (*self._free, *self._emptied, *self.opened()):
            with contextlib.suppress(OSError):
                segment.close()

    # -- number and size -----------------------------------------------------------------------------

    def resize(self, target: int) -> None:
        """Lets the ring grow or shrink, by `grow` and `adjust`; shrinking loses the oldest.

        Raises RingUnavailable, and leaves all as it is, if that is too small for a ring.
        """
        _check_size(target, self._directory)
        with self._lock:
            if target != self.target:
                self.segment_size = self._choose_segment_size(target)
                self.target = target
                self._space_checked = 0.0
                self.wanted.set()

    def adjust(self) -> None:
        """Makes room for what comes next, and lets the ring shrink to what is wanted. Raises OSError."""
        self._recycle_ahead()
        self._shrink()

    def grow(self, now: float) -> None:
        """Adds a segment if the ring is to have more, at `now` (time.monotonic). Raises OSError."""
        if not self._segment_wanted():
            self.shortage = ""
        elif now - self._space_checked >= _SPACE_INTERVAL:
            try:
                self._create_segment()
                self.wanted.set()
            except RingUnavailable as error:
                self._space_checked = now
                there, wanted = words.size(self.size()), words.as_set(self.target)
                self.shortage = f"The ring has {there} instead of {wanted}: {error.message}"
                _LOG.warning("%s", self.shortage)

    def _segment_wanted(self) -> bool:
        """Whether the ring has to grow, or has nowhere to go on when it leaves a segment too large."""
        return self._room_for_one() or (self._current_too_large() and not self._free)

    def _room_for_one(self) -> bool:
        """Whether one more segment fits into the target. With a margin: what is made now is not to be removed
        at once, as the indexes have grown by a few entries."""
        return self._taken(self.segment_size // 4) + self.segment_size <= self.target

    def _taken(self, margin: int = 0) -> int:
        """Bytes of the segments, and in whole segments of what lies beside them: quiet links have small
        records, an index of a fortieth of these, and summaries of a twentieth at most."""
        sums, opened = self._finished.sums, self.opened()
        records = sums.records + sum(one.summary.records for one in opened)
        summaries = sums.record_summaries + sum(one.record_summaries.size for one in opened)
        beside = records * index.ENTRY_SIZE + summaries + margin
        return self.size() + beside - beside % self.segment_size

    def _too_large(self) -> bool:
        """Whether there is more than wanted. The fewest segments stay, whatever lies beside them."""
        return self.size() > self.target or (
            self._taken() > self.target and self._count() > segments.FEWEST_SEGMENTS
        )

    def _current_too_large(self) -> bool:
        current = self.current
        return (
            current is not None
            and current.size != self.segment_size
            and self.size() + self.segment_size > self.target
        )

    def _shrink(self) -> None:
        """Removes empty segments of another size, and the oldest while the ring is larger than wanted."""
        while self._remove_empty(lambda one: one.size != self.segment_size, keep=0):
            pass
        while self._too_large():
            if self._remove_empty(lambda _: True, keep=1):
                continue
            if not len(self._finished):
                break
            self._remove_oldest()
        with self._lock:
            # The segment in use is what is too large: go on in a small one, then this one can go, too.
            if self._free and self._current_too_large():
                self.switch_wanted = True

    def _remove_empty(self, unwanted: Callable[[OpenSegment], bool], *, keep: int) -> bool:
        """Removes an empty segment if one is unwanted, and more than `keep` are there. Raises OSError, and
        then it is still one of them: what is on disk is counted."""
        with self._lock:
            chosen = next((one for one in reversed(self._free) if unwanted(one)), None)
            if chosen is None or len(self._free) <= keep:
                return False
            self._free.remove(chosen)
        try:
            chosen.path.unlink(missing_ok=True)
        except OSError:
            with self._lock:
                self._free.append(chosen)
            raise
        chosen.close()
        return True

    def _remove_oldest(self) -> None:
        """Removes the oldest finished segment. Raises OSError, and then it is still counted."""
        oldest = self._finished[0]
        _remove_beside(oldest.path)
        oldest.path.unlink(missing_ok=True)
        with self._lock:
            self._finished.popleft()

    def _create_segment(self) -> None:
        """Adds one empty segment. Raises RingUnavailable if there is no space, or no inode, for it."""
        size = self.segment_size  # which another thread may change meanwhile
        available = self._available()
        if available < size:
            raise _no_space(self._directory, available)
        path = self._new_free_path()
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise _no_inode(self._directory) from None
        try:
            os.posix_fallocate(descriptor, 0, size)
            opened = open_segment(path, size)
        except OSError as error:
            path.unlink()  # nothing would count it
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise _no_space(self._directory, available) from None
        finally:
            os.close(descriptor)
        with self._lock:
            self._free.append(opened)

    def _recycle_ahead(self) -> None:
        """Makes the oldest segments empty ones, as many as are to be ready."""
        while (oldest := self._to_recycle()) is not None:
            if oldest.size != self.segment_size:
                self._remove_oldest()
                continue
            _remove_beside(oldest.path)
            opened = open_segment(oldest.path, oldest.size)
            try:
                opened.path = oldest.path.rename(self._new_free_path())
            except BaseException:
                opened.close()
                raise
            with self._lock:
                self._finished.popleft()
                self._emptied.append(opened)
        if self._emptied:
            sync_directory(self._directory)
            with self._lock:
                self._free.extend(self._emptied)
                self._emptied.clear()

    def _to_recycle(self) -> RecoveredSegment | None:
        """The oldest segment, if one is to be recycled."""
        with self._lock:
            empty = len(self._free) + len(self._emptied)
            if not len(self._finished):
                return None
            oldest = self._finished[0]
            # Few, large segments of an earlier size must not keep the ring from going on in small ones.
            stuck = oldest.size != self.segment_size and not empty
            if min(_EMPTY_AHEAD, self._count() // 4) > empty:
                return oldest
            return oldest if stuck and self.size() + self.segment_size > self.target else None

    def _choose_segment_size(self, target: int) -> int:
        """By the size that the ring can have; existing segments keep theirs if that is not far from it."""
        _check_size(target, self._directory)
        possible = min(target, self.size() + self._available())
        if possible < segments.SMALLEST_RING:
            raise _no_space(self._directory, possible)
        wanted = segments.segment_size(possible)
        sizes = [segment.size for segment in self._finished] + [segment.size for segment in self._free]
        present = max(sizes, default=wanted)
        fits = segments.FEWEST_SEGMENTS * present <= possible and present & (present - 1) == 0
        return present if fits and wanted // 4 <= present <= wanted * 4 else wanted

    def _continue_newest(self) -> None:
        """Goes on in the newest segment, so that many restarts do not fill the ring with half-empty ones."""
        if not len(self._finished) or self._finished[-1].size != self.segment_size:
            return
        newest = self._finished[-1]
        place = index.index_path(newest.path)
        summary = index.read_summary(place)
        if summary is None:
            return
        entries = place.stat().st_size // index.ENTRY_SIZE - 1
        self.current = open_segment(newest.path, newest.size)
        # From now on the index is that of an open segment: without the summary.
        os.truncate(place, entries * index.ENTRY_SIZE)
        self._finished.pop()
        self.current.named = True
        self.current.first = segments.first_sequence(newest.path) or 0
        self.current.indexed = entries * index.ENTRY_SIZE
        self.current.packer = Packer(entries)
        self.current.used = newest.summary.end
        self.current.summary = newest.summary
        self.current.record_summaries.take_over(newest.path)

    def _new_free_path(self) -> Path:
        with self._lock:
            self._free_number += 1
            return segments.free_path(self._directory, self._free_number)

    def _count(self) -> int:
        with self._lock:
            return len(self._finished) + len(self._free) + len(self._emptied) + len(self.opened())

    def _available(self) -> int:
        try:
            return space.available(self._directory)
        except OSError as error:
            raise RingUnavailable(
                f"The disk of the packet ring does not answer: {error.strerror}.", place=str(self._directory)
            ) from error


def _remove_beside(path: Path) -> None:
    """Removes what is told of a segment: index and summaries."""
    index.index_path(path).unlink(missing_ok=True)
    record_summaries.summary_path(path).unlink(missing_ok=True)


def _check_size(size: int, directory: Path) -> None:
    if size < segments.SMALLEST_RING:
        raise RingUnavailable(
            f"A packet ring needs at least {words.as_set(segments.SMALLEST_RING)}, not {words.as_set(size)}.",
            place=str(directory),
            remedy="Make the ring larger in the settings.",
        )


def _no_space(directory: Path, available: int) -> RingUnavailable:
    return RingUnavailable(
        f"the disk has no more room for it ({words.size(available)} left).",
        place=str(directory),
        remedy="Delete captures, or make the ring smaller in the settings.",
    )


def _no_inode(directory: Path) -> RingUnavailable:
    return RingUnavailable(
        "its disk takes no further file, although it has space: it has as many as its file system can have.",
        place=str(directory),
        remedy="Delete files that are on it.",
    )
