"""What a guest wrote to its disk, in order and with its flushes; and the disk as a power cut would leave it.

QEMU's block driver `blklogwrites` writes the log, in the format of the kernel's dm-log-writes
(Documentation/admin-guide/device-mapper/log-writes.rst): a superblock of one sector, then for each entry
a sector with four 64-bit numbers (sector, count of sectors, flags, length of data) and the data.

A disk may keep what it was told in a cache that is lost with the power, and may write it in any order.
Only what was written before the last flush that ended is safe. A flush's place in the log is the moment
of its end, so a write that was on its way at the same time counts as safe, which a real disk does not
promise.
"""

import itertools
import random
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from tests.harness.bench_errors import BenchError

SECTOR = 512
DEVICE_OPTION = "request-merging=off"
"""For the guest's virtio disk: QEMU joins requests up to 1024 pieces of memory, which is all that a write of
the host takes (IOV_MAX), and blklogwrites adds two; what is joined to 1023 is an I/O error in the guest."""
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8

_MAGIC = 0x6A736677736872
_SUPER = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")

Loss = Literal["nothing", "all", "some"]


@dataclass(frozen=True)
class Entry:
    """One request: bytes on the disk, and where its data lies in the log."""

    offset: int
    length: int
    flags: int
    data_at: int

    @property
    def flushes(self) -> bool:
        """Whether all that came before is safe after it."""
        return bool(self.flags & FLUSH)

    @property
    def writes(self) -> bool:
        """Whether it changes what can be read."""
        return self.length > 0 and not self.flags & (DISCARD | MARK)


def blockdev(overlay: Path, log: Path) -> dict[str, object]:
    """QEMU's -blockdev for a qcow2 file whose writes are logged; makes the empty log."""
    log.write_bytes(b"")
    no_flush = {"no-flush": True}  # of the host's disk; the guest's flushes are logged all the same
    return {
        "driver": "blklogwrites",
        "node-name": "system",
        "discard": "unmap",
        "log-sector-size": SECTOR,
        "log": {"driver": "file", "filename": str(log), "cache": no_flush},
        "file": {
            "driver": "qcow2",
            "discard": "unmap",
            "file": {"driver": "file", "filename": str(overlay), "cache": no_flush},
        },
    }


def read(log: Path) -> list[Entry]:
    """All entries so far; QEMU may be writing. Raises BenchError if it is no such log."""
    entries: list[Entry] = []
    with log.open("rb") as file:
        head = file.read(_SUPER.size)
        if len(head) < _SUPER.size:
            return []
        magic, _, _, sector_size = _SUPER.unpack(head)
        if magic != _MAGIC or sector_size != SECTOR:
            raise BenchError(f"{log} is no log of writes with sectors of {SECTOR} bytes")
        at = SECTOR
        while True:
            file.seek(at)
            raw = file.read(_ENTRY.size)
            if len(raw) < _ENTRY.size or not any(raw):
                return entries
            sector, count, flags, _ = _ENTRY.unpack(raw)
            entry = Entry(sector * SECTOR, count * SECTOR, flags, at + SECTOR)
            entries.append(entry)
            at += SECTOR + (0 if flags & DISCARD else entry.length)


def safe_until(entries: Sequence[Entry], cut: int) -> int:
    """How many of the first `cut` entries a flush has made safe."""
    return next((number + 1 for number in range(cut - 1, -1, -1) if entries[number].flushes), 0)


def pieces(length: int, loss: Loss, dice: random.Random) -> Iterator[tuple[int, int]]:
    """Which parts (offset, length) of a write that was not flushed reached the disk.

    A disk writes sectors as a whole; of a longer write any beginning may be there.
    """
    if loss == "nothing":
        yield 0, length
    elif loss == "some":
        fate = dice.random()
        if fate < 0.5:
            yield 0, length
        elif fate < 0.65 and length > SECTOR:
            yield 0, dice.randrange(1, length // SECTOR) * SECTOR


def moments(entries: Sequence[Entry], first: int, count: int, dice: random.Random) -> list[int]:
    """`count` moments to cut at, as numbers of entries that were begun, from `first` on, in order.

    Half of them are spread evenly over all requests (most of these copy data), half over the stretches
    between two flushes (so that short decisive ones get their share).
    """
    total = len(entries)
    if total <= first:
        raise BenchError("nothing was written while it was watched")
    borders = [first, *(n + 1 for n in range(first, total) if entries[n].flushes), total]
    stretches = [(a, b) for a, b in itertools.pairwise(borders) if b > a]
    chosen = []
    for number in range(count):
        if number % 2:
            begin, end = dice.choice(stretches)
            chosen.append(dice.randint(begin + 1, end))
        else:
            share = (number // 2 + dice.random()) / ((count + 1) // 2)
            chosen.append(min(first + 1 + int(share * (total - first)), total))
    return sorted(chosen)


@dataclass(frozen=True)
class Remains:
    """What a cut leaves on the disk; two that are equal are the same disk, byte for byte."""

    whole: int
    """So many entries of the log are there, all of them."""
    pieces: tuple[tuple[int, int, int], ...]
    """What else is there: number of the entry, offset, length."""


def remains(entries: Sequence[Entry], cut: int, loss: Loss, dice: random.Random) -> Remains:
    """What a cut after `cut` entries leaves: what is safe, and of the others what `loss` and dice leave."""
    whole = 0
    left: list[tuple[int, int, int]] = []
    gap = False
    safe = safe_until(entries, cut)
    for number, entry in enumerate(entries[:cut]):
        if not entry.writes:
            continue
        there = [(0, entry.length)] if number < safe else list(pieces(entry.length, loss, dice))
        gap = gap or there != [(0, entry.length)]
        if gap:
            left += [(number, offset, length) for offset, length in there]
        else:
            whole = number + 1
    return Remains(whole, tuple(left))


class Replay:
    """A raw disk that follows a log: what is safe is applied in order, and copied for each cut."""

    def __init__(self, disk: Path, log: Path, copy: Callable[[Path, Path], None]) -> None:
        """`disk` is changed; `copy` makes a sparse copy."""
        self._disk = disk
        self._log = log
        self._copy = copy
        self._entries = read(log)
        self._applied = 0

    @property
    def entries(self) -> Sequence[Entry]:
        """The log."""
        return self._entries

    def leave(self, remains: Remains, target: Path) -> None:
        """Makes the disk that a cut leaves in `target`; `whole` must not decrease from one to the next."""
        if remains.whole < self._applied:
            raise BenchError("cuts have to be made in order")
        with self._log.open("rb") as log:
            with self._disk.open("r+b") as disk:
                for entry in self._entries[self._applied : remains.whole]:
                    if entry.writes:
                        _copy_piece(log, disk, entry, 0, entry.length)
            self._applied = remains.whole
            self._copy(self._disk, target)
            with target.open("r+b") as disk:
                for number, offset, length in remains.pieces:
                    _copy_piece(log, disk, self._entries[number], offset, length)


def _copy_piece(log: IO[bytes], disk: IO[bytes], entry: Entry, offset: int, length: int) -> None:
    log.seek(entry.data_at + offset)
    disk.seek(entry.offset + offset)
    disk.write(log.read(length))
