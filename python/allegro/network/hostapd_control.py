"""Talks to a running hostapd on its control socket (hostapd_cli(8), wpa_ctrl.h of hostapd 2.10).

Each request is one datagram, and so is the answer, which comes to an abstract socket of ours (unix(7)): in a
file system it would have to lie in a folder where hostapd's own user can put something else in its place. It
is connected, so that nobody else can answer. No password is an argument of a program, where every process
could read it.
"""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from allegro.errors import Unavailable

TIMEOUT_S = 5.0
_LARGEST = 8192
_MOST_STATIONS = 2007
"""More an access point cannot have (IEEE 802.11-2020, 9.4.1.8)."""


class Hostapd:
    """One conversation. All methods raise Unavailable if there is no answer."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def ask(self, request: str) -> str:
        """The answer to a request."""
        try:
            self._socket.send(request.encode())
            answer = self._socket.recv(_LARGEST).decode(errors="replace")
        except OSError as error:
            raise _silent(error) from error
        return answer.strip()

    def tell(self, request: str) -> None:
        """For a request that is answered with OK. The request is not in the message: it may be secret."""
        if self.ask(request) != "OK":
            named = " ".join(request.split(" ")[:2][: 2 if request.startswith("SET ") else 1])
            raise Unavailable(f"The program of the access point has refused {named}.")

    def stations(self) -> Iterator[dict[str, str]]:
        """What is known of each device in the network."""
        answer = self.ask("STA-FIRST")
        for _ in range(_MOST_STATIONS):
            mac, _, rest = answer.partition("\n")
            if len(mac) != len("00:00:00:00:00:00"):  # none, or none any more
                return
            yield parsed_station(rest)
            answer = self.ask(f"STA-NEXT {mac}")


@contextmanager
def hostapd(folder: Path, interface: str) -> Iterator[Hostapd]:
    """A conversation with the hostapd of this interface. Raises Unavailable."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.settimeout(TIMEOUT_S)
        try:
            made.bind("")  # the kernel chooses an abstract name
            made.connect(str(folder / interface))
        except OSError as error:
            raise _silent(error) from error
        yield Hostapd(made)


def tell(folder: Path, interface: str, requests: Sequence[str]) -> None:
    """Says all of it, in order. Raises Unavailable at the first that is refused."""
    with hostapd(folder, interface) as one:
        for request in requests:
            one.tell(request)


def somebody_used(folder: Path, interface: str, key: str) -> bool:
    """Whether a device is in the network with the password of that name. Raises Unavailable."""
    with hostapd(folder, interface) as one:
        return any(
            station.get("keyid") == key and "[AUTHORIZED]" in station.get("flags", "")
            for station in one.stations()
        )


def keys_kept(folder: Path, interface: str) -> frozenset[str]:
    """PMKIDs of all keys that it keeps (PMKSA). Raises Unavailable."""
    with hostapd(folder, interface) as one:
        return parsed_keys(one.ask("PMKSA"))


def parsed_station(text: str) -> dict[str, str]:
    """The lines `name=value` of an answer to STA."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def parsed_keys(text: str) -> frozenset[str]:
    """PMKIDs of an answer to PMKSA: a line each, after the heading (index, address, PMKID …)."""
    rows = (line.split() for line in text.splitlines())
    return frozenset(row[2] for row in rows if len(row) >= 3 and row[0].isdecimal())


def _silent(error: OSError) -> Unavailable:
    reason = "no answer" if isinstance(error, TimeoutError) else error.strerror
    return Unavailable(f"The program of the access point cannot be asked ({reason}).")
