"""The clock that nobody sets: time since the start of the kernel, sleep included (CLOCK_BOOTTIME).

A time of it means something only together with the id of that start.
"""

import time
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """The id of this start of the kernel, 32 hexadecimal digits. Raises OSError."""
    return BOOT_ID.read_text(encoding="ascii").strip().replace("-", "")


def now_ns() -> int:
    """Nanoseconds since the start of the kernel."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def wall_ns(boot_ns: int) -> int:
    """The time of a moment of this start in nanoseconds since 1970 (UTC), as the clock is set now."""
    return boot_ns + time.time_ns() - now_ns()
