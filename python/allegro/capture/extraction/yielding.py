"""Keeps a working process out of the recorder's way: processor, disk, page cache, pauses when needed."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from pathlib import Path

from allegro.capture import status

# ioprio_set(2), include/uapi/linux/ioprio.h; the system call's number is that of x86-64.
_SYS_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_IOPRIO_WHO_PROCESS = 1
_IOPRIO_CLASS_IDLE = 3
_IOPRIO_CLASS_SHIFT = 13

NS = 1_000_000_000
CHECK_S = 0.25
"""How often the recorder writes its status, and is asked."""

PAUSE_S = 1.0
"""Length of a pause. Work goes on for CHECK_S in between: it ends even if the recorder never recovers."""

BEHIND_NS = 1 * NS
"""A recorder whose newest packets have waited longer than this to be written is falling behind."""

FULL = 0.25
"""A recorder whose fullest port uses more than this part of its memory needs the disk."""

SLOW_WRITE_S = 0.2
"""A recorder whose writes take longer than this needs the disk."""

REST = 1.0
"""While the recorder needs the disk, each piece of work is followed by a rest of this many times its length.
What takes long because the disk is in demand then leaves the disk alone for long. The I/O class does not do
that: it has no effect with many disk schedulers."""

SHORTEST_REST_S = 0.005
LONGEST_REST_S = 2.0

STALE_NS = 3 * NS
"""A status older than this is that of a recorder that is not running."""

_libc = ctypes.CDLL(None, use_errno=True)


def lower_priority() -> None:
    """Lowest processor priority (nice 19) and the idle I/O class for this process, as far as it may."""
    os.nice(19)
    number = _SYS_IOPRIO_SET.get(os.uname().machine)
    if number is not None:
        _libc.syscall(number, _IOPRIO_WHO_PROCESS, 0, _IOPRIO_CLASS_IDLE << _IOPRIO_CLASS_SHIFT)


class Courtesy:
    """Decides by the recorder's status when to pause.

    Rests between two pieces of work while the recorder's memory fills or its writes are slow; pauses while
    packets were dropped since the last look, or while the recorder is falling behind.
    """

    def __init__(
        self,
        status_file: Path | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._file = status_file
        self._clock = clock
        self._sleep = sleep
        self._next_look = 0.0
        self._drops: int | None = None
        self._busy = False
        self._began = clock()

    def breathe(self) -> None:
        """To be called often between two pieces of work."""
        if self._file is None:
            return
        if self._clock() >= self._next_look:
            self._look(self._file)
            self._next_look = self._clock() + CHECK_S
        if self._busy:
            rest = (self._clock() - self._began) * REST
            if rest < SHORTEST_REST_S:
                return
            self._sleep(min(rest, LONGEST_REST_S))
        self._began = self._clock()

    def _look(self, file: Path) -> None:
        drops, self._drops, self._busy = self._drops, None, False
        try:
            now = status.from_json(file.read_bytes())
        except (OSError, ValueError):
            return
        if now.state != status.RECORDING or time.time_ns() - now.time_ns > STALE_NS:
            return
        self._drops = now.drops
        self._busy = now.fullest > FULL or now.slowest_write_s > SLOW_WRITE_S
        behind = now.time_ns - now.complete_through_ns > BEHIND_NS
        if behind or (drops is not None and now.drops > drops):
            self._sleep(PAUSE_S)
            self._began = self._clock()
