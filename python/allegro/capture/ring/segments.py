"""Files of the packet ring: their names, and the walk over the records of a segment.

A ring is a directory of preallocated segment files.  ``<16 hex digits>.blocks`` holds records from the
sequence number in its name on, ``<16 hex digits>.index`` lists them (see `index`), and
``<16 hex digits>.summary`` tells what their packets hold (see `record_summaries`); ``free-*.blocks`` hold
nothing yet.
``ring.json`` names the ring, ``runs.json`` says when the recorder was up.

A segment is never overwritten under its name: it is renamed first.  So a reader that reads a record and
*afterwards* still finds the same path with the same inode knows that it was not overwritten meanwhile.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from allegro.atomic import write_atomically
from allegro.capture.ring import record
from allegro.capture.ring.record import NOWHERE, Record, Segment

MIB = 1 << 20
TIB = 1 << 40
SMALLEST_SEGMENT = 4 * MIB
LARGEST_SEGMENT = 256 * MIB
LARGEST_SEGMENT_OF_HUGE_RING = 1024 * MIB
FEWEST_SEGMENTS = 4
SMALLEST_RING = FEWEST_SEGMENTS * SMALLEST_SEGMENT

RING_FILE = "ring.json"
RUNS_FILE = "runs.json"
LOCK_FILE = "ring.lock"

_RUNS_GRAIN = 4096
"""Blanks fill runs.json up to a multiple of this: room for more runs where it has to be overwritten."""

_BLOCKS_NAME = re.compile(r"([0-9a-f]{16})\.blocks")
_FREE_NAME = re.compile(r"free-([0-9a-f]{8})\.blocks")


class RingIdentity(NamedTuple):
    """Content of ring.json."""

    ring_id: bytes
    created_ns: int


class Run(NamedTuple):
    """A period in which the recorder was up: `run` is its id, `alive_ns` the time up to which all that came
    in is in the ring, `ports` are the names of all ports it recorded.

    `boot_id` (32 hex digits, empty: not known) is the start of the kernel, `start_boot_ns` and
    `alive_boot_ns` are the same two times by its CLOCK_BOOTTIME. `ended`: it ended in order, at `alive_ns`;
    else it may have been up longer. `left`: it took another ring into use then.
    """

    run: int
    start_ns: int
    alive_ns: int
    ports: tuple[str, ...] = ()
    boot_id: str = ""
    start_boot_ns: int = 0
    alive_boot_ns: int = 0
    ended: bool = False
    left: bool = False


def segment_size(ring_size: int) -> int:
    """Size of the segments of a ring: a power of two, about 1/64 of it, within 4 to 256 MiB.

    From 1 TiB on it is about 1/4096 of the ring, at most 1 GiB: fewer files to name, list and recycle.
    """
    if ring_size >= TIB:
        return min(1 << ((ring_size // 4096).bit_length() - 1), LARGEST_SEGMENT_OF_HUGE_RING)
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


def walk(
    descriptor: int,
    size: int,
    ring_id: bytes,
    minimum: int,
    start: int = 0,
    *,
    segment: Segment = NOWHERE,
    stop_at_gap: bool = False,
) -> Iterator[Record]:
    """Finds records by themselves, from `start` on, with rising sequence numbers of at least `minimum`.

    What is torn, zero or left over from before is stepped over (or ends the walk with `stop_at_gap`).
    Raises OSError if the file cannot be read at all; unreadable places are stepped over.
    """
    offset = start
    while offset + record.ALIGNMENT <= size:
        head = _read(descriptor, record.HEAD_SIZE, offset)
        found = _record(descriptor, head, offset, size, ring_id, minimum)
        if found is not None:
            yield found._replace(offset=offset, segment=segment)
            minimum = found.sequence + 1
            offset += found.length
        elif stop_at_gap:
            return
        elif any(head):
            offset += record.ALIGNMENT
        else:
            offset = _next_data(descriptor, offset + record.ALIGNMENT, size)


def read_identity(directory: Path) -> RingIdentity | None:
    """Content of ring.json, None if it is missing or damaged."""
    try:
        value = json.loads((directory / RING_FILE).read_bytes())
        ring_id = bytes.fromhex(value["ring_id"])
        created = int(value["created_ns"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
    return RingIdentity(ring_id, created) if len(ring_id) == record.RING_ID_SIZE else None


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
            runs.append(
                Run(
                    int(value["run"]),
                    int(value["start_ns"]),
                    int(value["alive_ns"]),
                    tuple(str(name) for name in value.get("ports", ())),
                    str(value.get("boot_id", "")),
                    int(value.get("start_boot_ns", 0)),
                    int(value.get("alive_boot_ns", 0)),
                    value.get("ended") is True,
                    value.get("left") is True,
                )
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            continue
    return sorted(runs, key=lambda run: run.start_ns)


def write_runs(directory: Path, runs: list[Run], *, sync: bool) -> None:
    """Writes runs.json. Raises OSError.

    On a disk without room for another file it is overwritten: else all that comes in would count as missing
    when the recorder starts anew. A power cut in this moment may damage it; it is made anew from the records.
    """
    data = json.dumps([run._asdict() for run in runs]).encode() + b"\n"
    data = data.ljust(len(data) + -len(data) % _RUNS_GRAIN)
    try:
        write_atomically(directory / RUNS_FILE, data, mode=0o644, sync=sync)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _overwrite(directory / RUNS_FILE, data, sync=sync)


def _overwrite(path: Path, data: bytes, *, sync: bool) -> None:
    """Instead of what is there; blanks fill the rest. Raises OSError before anything has changed."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
    try:
        size = os.fstat(descriptor).st_size
        os.posix_fallocate(descriptor, 0, max(size, len(data)))
        os.pwrite(descriptor, data.ljust(size), 0)
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _record(
    descriptor: int, head: bytes, offset: int, size: int, ring_id: bytes, minimum: int
) -> Record | None:
    """What lies at `offset` if it is a record of this ring, not older than `minimum`, and complete."""
    try:
        found = record.read_record(head, ring_id)
    except record.BlockFormatError:
        return None
    if found.sequence < minimum or offset + found.length > size:
        return None
    if found.flags & record.FLAG_TRAILER:
        place = offset + found.length - record.TRAILER_SIZE
        if not record.is_trailer(_read(descriptor, record.TRAILER_SIZE, place), found.sequence):
            return None
    return found


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
        return os.lseek(descriptor, offset, os.SEEK_DATA) & -record.ALIGNMENT
    except OSError as error:
        # ENXIO: nothing but a hole follows; any other: the file system does not know, look at all
        return size if error.errno == errno.ENXIO else offset
