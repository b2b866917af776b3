"""Brings the files of a ring in order at start: after a clean end, kill -9, power cut or damage.

The records decide. Nothing that can still be read is thrown away; every repair is told.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from allegro.atomic import SUFFIX, sync_directory, write_atomically
from allegro.capture.ring import index, record, record_summaries, segments, summaries
from allegro.capture.ring.index import Summary
from allegro.capture.ring.record import Record
from allegro.capture.ring.segments import RingIdentity, Run

_LOG = logging.getLogger(__name__)

_SEQUENCE_GAP = 4096
"""Numbers left out at every start: those of records that were being written when the recorder was cut off.
More than can be under way (all blocks of a few ports), so that no number is used twice."""

_KEPT_RUNS = 1000

_CHECKED = 64
"""So many of the newest segments are looked at. The others are what ring.index says, which is written when a
segment's data are safe; a disk that has lost them since shows that when they are read."""


@dataclass(frozen=True)
class RecoveredSegment:
    """A segment with records, all of which `summary` covers; bytes of the records' own summaries."""

    path: Path
    size: int
    summary: Summary
    record_summaries: int = 0


@dataclass
class RecoveredRing:
    """The ring as found: segments oldest first, empty ones, the number for the next record."""

    identity: RingIdentity
    segments: list[RecoveredSegment] = field(default_factory=list)
    free: list[Path] = field(default_factory=list)
    next_sequence: int = 1
    runs: list[Run] = field(default_factory=list)


@dataclass
class _Work:
    """The ring so far, and the entries of all segments whose index had to be made anew."""

    ring: RecoveredRing
    rebuilt: list[Record] = field(default_factory=list)


def recover(directory: Path) -> RecoveredRing:
    """Puts the directory in order and says what is there. Only for the holder of the ring's lock.

    Raises OSError if the directory cannot be used at all.
    """
    ring = RecoveredRing(_identity(directory))
    work = _Work(ring)
    free = segments.list_free(directory)
    named = segments.list_segments(directory)
    known = _known(directory)
    for path in named[:-_CHECKED] if known else ():
        listed = known.get(segments.first_sequence(path) or 0)
        if listed is None or listed.summary is None:
            _take(work, path, segments.first_sequence(path) or 0, named=True)
        else:
            ring.segments.append(RecoveredSegment(path, listed.size, listed.summary, listed.record_summaries))
    for path in named[-_CHECKED:] if known else named:
        _take(work, path, segments.first_sequence(path) or 0, named=True)
    newest = _newest_sequence(ring)
    for path in free:
        # A segment taken into use is named a moment later, and a power cut can undo that: then its records
        # are newer than all others. Older ones are left over from before and count as gone.
        if _first_record(path, ring.identity.ring_id) > newest:
            _take(work, path, newest + 1, named=False)
        else:
            ring.free.append(path)
    ring.segments.sort(key=lambda segment: segment.path)
    newest = _newest_sequence(ring)
    ring.next_sequence = newest + _SEQUENCE_GAP if newest else 1
    ring.runs = _runs(directory, work)
    _remove_orphans(directory)
    sync_directory(directory)
    return ring


def _known(directory: Path) -> dict[int, summaries.Listed]:
    return {listed.sequence: listed for listed in summaries.read(directory) or []}


def _newest_sequence(ring: RecoveredRing) -> int:
    return max((segment.summary.last_sequence for segment in ring.segments), default=0)


def _identity(directory: Path) -> RingIdentity:
    identity = segments.read_identity(directory)
    if identity is not None:
        return identity
    candidates = map(_any_ring_id, reversed(segments.list_segments(directory)))
    ring_id = next((candidate for candidate in candidates if candidate is not None), None)
    if ring_id is not None:
        _LOG.warning("ring.json was missing or damaged; its content was taken from the records")
    identity = RingIdentity(ring_id or secrets.token_bytes(record.RING_ID_SIZE), time.time_ns())
    segments.write_identity(directory, identity)
    return identity


def _any_ring_id(path: Path) -> bytes | None:
    """The ring id of the first sound record header in a segment."""
    with path.open("rb") as file:
        while head := file.read(record.ALIGNMENT):
            with contextlib.suppress(record.BlockFormatError):
                return record.ring_id_of(head)
    return None


def _first_record(path: Path, ring_id: bytes) -> int:
    """The sequence number of the record at the beginning of a segment, 0 if there is none of this ring."""
    try:
        with path.open("rb") as file:
            return record.read_record(file.read(record.HEAD_SIZE), ring_id).sequence
    except (OSError, record.BlockFormatError):
        return 0


def _take(work: _Work, path: Path, minimum: int, *, named: bool) -> None:
    """Adds a segment file to the ring as what its records say."""
    ring, directory = work.ring, path.parent
    size = path.stat().st_size
    if size < record.ALIGNMENT:
        path.unlink()
        return
    summary = _trusted_summary(path, size, ring.identity.ring_id) if named else None
    if summary is not None:
        ring.segments.append(RecoveredSegment(path, size, summary, record_summaries.size_on_disk(path)))
        return
    entries = _look_through(path, size, minimum, ring.identity.ring_id, named=named)
    index.index_path(path).unlink(missing_ok=True)
    wanted = segments.blocks_path(directory, entries[0].sequence) if entries else path
    if not entries or (wanted != path and wanted.exists()):
        ring.free.append(_as_free(path, directory))
        return
    path = path.rename(wanted)
    summary = Summary()
    for entry in entries:
        summary = summary.plus(entry)
    packer = index.Packer()
    data = b"".join(map(packer.pack, entries)) + packer.pack_summary(summary)
    try:
        write_atomically(index.index_path(path), data, mode=0o644)
        _LOG.warning("%s: index made anew from %d records", path.name, summary.records)
    except OSError as error:  # readers ask the records; a full disk has still room for these
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _LOG.warning("%s: no room for its index", path.name)
    ring.segments.append(RecoveredSegment(path, size, summary, record_summaries.size_on_disk(path)))
    work.rebuilt.extend(entries)


def _trusted_summary(path: Path, size: int, ring_id: bytes) -> Summary | None:
    """The summary in the segment's index, if the index is finished and begins with what is in the segment."""
    place = index.index_path(path)
    try:
        summary = index.read_summary(place)
        if summary is None or not summary.records or summary.end > size:
            return None
        with place.open("rb") as file:
            first = next(index.parse(file.read(3 * index.ENTRY_SIZE)), None)
        if first is None or first.sequence != segments.first_sequence(path):
            return None
        with path.open("rb") as file:
            file.seek(first.offset)
            found = record.read_record(file.read(record.HEAD_SIZE), ring_id)
    except (OSError, record.BlockFormatError):  # it can be made anew
        return None
    return summary if found.sequence == first.sequence else None


def _look_through(path: Path, size: int, minimum: int, ring_id: bytes, *, named: bool) -> list[Record]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        entries = list(segments.walk(descriptor, size, ring_id, minimum))
        if not entries and named:
            # Nothing as new as the name says: then the name is wrong.
            entries = list(segments.walk(descriptor, size, ring_id, 0))
        return entries
    finally:
        os.close(descriptor)


def _as_free(path: Path, directory: Path) -> Path:
    free = segments.list_free(directory)
    if path in free:
        return path
    return path.rename(segments.free_path(directory, max(map(segments.free_number, free), default=0) + 1))


def _runs(directory: Path, work: _Work) -> list[Run]:
    """The known runs, each alive at least until the last packets that a repair has found of its ports."""
    known: dict[int, Run] = {}
    for run in segments.read_runs(directory):
        # A ring that was opened anew by the same process has two of it; the first knows more at first.
        if run.run not in known or run.alive_ns >= known[run.run].alive_ns:
            known[run.run] = run
    entries = work.rebuilt
    if not known:
        entries = [
            entry for segment in work.ring.segments for entry in index.read(index.index_path(segment.path))
        ]
    last: dict[int, dict[str, int]] = {}
    for entry in entries:
        run = known.setdefault(entry.run, Run(entry.run, entry.first_ns, entry.first_ns))
        if entry.port_name not in run.ports:
            known[entry.run] = run._replace(ports=(*run.ports, entry.port_name))
        if not entry.is_news:
            last.setdefault(entry.run, {})[entry.port_name] = entry.last_ns
    for number, ports in last.items():
        run = known[number]
        # As far as all ports go: what another one's memory held when the recorder was cut off is lost.
        reached_ns = min(ports.get(name, run.alive_ns) for name in run.ports)
        known[number] = _alive_until(run, reached_ns)
    return sorted(known.values(), key=lambda run: run.start_ns)[-_KEPT_RUNS:]


def _alive_until(run: Run, time_ns: int) -> Run:
    later_ns = time_ns - run.alive_ns
    if later_ns <= 0:
        return run
    boot_ns = run.alive_boot_ns + later_ns if run.boot_id else 0
    return run._replace(alive_ns=time_ns, alive_boot_ns=boot_ns)


def _remove_orphans(directory: Path) -> None:
    """Removes indexes and summaries without their segment, and small files that were being replaced.

    The list of segments is one of them, for version 0.1.0 too: the writer makes it anew.
    """
    for path in directory.iterdir():
        orphan = (
            path.suffix in (".index", record_summaries.SUFFIX) and not path.with_suffix(".blocks").exists()
        )
        if orphan or (path.name.startswith(".") and path.name.endswith(SUFFIX)):
            path.unlink()
