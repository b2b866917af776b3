"""Limits guesses at passwords. No I/O; the caller passes the time.

After some failures each further one has to wait: 5 s, 10 s, 20 s … up to 5 minutes after the last failure.
What counts is who guesses: an address (of IPv6 a /64), with one user and with all together. A user is not
stopped by what others do elsewhere, or whoever can reach the device could keep its owner out. A browser that
has logged in as this user before has a counter of its own (OWASP, "device cookies"), whoever guesses behind
the same router.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from allegro.web.neighbourhood import neighbourhood

FREE = 5
FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 300.0
FORGET_S = 3600.0
"""Without a further failure for this long, the failures are forgotten."""

REMEMBERED = 4096
"""Counters; the ones that failed longest ago are forgotten first."""

_LONGEST_NAME = 64

Key = tuple[Literal["address", "address and user", "browser"], str, str]


@dataclass(frozen=True)
class _Failures:
    count: int
    last_s: float


class Attempts:
    """The failures of the last hour. Times in seconds of a monotonic clock.

    `browser`: the name of one that has logged in as this user before, else empty.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[Key, _Failures] = OrderedDict()

    def wait_s(self, address: str, user: str, now_s: float, browser: str = "") -> float:
        """How long who asks has to wait before the next try; 0 = now."""
        return max(self._wait_s(key, now_s) for key in _keys(address, user, browser))

    def failed(self, address: str, user: str, now_s: float, browser: str = "") -> None:
        """A wrong password."""
        for key in _keys(address, user, browser):
            self._failures[key] = _Failures(self._count(key, now_s) + 1, now_s)
            self._failures.move_to_end(key)
        while len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, address: str, user: str, browser: str = "") -> None:
        """The right password: nothing is held against this user at this address any more.

        What the address has tried with other users stays: an own account is no way to go on guessing.
        """
        *everything, own = _keys(address, user, browser)
        cleared = self._failures.pop(own, None)
        for key in everything:
            known = self._failures.get(key)
            if cleared is not None and known is not None:
                self._failures[key] = _Failures(max(0, known.count - cleared.count), known.last_s)

    def _count(self, key: Key, now_s: float) -> int:
        known = self._failures.get(key)
        return known.count if known and now_s - known.last_s < FORGET_S else 0

    def _wait_s(self, key: Key, now_s: float) -> float:
        count = self._count(key, now_s)
        if count < FREE:
            return 0.0
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(count - FREE, 16))
        return max(0.0, self._failures[key].last_s + wait_s - now_s)


def _keys(address: str, user: str, browser: str) -> tuple[Key, ...]:
    """What a guess counts for; the last one is cleared by a success."""
    if browser:
        return (("browser", browser, _bounded(user)),)
    place = neighbourhood(address)
    return ("address", place, ""), ("address and user", place, _bounded(user))


def _bounded(name: str) -> str:
    """A name of any length in a few bytes."""
    if len(name) <= _LONGEST_NAME:
        return name
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
