"""How many packets of a port a rule discarded: what the interface received minus what came to the socket.

The kernel counts nothing for a packet that a socket's filter discards (net/packet/af_packet.c). The two
counters are read one after the other, and a driver may be late with its own: so the number is only about
right at any one moment, never falls, and errs on the low side where the order of reading decides.
"""

from __future__ import annotations

from typing import NamedTuple


class Untold(NamedTuple):
    """Discarded packets that nobody was told of, since a time (ns of CLOCK_BOOTTIME)."""

    packets: int
    since_boot_ns: int


class Discards:
    """Counts while a program that discards is attached. `total`: since the port was opened."""

    def __init__(self) -> None:
        self.total = 0
        self._base: int | None = None
        self._counted = 0
        self._told = 0
        self._told_ns = 0

    @property
    def counting(self) -> bool:
        """Whether a program that discards is attached."""
        return self._base is not None

    @property
    def untold(self) -> int:
        """How many nobody was told of."""
        return self.total - self._told

    def begin(self, received: int, seen: int, now_ns: int) -> None:
        """A program that discards is attached from now on; the interface had received so many packets, and
        the socket had seen so many. What is counted already goes on."""
        if self._base is None:
            self._base, self._counted = received - seen, 0
            if self.total == self._told:
                self._told_ns = now_ns

    def sample(self, received: int, seen: int) -> None:
        """The counters now; `received` was read first."""
        if self._base is not None and (more := received - seen - self._base - self._counted) > 0:
            self._counted += more
            self.total += more

    def end(self) -> None:
        """No program that discards is attached any more."""
        self._base = None

    def take(self, now_ns: int) -> Untold | None:
        """What is to be told now; None if there is nothing."""
        untold = Untold(self.untold, self._told_ns)
        self._told, self._told_ns = self.total, now_ns
        return untold if untold.packets else None
