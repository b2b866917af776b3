"""What connections that have ended leave behind goes back to the system."""

import ctypes
import gc

MOST = 32
"""Ended connections hold themselves 300 kB each, until Python looks for such: rarely."""

QUIET_S = 5.0
"""So long after the last one has ended, the rest goes too, whose requests end a little later."""

_libc = ctypes.CDLL(None)


class Tidying:
    """When it is time for it: rules only. Times in seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._seen = 0
        self._tidied = 0
        self._quiet_from_s: float | None = None

    def due(self, ended: int, now_s: float) -> bool:
        """`ended`: so many connections have ended so far. True: `tidy` is to be done now."""
        if ended != self._seen:
            self._seen = ended
            self._quiet_from_s = now_s + QUIET_S
        if ended - self._tidied >= MOST:
            self._tidied = ended
            return True
        if self._quiet_from_s is not None and now_s >= self._quiet_from_s:
            self._tidied = ended
            self._quiet_from_s = None
            return True
        return False


def tidy() -> None:
    """Some ten milliseconds. What is free between what is not goes back only so (malloc_trim(3))."""
    gc.collect()
    _libc.malloc_trim(0)
