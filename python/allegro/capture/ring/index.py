"""The index of a segment: a cache of what its records say themselves.

Entries have one fixed size and stand in the order of the sequence numbers; each has a CRC.  A record with
losses, or within which the clock stepped, has a second entry behind its own; an entry with the id of the
start of the kernel stands before the first record of each start.  The last entry of a finished segment is
a summary of all of it: it is written after the segment's data are safe on disk, so that an index with one
needs no check after a power cut.

Version 0.1.0 has entries of the same size and the same beginning, but other checksums: each takes the
other's index as damaged or, here, as what it is: without boot times.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from allegro.capture import _packets
from allegro.capture.ring.losses import NO_LOSSES, Losses
from allegro.capture.ring.record import NOWHERE, PORT_NAME_SIZE, Record, Segment

_RECORD, _SUMMARY, _MORE, _BOOT = 1, 2, 3, 4
_SEED = 0xA11E6202
"""First value of the CRC of an entry; version 0.1.0 begins with 0."""

# crc, kind, flags, port index, sequence, run, offset, length, used, packets, drops, freezes, nic missed,
# first ns, last ns, port name, first boot ns.  Losses stand here only in an index of version 0.1.0.
_ENTRY = struct.Struct("<IBBHQQIIIIIII4xQQ16sQ")
# crc, kind, losses (ten counts, from, until), last boot ns, wall offset, step
_MORE_ENTRY = struct.Struct("<IB3x10IQQQqq8x")
_BOOT_ENTRY = struct.Struct("<IB3x16s72x")
# crc, kind, entries before this one, records, packets, used, end, last sequence, first ns, last ns,
# first boot ns, last boot ns, first start, last start
_SUMMARY_ENTRY = struct.Struct("<IB3x10Q2I")
ENTRY_SIZE = _ENTRY.size

_KNOWS_BOOT = 0x80
_HAS_MORE = 0x40
"""Flags in an entry, not in a record: it is of the start of the kernel named last; a second one follows."""

_MOST_AT_ONCE = 256


class Summary(NamedTuple):
    """All records of a segment: how many, their packets and used bytes, earliest and latest time.

    The boot times are those of the first and the last record whose start of the kernel is known (0: none);
    `first_start` and `last_start` are the `start_mark` of these starts (0: not known).
    """

    records: int = 0
    packets: int = 0
    used: int = 0
    first_ns: int = 0
    last_ns: int = 0
    last_sequence: int = 0
    end: int = 0
    first_boot_ns: int = 0
    last_boot_ns: int = 0
    first_start: int = 0
    last_start: int = 0

    def plus(self, record: Record) -> Summary:
        """The summary with one more record, which comes behind the others."""
        start = start_mark(record.boot_id)
        return Summary(
            self.records + 1,
            self.packets + record.packets,
            self.used + record.used,
            min(self.first_ns, record.first_ns) if self.records else record.first_ns,
            max(self.last_ns, record.last_ns),
            record.sequence,
            record.end,
            self.first_boot_ns or record.first_boot_ns,
            record.last_boot_ns or self.last_boot_ns,
            # Summaries of before know no starts: 0, "any", must not become "only this one".
            self.first_start if self.first_boot_ns else start,
            start or self.last_start,
        )


def start_mark(boot_id: bytes) -> int:
    """A start of the kernel in 32 bits, 0 if it is not known. Two may have the same, though hardly ever."""
    return (zlib.crc32(boot_id) or 1) if boot_id else 0


class Packer:
    """Makes the entries of one index file, in order: it remembers how many there are (`entries`), and which
    start of the kernel was named last."""

    def __init__(self, entries: int = 0) -> None:
        self.entries = entries
        self._boot_id = b""

    def pack(self, record: Record) -> bytes:
        """The entries of a record as they stand in the file."""
        data, more, flags = b"", b"", record.flags
        if any(record.losses) or (record.boot_id and not _steady(record)):
            flags |= _HAS_MORE
            times = record.last_boot_ns, record.wall_offset_ns, record.step_ns
            more = _sealed(_MORE_ENTRY.pack(0, _MORE, *record.losses, *times))
        if record.boot_id:
            flags |= _KNOWS_BOOT
            if record.boot_id != self._boot_id:
                self._boot_id = record.boot_id
                data = _sealed(_BOOT_ENTRY.pack(0, _BOOT, record.boot_id))
        data += _sealed(
            _ENTRY.pack(
                0,
                _RECORD,
                flags,
                record.port_index,
                record.sequence,
                record.run,
                record.offset,
                record.length,
                record.used,
                record.packets,
                *(0, 0, 0),
                record.first_ns,
                record.last_ns,
                record.port_name.encode()[:PORT_NAME_SIZE],
                record.first_boot_ns,
            )
        )
        data += more
        self.entries += len(data) // ENTRY_SIZE
        return data

    def pack_summary(self, summary: Summary) -> bytes:
        """A segment's summary as it stands at the end of the index file."""
        return _sealed(
            _SUMMARY_ENTRY.pack(
                0,
                _SUMMARY,
                self.entries,
                summary.records,
                summary.packets,
                summary.used,
                summary.end,
                summary.last_sequence,
                summary.first_ns,
                summary.last_ns,
                summary.first_boot_ns,
                summary.last_boot_ns,
                summary.first_start,
                summary.last_start,
            )
        )


def index_path(segment: Path) -> Path:
    """Path of the index of a segment."""
    return segment.with_suffix(".index")


def parse(data: bytes, segment: Segment = NOWHERE) -> Iterator[Record]:
    """As many records as are sound and in order; what follows the first bad entry is not used."""
    return itertools.chain.from_iterable(parse_lists(data, segment))


def parse_lists(data: bytes, segment: Segment = NOWHERE) -> Iterator[list[Record]]:
    """The same, some at a time: of quiet links there are very many, nearly all of them plain."""
    progress = Progress()
    view = memoryview(data)
    while True:
        plain = _packets.plain_records(
            data,
            progress.position,
            _MOST_AT_ONCE,
            progress.last_sequence + 1,
            progress.last_end,
            Record,
            progress.boot_id,
            NO_LOSSES,
            segment,
        )
        if plain:
            progress.position += len(plain) * ENTRY_SIZE
            progress.last_sequence, progress.last_end = plain[-1].sequence, plain[-1].end
            yield plain
        if len(plain) < _MOST_AT_ONCE:
            other = next(parse_on(view[progress.position :], segment, progress), None)
            if other is None:
                return
            yield [other]


class Progress:
    """How far an index that grows has been parsed: `position` is the length of what was used, `last_entry`
    the last of that without its checksum, `finished` says that a summary follows there, so that nothing more
    comes unless the recorder goes on in this segment."""

    def __init__(self) -> None:
        self.position = 0
        self.last_entry: bytes | memoryview = b""
        self.finished = False
        self.boot_id = b""
        self.last_sequence = -1
        self.last_end = 0


def parse_on(data: bytes | memoryview, segment: Segment, progress: Progress) -> Iterator[Record]:
    """The records in what has been added: `data` is what stands in the index from `progress.position` on."""
    boot_id = progress.boot_id
    names: dict[bytes, str] = {}
    last_sequence, last_end = progress.last_sequence, progress.last_end
    incomplete: Record | None = None
    begin = progress.position
    progress.finished = False
    for position in range(0, len(data) - ENTRY_SIZE + 1, ENTRY_SIZE):
        kind = data[position + 4]
        entry = data[position + 4 : position + ENTRY_SIZE]
        crc = int.from_bytes(data[position : position + 4], "little")
        if zlib.crc32(entry, _SEED) != crc and not (kind == _RECORD and zlib.crc32(entry) == crc):
            return
        if incomplete is not None:
            if kind != _MORE:
                return
            progress.position, progress.last_entry = begin + position + ENTRY_SIZE, entry
            progress.last_sequence, progress.last_end = last_sequence, last_end
            yield _with_more(incomplete, _MORE_ENTRY.unpack_from(data, position))
            incomplete = None
            continue
        if kind == _BOOT:
            boot_id = progress.boot_id = _BOOT_ENTRY.unpack_from(data, position)[2]
            progress.position, progress.last_entry = begin + position + ENTRY_SIZE, entry
            continue
        progress.finished = kind == _SUMMARY
        if kind != _RECORD:
            return
        (
            _,
            _,
            flags,
            port_index,
            sequence,
            run,
            offset,
            length,
            used,
            packets,
            drops,
            freezes,
            missed,
            first_ns,
            last_ns,
            name,
            first_boot_ns,
        ) = _ENTRY.unpack_from(data, position)
        if sequence <= last_sequence or offset < last_end:
            return
        last_sequence, last_end = sequence, offset + length
        if name not in names:
            names[name] = name.rstrip(b"\0").decode("utf-8", "replace")
        knows_boot = flags & _KNOWS_BOOT
        record = Record(
            sequence,
            run,
            length,
            used,
            packets,
            port_index,
            flags & ~(_KNOWS_BOOT | _HAS_MORE),
            names[name],
            first_ns,
            last_ns,
            boot_id if knows_boot else b"",
            first_boot_ns,
            first_boot_ns + last_ns - first_ns if knows_boot else 0,
            first_ns - first_boot_ns if knows_boot else 0,
            0,
            Losses(drops, freezes, missed) if drops or freezes or missed else NO_LOSSES,
            offset,
            segment,
        )
        if flags & _HAS_MORE:
            incomplete = record
        else:
            progress.position, progress.last_entry = begin + position + ENTRY_SIZE, entry
            progress.last_sequence, progress.last_end = last_sequence, last_end
            yield record


def read_summary(path: Path) -> Summary | None:
    """The summary at the end of an index file without reading all of it; None if there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size < ENTRY_SIZE or size % ENTRY_SIZE:
                return None
            file.seek(size - ENTRY_SIZE)
            data = file.read(ENTRY_SIZE)
    except OSError:
        return None
    return _summary(data, size)


def summary_in(data: bytes) -> Summary | None:
    """The same of a file that has been read."""
    return _summary(data[-ENTRY_SIZE:], len(data))


def _summary(data: bytes, size: int) -> Summary | None:
    """What the last entry says of a file of this size."""
    if len(data) < ENTRY_SIZE or size % ENTRY_SIZE or data[4] != _SUMMARY:
        return None
    before = size // ENTRY_SIZE - 1
    if _sound(data, 0, _SEED):
        _, _, entries, records, packets, used, end, last_sequence, *rest = _SUMMARY_ENTRY.unpack(data)
        summary = Summary._make([records, packets, used, *rest[:2], last_sequence, end, *rest[2:]])
        return summary if entries == before else None
    if _sound(data, 0, 0):  # as version 0.1.0 writes it
        fields = _ENTRY.unpack(data)
        entries, packets, used, first_ns, last_ns = (fields[place] for place in (9, 5, 8, 13, 14))
        summary = Summary(entries, packets, used, first_ns, last_ns, fields[4], fields[10])
        return summary if entries == before else None
    return None


def read(path: Path, segment: Segment = NOWHERE) -> list[Record]:
    """The records in an index file, as far as it is there and sound."""
    with contextlib.suppress(OSError):
        return list(parse(path.read_bytes(), segment))
    return []


def _steady(record: Record) -> bool:
    """Whether the times of a record follow from its first boot time."""
    offset_ns = record.first_ns - record.first_boot_ns
    return record.wall_offset_ns == offset_ns == record.last_ns - record.last_boot_ns and not record.step_ns


def _with_more(record: Record, fields: tuple[int, ...]) -> Record:
    _, _, *counts, last_boot_ns, offset_ns, step_ns = fields
    record = record._replace(losses=Losses(*counts) if any(counts) else NO_LOSSES)
    if not record.boot_id:
        return record
    return record._replace(last_boot_ns=last_boot_ns, wall_offset_ns=offset_ns, step_ns=step_ns)


def _sealed(entry: bytes) -> bytes:
    return zlib.crc32(entry[4:], _SEED).to_bytes(4, "little") + entry[4:]


def _sound(data: bytes, position: int, seed: int) -> bool:
    crc = zlib.crc32(data[position + 4 : position + ENTRY_SIZE], seed)
    return crc == int.from_bytes(data[position : position + 4], "little")
