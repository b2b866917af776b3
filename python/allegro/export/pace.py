"""A limit of the bandwidth: how fast, when, and how long to wait for it."""

import datetime as dt
import threading
import time
from collections.abc import Callable

SLICE_S = 0.5
"""Longest wait in one piece: between the pieces somebody may stop the upload."""
CATCH_UP_S = 0.25
"""So much time that went for other things (the server's answers) may be made up for."""


def rate_at(
    now_ns: int, limit_kbit_s: int, begins: str, ends: str, zone: dt.tzinfo | None = None
) -> int | None:
    """Bytes per second at this moment (ns since 1970); None: no limit (`limit_kbit_s` 0, or not its time).

    The limit holds from `begins` to `ends` (hh:mm, local time of `zone`, None: that of the system), also past
    midnight; all day if they are equal.
    """
    if limit_kbit_s == 0:
        return None
    clock = f"{dt.datetime.fromtimestamp(now_ns // 1_000_000_000, zone):%H:%M}"
    holds = begins <= clock < ends if begins < ends else clock >= begins or clock < ends
    return limit_kbit_s * 1000 // 8 if holds else None


def _no_limit() -> int | None:
    return None


class Pace:
    """Spreads what is sent over time, also for several threads together.

    `rate` is asked for each piece: bytes per second, None for no limit.
    """

    def __init__(
        self,
        rate: Callable[[], int | None] = _no_limit,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._free_at = 0.0
        self._taking = threading.Lock()

    @property
    def holds(self) -> bool:
        """Whether there is a limit now."""
        return self._rate() is not None

    def wait_for(self, size: int, between: Callable[[], None]) -> None:
        """Returns when `size` bytes may be sent; calls `between` twice a second till then (it may raise)."""
        rate = self._rate()
        if rate is None:
            return
        with self._taking:
            begins = max(self._free_at, self._clock() - CATCH_UP_S)
            self._free_at = begins + size / rate
        while (left := begins - self._clock()) > 0 and self.holds:
            self._sleep(min(left, SLICE_S))
            between()
