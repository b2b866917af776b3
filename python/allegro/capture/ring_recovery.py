"""Brings the files of a ring in order at start: after a clean end, kill -9, power cut or damage.

The records decide. Nothing that can still be read is thrown away; every repair is told.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from allegro.atomic import SUFFIX, sync_directory, write_atomically
from allegro.capture import blocks, segments
from allegro.capture.segments import IndexEntry, RingIdentity, Run, Summary

_LOG = logging.getLogger(__name__)

_SEQUENCE_GAP = 4096
"""Numbers left out at every start: those of records that were being written when the recorder was cut off.
More than can be under way (all blocks of a few ports), so that no number is used twice."""

_KEPT_RUNS = 1000


@dataclass(frozen=True)
class RecoveredSegment:
    """A segment with records, all of which `summary` covers."""

    path: Path
    size: int
    summary: Summary


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
    rebuilt: list[IndexEntry] = field(default_factory=list)


def recover(directory: Path) -> RecoveredRing:
    """Puts the directory in order and says what is there. Only for the holder of the ring's lock.

    Raises OSError if the directory cannot be used at all.
    """
    ring = RecoveredRing(_identity(directory))
    work = _Work(ring)
    free = segments.list_free(directory)
    for path in segments.list_segments(directory):
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
    identity = RingIdentity(ring_id or secrets.token_bytes(blocks.RING_ID_SIZE), time.time_ns())
    segments.write_identity(directory, identity)
    return identity


def _any_ring_id(path: Path) -> bytes | None:
    """The ring id of the first sound record header in a segment."""
    with path.open("rb") as file:
        while head := file.read(blocks.ALIGNMENT):
            with contextlib.suppress(blocks.BlockFormatError):
                return blocks.read_header(head).ring_id
    return None


def _first_record(path: Path, ring_id: bytes) -> int:
    """The sequence number of the record at the beginning of a segment, 0 if there is none of this ring."""
    try:
        with path.open("rb") as file:
            header = blocks.read_header(file.read(blocks.RECORD_HEADER_END))
    except (OSError, blocks.BlockFormatError):
        return 0
    return header.sequence if header.ring_id == ring_id else 0


def _take(work: _Work, path: Path, minimum: int, *, named: bool) -> None:
    """Adds a segment file to the ring as what its records say."""
    ring, directory = work.ring, path.parent
    size = path.stat().st_size
    if size < blocks.ALIGNMENT:
        path.unlink()
        return
    summary = _trusted_summary(path, size, ring.identity.ring_id) if named else None
    if summary is not None:
        ring.segments.append(RecoveredSegment(path, size, summary))
        return
    entries = _look_through(path, size, minimum, ring.identity.ring_id, named=named)
    segments.index_path(path).unlink(missing_ok=True)
    wanted = segments.blocks_path(directory, entries[0].sequence) if entries else path
    if not entries or (wanted != path and wanted.exists()):
        ring.free.append(_as_free(path, directory))
        return
    path = path.rename(wanted)
    summary = Summary()
    for entry in entries:
        summary = summary.plus(entry)
    data = b"".join(map(segments.pack_entry, entries)) + segments.pack_summary(summary)
    write_atomically(segments.index_path(path), data, mode=0o644)
    _LOG.warning("%s: index made anew from %d records", path.name, summary.records)
    ring.segments.append(RecoveredSegment(path, size, summary))
    work.rebuilt.extend(entries)


def _trusted_summary(path: Path, size: int, ring_id: bytes) -> Summary | None:
    """The summary in the segment's index, if the index is finished and begins with what is in the segment."""
    index = segments.index_path(path)
    summary = segments.read_summary(index)
    if summary is None or not summary.records or summary.end > size:
        return None
    with index.open("rb") as file:
        first = segments.parse_index(file.read(segments.ENTRY_SIZE)).entries
    if not first or first[0].sequence != segments.first_sequence(path):
        return None
    with path.open("rb") as file:
        file.seek(first[0].offset)
        try:
            header = blocks.read_header(file.read(blocks.RECORD_HEADER_END))
        except (OSError, blocks.BlockFormatError):
            return None
    return summary if (header.ring_id, header.sequence) == (ring_id, first[0].sequence) else None


def _look_through(path: Path, size: int, minimum: int, ring_id: bytes, *, named: bool) -> list[IndexEntry]:
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
    """The known runs, each alive at least until its last packet that a repair has found."""
    known = {run.run: run for run in segments.read_runs(directory)}
    entries = work.rebuilt
    if not known:
        entries = [
            entry
            for segment in work.ring.segments
            for entry in segments.read_index(segments.index_path(segment.path)).entries
        ]
    for entry in entries:
        run = known.get(entry.run) or Run(entry.run, entry.first_ns, entry.last_ns)
        ports = run.ports if entry.port_name in run.ports else (*run.ports, entry.port_name)
        known[entry.run] = run._replace(alive_ns=max(run.alive_ns, entry.last_ns), ports=ports)
    return sorted(known.values(), key=lambda run: run.start_ns)[-_KEPT_RUNS:]


def _remove_orphans(directory: Path) -> None:
    """Removes indexes without their segment, and small files that were being replaced."""
    for path in directory.iterdir():
        orphan = path.suffix == ".index" and not path.with_suffix(".blocks").exists()
        if orphan or (path.name.startswith(".") and path.name.endswith(SUFFIX)):
            path.unlink()
