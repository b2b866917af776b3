"""Memory between kernel and disk: how much each port gets, and an arena in which small blocks wait.

The kernel fills the blocks of its ring one after the other, and stops at one that it has not got back: a
single block that a standing disk holds costs a quiet link everything after one lap, with hardly anything in
the other blocks.  So small blocks are always copied into the arena, and the kernel gets them back at once.
Busy links fill their blocks, which are written from the kernel's own memory.
"""

from __future__ import annotations

import mmap
import os
from collections import deque

from allegro.capture.recorder.card_speed import UNKNOWN, fastest_mbit
from allegro.capture.ring.record import ALIGNMENT

ARENA_SIZE = 64 << 20
"""Bytes; the machine gives memory only for what of it is used."""

SMALL = 4
"""Blocks that are filled by no more than a quarter are copied."""

_KEPT = 4 << 20
_SHARE_OF_MEMORY = 4
_SECONDS_AT_LINE_RATE = 1
_FEWEST_BLOCKS = 16
_MOST_BLOCKS = 2048
_USUAL_BLOCKS = 64


class Arena:
    """Memory given out and taken back in the same order, piece by piece, in lengths rounded to pages."""

    def __init__(self, size: int = ARENA_SIZE) -> None:
        # Private: of shared memory MADV_DONTNEED gives nothing back (madvise(2)).
        self._memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._view = memoryview(self._memory)
        self._size = size
        # Of what is given out, counted on over the end of the memory.
        self._begin = self._end = 0
        self._ends: deque[int] = deque()

    def copy(self, data: memoryview) -> memoryview | None:
        """A copy of the data at an aligned place; None if there is no room."""
        length = (len(data) + ALIGNMENT - 1) & -ALIGNMENT
        begin = self._end
        if begin % self._size + length > self._size:  # a piece does not go over the end
            begin += self._size - begin % self._size
        if begin + length - self._begin > self._size:
            return None
        self._end = begin + length
        self._ends.append(self._end)
        place = begin % self._size
        self._view[place : place + len(data)] = data
        return self._view[place : place + length]

    def give_back(self) -> None:
        """The oldest piece is no longer used."""
        self._begin = self._ends.popleft()
        if not self._ends:
            if self._end > _KEPT:
                # Many have waited, and do no more: the machine gets its memory back.
                self._memory.madvise(mmap.MADV_DONTNEED)
            self._begin = self._end = 0


def blocks_for(name: str, block_size: int, ports: int, taken: int) -> int:
    """How many blocks a port gets if there are so many ports, and the others have `taken` bytes: a second at
    the line rate that its card can have, where memory allows.

    All ports together get at most a quarter of the machine's memory, each at least 16 blocks.
    """
    whole = _memory() // _SHARE_OF_MEMORY
    share = min(whole // max(ports, 1), max(whole - taken, 0)) // block_size
    speed = fastest_mbit(name)
    wanted = _USUAL_BLOCKS
    if speed != UNKNOWN:
        wanted = max(speed * 125_000 * _SECONDS_AT_LINE_RATE // block_size + 1, wanted)
    return min(max(min(wanted, share), _FEWEST_BLOCKS), _MOST_BLOCKS)


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
