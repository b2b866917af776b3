"""Up to when the ring is complete: every packet that came in before is in the ring and can be found there, or
stands as lost in a record that can be found there (rule R4, what a press waits for).  No I/O.

All times are ns of CLOCK_BOOTTIME.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass
class _Port:
    """`untold_ns`: since when losses happened that stand in no record yet (0: none). `telling`: number of a
    record under way, and since when the losses in it happened."""

    through_ns: int = 0
    untold_ns: int = 0
    telling: deque[tuple[int, int]] = field(default_factory=deque)


class Completeness:
    """Collects what is known of each port, by a key of the caller's choice.

    `through_ns` never falls.
    """

    def __init__(self) -> None:
        self.through_ns = 0
        self._ports: dict[object, _Port] = {}
        self._claims: deque[tuple[int, int]] = deque()

    def open(self, port: object, now_ns: int) -> None:
        """The port is recorded from now on; what came in before does not count."""
        self._ports[port] = _Port(now_ns)

    def forget(self, port: object) -> None:
        """The port is gone, and all that came in on it is written."""
        self._ports.pop(port, None)

    def reached(self, port: object, time_ns: int) -> None:
        """What came in up to this time is written, or nothing came in."""
        known = self._ports.get(port)
        if known is not None:
            known.through_ns = max(known.through_ns, time_ns)

    def lost(self, port: object, since_ns: int) -> None:
        """The port has lost something since this time at the earliest, and no record says so yet."""
        known = self._ports.get(port)
        if known is not None:
            known.untold_ns = min(known.untold_ns or since_ns, since_ns)

    def telling(self, port: object, sequence: int) -> None:
        """Record `sequence`, which is under way, says all that the port has lost so far."""
        known = self._ports.get(port)
        if known is not None and known.untold_ns:
            known.telling.append((sequence, known.untold_ns))
            known.untold_ns = 0

    def not_written(self, port: object, sequence: int) -> None:
        """The record could not be written: what it should have said is untold."""
        known = self._ports.get(port)
        if known is None:
            return
        for item in [item for item in known.telling if item[0] == sequence]:
            known.telling.remove(item)
            self.lost(port, item[1])

    def claim(self, last_written: int, now_ns: int) -> None:
        """Says what is complete as soon as the record `last_written` can be found by readers.

        `now_ns` counts where there is no port.
        """
        complete_ns = now_ns
        for known in self._ports.values():
            while known.telling and known.telling[0][0] <= last_written:
                known.telling.popleft()
            bounds = [known.through_ns, *(since_ns for _, since_ns in known.telling)]
            if known.untold_ns:
                bounds.append(known.untold_ns)
            complete_ns = min(complete_ns, *bounds)
        self._claims.append((last_written, complete_ns))

    def published(self, sequence: int) -> None:
        """All records up to this one can be found by readers."""
        while self._claims and self._claims[0][0] <= sequence:
            self.through_ns = max(self.through_ns, self._claims.popleft()[1])

    def ring_closed(self) -> None:
        """What was claimed for the ring in use does not come any more."""
        self._claims.clear()
        for known in self._ports.values():
            known.telling.clear()  # told by records of that ring, whose numbers mean nothing in the next one
