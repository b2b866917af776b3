"""Limits guesses at passwords, per address and per user. No I/O; the caller passes the time.

After some failures each further one has to wait: 5 s, 10 s, 20 s … up to 5 minutes after the last failure. An
address is stopped early; a user name late, so that a stranger cannot keep its owner out for long.
"""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

FREE_PER_ADDRESS = 5
FREE_PER_USER = 20
FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 300.0
FORGET_S = 3600.0
"""Without a further failure for this long, the failures are forgotten."""

REMEMBERED = 4096
"""Addresses and users; the ones that failed longest ago are forgotten first."""


@dataclass(frozen=True)
class _Failures:
    count: int
    last_s: float


class Attempts:
    """The failures of the last hour. Times in seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()

    def wait_s(self, address: str, user: str, now_s: float) -> float:
        """How long this address has to wait before it may try this user's password; 0 = now."""
        return max(self._wait_s(key, free, now_s) for key, free in _keys(address, user))

    def failed(self, address: str, user: str, now_s: float) -> None:
        """A wrong password."""
        for key, _ in _keys(address, user):
            before = self._count(key, now_s)
            self._failures[key] = _Failures(before + 1, now_s)
            self._failures.move_to_end(key)
        while len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, address: str, user: str) -> None:
        """The right password: nothing is held against this address and this user any more."""
        for key, _ in _keys(address, user):
            self._failures.pop(key, None)

    def _count(self, key: tuple[str, str], now_s: float) -> int:
        known = self._failures.get(key)
        return known.count if known and now_s - known.last_s < FORGET_S else 0

    def _wait_s(self, key: tuple[str, str], free: int, now_s: float) -> float:
        count = self._count(key, now_s)
        if count < free:
            return 0.0
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(count - free, 16))
        return max(0.0, self._failures[key].last_s + wait_s - now_s)


def _keys(address: str, user: str) -> tuple[tuple[tuple[str, str], int], ...]:
    return (("address", _network(address)), FREE_PER_ADDRESS), (("user", user), FREE_PER_USER)


def _network(address: str) -> str:
    """Whoever has one IPv6 address has its whole /64 (RFC 4291, 2.5.1)."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
