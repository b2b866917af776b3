"""Files of the packet ring: names, the index of a segment, and the walk over its records.

A ring is a directory of preallocated segment files.  ``<16 hex digits>.blocks`` holds records from the
sequence number in its name on; ``<16 hex digits>.index`` lists them; ``free-*.blocks`` hold nothing yet.
``ring.json`` names the ring, ``runs.json`` says when the recorder was up.

A segment is never overwritten under its name: it is renamed first.  So a reader that reads a record and
*afterwards* still finds the same path with the same inode knows that it was not overwritten meanwhile.

The index is a cache of what the records say themselves.  Its entries have one fixed size, in the order of
the sequence numbers; each has a CRC.  The last entry of a finished segment is a summary of all of it: it is
written after the segment's data are safe on disk, so that an index with one needs no check after a power cut.
"""

from __future__ import annotations

import errno
import json
import os
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from allegro.atomic import write_atomically
from allegro.capture import blocks

MIB = 1 << 20
SMALLEST_SEGMENT = 4 * MIB
LARGEST_SEGMENT = 256 * MIB
FEWEST_SEGMENTS = 4
SMALLEST_RING = FEWEST_SEGMENTS * SMALLEST_SEGMENT

RING_FILE = "ring.json"
RUNS_FILE = "runs.json"
LOCK_FILE = "ring.lock"

_BLOCKS_NAME = re.compile(r"([0-9a-f]{16})\.blocks")
_FREE_NAME = re.compile(r"free-([0-9a-f]{8})\.blocks")

_KIND_RECORD = 1
_KIND_SUMMARY = 2
# crc, kind, reserved, port index, sequence, run, offset, length, used, packets, drops, freezes, nic missed,
# first ns, last ns, port name, reserved
_ENTRY = struct.Struct("<IBBHQQIIIIIII4xQQ16s8x")
ENTRY_SIZE = _ENTRY.size


class IndexEntry(NamedTuple):
    """One record, as the index knows it; the meaning of the fields is that of blocks.RecordHeader."""

    sequence: int
    run: int
    offset: int
    length: int
    used: int
    packets: int
    port_index: int
    port_name: str
    drops: int
    freezes: int
    nic_missed: int
    first_ns: int
    last_ns: int

    @property
    def end(self) -> int:
        """Offset behind the record."""
        return self.offset + self.length


class Summary(NamedTuple):
    """All records of a segment: how many, their packets and used bytes, earliest and latest time."""

    records: int = 0
    packets: int = 0
    used: int = 0
    first_ns: int = 0
    last_ns: int = 0
    last_sequence: int = 0
    end: int = 0

    def plus(self, entry: IndexEntry) -> Summary:
        """The summary with one more record, which comes behind the others."""
        return Summary(
            self.records + 1,
            self.packets + entry.packets,
            self.used + entry.used,
            min(self.first_ns, entry.first_ns) if self.records else entry.first_ns,
            max(self.last_ns, entry.last_ns),
            entry.sequence,
            entry.end,
        )


class Index(NamedTuple):
    """What could be read of an index file; ``summary`` is None unless the segment is finished."""

    entries: list[IndexEntry]
    summary: Summary | None


class RingIdentity(NamedTuple):
    """Content of ring.json."""

    ring_id: bytes
    created_ns: int


class Run(NamedTuple):
    """A period in which the recorder was up: ``run`` is its id, ``alive_ns`` when it last said that it lives.

    ``ports`` are the names of all ports it recorded.
    """

    run: int
    start_ns: int
    alive_ns: int
    ports: tuple[str, ...] = ()


def segment_size(ring_size: int) -> int:
    """Size of the segments of a ring: a power of two, about 1/64 of it, within 4 to 256 MiB."""
    wanted = max(ring_size // 64, 1)
    return min(max(1 << (wanted.bit_length() - 1), SMALLEST_SEGMENT), LARGEST_SEGMENT)


def blocks_path(directory: Path, sequence: int) -> Path:
    """Path of the segment whose first record has this sequence number."""
    return directory / f"{sequence:016x}.blocks"


def index_path(segment: Path) -> Path:
    """Path of the index of a segment."""
    return segment.with_suffix(".index")


def free_path(directory: Path, number: int) -> Path:
    """Path of a segment without records."""
    return directory / f"free-{number:08x}.blocks"


def free_number(path: Path) -> int:
    """The number in the name of a segment without records, 0 if it is not named so."""
    match = _FREE_NAME.fullmatch(path.name)
    return int(match[1], 16) if match else 0


def first_sequence(path: Path) -> int | None:
    """The sequence number in a segment's name, None if it is not named so."""
    match = _BLOCKS_NAME.fullmatch(path.name)
    return int(match[1], 16) if match else None


def list_segments(directory: Path) -> list[Path]:
    """The segments with records, oldest first."""
    return sorted(path for path in directory.iterdir() if _BLOCKS_NAME.fullmatch(path.name))


def list_free(directory: Path) -> list[Path]:
    """The segments without records."""
    return sorted(path for path in directory.iterdir() if _FREE_NAME.fullmatch(path.name))


def entry_of(header: blocks.RecordHeader, offset: int) -> IndexEntry:
    """The index entry of a record at an offset of its segment."""
    return IndexEntry(
        header.sequence,
        header.run,
        offset,
        header.length,
        header.used,
        header.packets,
        header.port_index,
        header.port_name,
        header.drops,
        header.freezes,
        header.nic_missed,
        header.first_ns,
        header.last_ns,
    )


def pack_entry(entry: IndexEntry) -> bytes:
    """A record's entry as it stands in the index file."""
    return _with_crc(
        _ENTRY.pack(
            0,
            _KIND_RECORD,
            0,
            entry.port_index,
            entry.sequence,
            entry.run,
            entry.offset,
            entry.length,
            entry.used,
            entry.packets,
            entry.drops,
            entry.freezes,
            entry.nic_missed,
            entry.first_ns,
            entry.last_ns,
            entry.port_name.encode(),
        )
    )


def pack_summary(summary: Summary) -> bytes:
    """A segment's summary as it stands at the end of the index file."""
    return _with_crc(
        _ENTRY.pack(
            0,
            _KIND_SUMMARY,
            0,
            0,
            summary.last_sequence,
            summary.packets,
            0,
            0,
            summary.used,
            summary.records,
            summary.end,
            0,
            0,
            summary.first_ns,
            summary.last_ns,
            b"",
        )
    )


def parse_index(data: bytes) -> Index:
    """Reads as many entries as are sound and in order; what follows the first bad one is not used."""
    entries: list[IndexEntry] = []
    last_sequence, last_end = -1, 0
    for position in range(0, len(data) - ENTRY_SIZE + 1, ENTRY_SIZE):
        fields = _ENTRY.unpack_from(data, position)
        if zlib.crc32(data[position + 4 : position + ENTRY_SIZE]) != fields[0]:
            break
        if fields[1] == _KIND_SUMMARY:
            summary = Summary(fields[9], fields[5], fields[8], fields[13], fields[14], fields[4], fields[10])
            return Index(entries, summary if summary.records == len(entries) else None)
        _, _, _, port_index, *numbers, name = fields
        sequence, run, offset, length, used, packets, drops, freezes, nic_missed, first_ns, last_ns = numbers
        if sequence <= last_sequence or offset < last_end:
            break
        last_sequence, last_end = sequence, offset + length
        entries.append(
            IndexEntry(
                sequence,
                run,
                offset,
                length,
                used,
                packets,
                port_index,
                name.rstrip(b"\0").decode("utf-8", "replace"),
                drops,
                freezes,
                nic_missed,
                first_ns,
                last_ns,
            )
        )
    return Index(entries, None)


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
    fields = _ENTRY.unpack(data)
    if zlib.crc32(data[4:]) != fields[0] or fields[1] != _KIND_SUMMARY or fields[9] != size // ENTRY_SIZE - 1:
        return None
    return Summary(fields[9], fields[5], fields[8], fields[13], fields[14], fields[4], fields[10])


def read_index(path: Path) -> Index:
    """The index file, as far as it is there and sound."""
    try:
        return parse_index(path.read_bytes())
    except OSError:
        return Index([], None)


def walk(
    descriptor: int,
    size: int,
    ring_id: bytes,
    minimum: int,
    start: int = 0,
    *,
    stop_at_gap: bool = False,
) -> Iterator[IndexEntry]:
    """Finds records by themselves, from `start` on, with rising sequence numbers of at least `minimum`.

    What is torn, zero or left over from before is stepped over (or ends the walk with `stop_at_gap`).
    Raises OSError if the file cannot be read at all; unreadable places are stepped over.
    """
    offset = start
    while offset + blocks.ALIGNMENT <= size:
        head = _read(descriptor, blocks.RECORD_HEADER_END, offset)
        header = _record(descriptor, head, offset, size, ring_id, minimum)
        if header is not None:
            yield entry_of(header, offset)
            minimum = header.sequence + 1
            offset += header.length
        elif stop_at_gap:
            return
        elif any(head):
            offset += blocks.ALIGNMENT
        else:
            offset = _next_data(descriptor, offset + blocks.ALIGNMENT, size)


def read_identity(directory: Path) -> RingIdentity | None:
    """Content of ring.json, None if it is missing or damaged."""
    try:
        value = json.loads((directory / RING_FILE).read_bytes())
        ring_id = bytes.fromhex(value["ring_id"])
        created = int(value["created_ns"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
    return RingIdentity(ring_id, created) if len(ring_id) == blocks.RING_ID_SIZE else None


def write_identity(directory: Path, identity: RingIdentity) -> None:
    """Writes ring.json, safe on disk when this returns."""
    value = {"version": 1, "ring_id": identity.ring_id.hex(), "created_ns": identity.created_ns}
    write_atomically(directory / RING_FILE, json.dumps(value).encode() + b"\n", mode=0o644)


def read_runs(directory: Path) -> list[Run]:
    """Content of runs.json in order of time; what is missing or damaged is left out."""
    try:
        values = json.loads((directory / RUNS_FILE).read_bytes())
    except (OSError, ValueError):
        return []
    runs = []
    for value in values if isinstance(values, list) else []:
        try:
            ports = tuple(str(name) for name in value.get("ports", ()))
            runs.append(Run(int(value["run"]), int(value["start_ns"]), int(value["alive_ns"]), ports))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            continue
    return sorted(runs, key=lambda run: run.start_ns)


def write_runs(directory: Path, runs: list[Run], *, sync: bool) -> None:
    """Writes runs.json."""
    data = json.dumps([run._asdict() for run in runs]).encode() + b"\n"
    write_atomically(directory / RUNS_FILE, data, mode=0o644, sync=sync)


def _with_crc(entry: bytes) -> bytes:
    return zlib.crc32(entry[4:]).to_bytes(4, "little") + entry[4:]


def _record(
    descriptor: int, head: bytes, offset: int, size: int, ring_id: bytes, minimum: int
) -> blocks.RecordHeader | None:
    """The header of the record at `offset` if it is of this ring, not older than `minimum`, and complete."""
    try:
        header = blocks.read_header(head)
    except blocks.BlockFormatError:
        return None
    if header.ring_id != ring_id or header.sequence < minimum or offset + header.length > size:
        return None
    if header.flags & blocks.FLAG_TRAILER:
        place = offset + header.length - blocks.TRAILER_SIZE
        if not blocks.is_trailer(_read(descriptor, blocks.TRAILER_SIZE, place), header.sequence):
            return None
    return header


def _read(descriptor: int, length: int, offset: int) -> bytes:
    try:
        return os.pread(descriptor, length, offset)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b"\xff"  # a bad sector: no record, but not empty either


def _next_data(descriptor: int, offset: int, size: int) -> int:
    """The next place that was ever written; preallocated space that was not is skipped at once."""
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA) & -blocks.ALIGNMENT
    except OSError as error:
        # ENXIO: nothing but a hole follows; any other: the file system does not know, look at all
        return size if error.errno == errno.ENXIO else offset
