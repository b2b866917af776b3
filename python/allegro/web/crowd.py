"""Who has to go when the house is full: rules only, no I/O; the caller passes the time.

Nobody is kept out by others who only stand in the door. A newcomer takes the place of who has got least far,
of its own neighbourhood if that has too many, else of the one with most; a user in the middle of a request
stays. So a stranger's many connections push out each other.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum


class Stage(IntEnum):
    """How far a connection has got."""

    SILENT = 0
    """Not a byte yet: it costs a socket."""
    GREETING = 1
    """In the TLS handshake; from here on it costs some 300 kB."""
    IDLE = 2
    """No whole request at the moment."""
    ASKING = 3
    """A request of nobody known is being received or answered."""
    KNOWN = 4
    """A request of a user is."""


@dataclass(eq=False)
class Guest:
    """A connection. `since_s`: when its stage began; `leave` ends it, at once."""

    neighbourhood: str
    since_s: float
    leave: Callable[[], None]
    stage: Stage = Stage.SILENT
    told: bool = False
    """The house is full of users: it is let in to be told so."""


@dataclass(frozen=True)
class Limits:
    """How many there may be: silent ones, and ones inside; of one neighbourhood a part."""

    silent: int = 1024
    silent_of_one: int = 256
    inside: int = 200
    inside_of_one: int = 64
    told: int = 16
    """So many more may come in to be told that the house is full (503)."""


class Crowd:
    """All connections of one door. Times in seconds of a monotonic clock."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._guests: set[Guest] = set()
        self.ended = 0
        """So many connections have ended so far."""

    def __len__(self) -> int:
        return len(self._guests)

    def arrive(self, guest: Guest) -> None:
        """A new connection, silent still. Sends another silent one away if there are too many."""
        self._guests.add(guest)
        self._make_room(self._silent(), guest, self.limits.silent, self.limits.silent_of_one)

    def enter(self, guest: Guest, now_s: float) -> bool:
        """Its first byte has come. Sends another one away if there are too many; false: nobody can go."""
        self.move(guest, Stage.GREETING, now_s)
        inside = [each for each in self._guests if each.stage > Stage.SILENT]
        if self._make_room(inside, guest, self.limits.inside, self.limits.inside_of_one):
            return True
        guest.told = True
        return len(inside) <= self.limits.inside + self.limits.told

    def move(self, guest: Guest, stage: Stage, now_s: float) -> None:
        """It is in another stage now."""
        guest.stage, guest.since_s = stage, now_s

    def gone(self, guest: Guest) -> None:
        """It has ended."""
        if guest in self._guests:
            self._guests.remove(guest)
            self.ended += 1

    def end(self) -> None:
        """Sends all silent ones away: the door is being closed."""
        for guest in self._silent():
            self._send_away(guest)

    def _silent(self) -> list[Guest]:
        return [each for each in self._guests if each.stage is Stage.SILENT]

    def _make_room(self, present: list[Guest], newcomer: Guest, most: int, most_of_one: int) -> bool:
        """Whether all of `present` may stay now that one has been sent away, if one had to be."""
        count = Counter(each.neighbourhood for each in present)
        if count[newcomer.neighbourhood] > most_of_one:
            crowded = newcomer.neighbourhood
        elif len(present) > most:
            crowded = max(count, key=lambda each: count[each])
        else:
            return True
        victim = _least_far(
            each for each in present if each.neighbourhood == crowded and each is not newcomer
        )
        if victim is None:
            return False
        self._send_away(victim)
        return True

    def _send_away(self, guest: Guest) -> None:
        self.gone(guest)
        guest.leave()


def _least_far(guests: Iterable[Guest]) -> Guest | None:
    """The one that has got least far, of several the one that has been there for longest."""
    can_go = (each for each in guests if each.stage < Stage.KNOWN)
    return min(can_go, key=lambda each: (each.stage, each.since_s), default=None)
