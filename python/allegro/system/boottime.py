"""The clock that nobody sets: time since the start of the kernel, sleep included (CLOCK_BOOTTIME).

A time of it means something only together with the id of that start.
"""

import time
from pathlib import Path
from typing import NamedTuple

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

STEP_NS = 1_000_000
"""A smaller change of the difference between both clocks is taken for the time that it takes to read them."""

_READINGS = 4
_CLOSE_ENOUGH_NS = 20_000


class Reading(NamedTuple):
    """This clock and the wall clock at one moment, in ns."""

    boot_ns: int
    wall_ns: int


def boot_id() -> str:
    """The id of this start of the kernel, 32 hexadecimal digits. Raises OSError."""
    return BOOT_ID.read_text(encoding="ascii").strip().replace("-", "")


def now_ns() -> int:
    """Nanoseconds since the start of the kernel."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def read_clocks() -> Reading:
    """Both clocks, read as closely together as a busy machine allows."""
    best = _look()
    for _ in range(_READINGS - 1):
        if best[0] < _CLOSE_ENOUGH_NS:
            break
        best = min(best, _look())
    return Reading(*best[1:])


def _look() -> tuple[int, int, int]:
    """How long it took to read both clocks, the middle of that time, and the wall clock, in ns."""
    before = now_ns()
    wall = time.time_ns()
    width = now_ns() - before
    return width, before + width // 2, wall


def wall_ns(boot_ns: int) -> int:
    """The time of a moment of this start in nanoseconds since 1970 (UTC), as the clock is set now."""
    now = read_clocks()
    return boot_ns + now.wall_ns - now.boot_ns
