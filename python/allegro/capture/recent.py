"""The largest of what was seen within the last minute: what is asked for now and then still shows a peak."""

from __future__ import annotations

from collections import deque

RECENT_S = 60.0
_SLOT_S = 5.0
_SLOTS = int(RECENT_S / _SLOT_S) + 1


class RecentMaximum:
    """Times are those of time.monotonic; a value counts for RECENT_S, and up to five seconds longer.

    One thread may note while another one asks.
    """

    def __init__(self) -> None:
        self._slots: deque[tuple[int, float]] = deque(maxlen=_SLOTS)

    def note(self, value: float, now: float) -> None:
        """Takes a value seen at this time, which never falls."""
        slot = int(now // _SLOT_S)
        if not self._slots or self._slots[-1][0] != slot:
            self._slots.append((slot, value))
        elif value > self._slots[-1][1]:
            self._slots[-1] = (slot, value)

    def value(self, now: float) -> float:
        """The largest, 0 if there was none."""
        oldest = int(now // _SLOT_S) - _SLOTS + 1
        return max((value for slot, value in tuple(self._slots) if slot >= oldest), default=0.0)
