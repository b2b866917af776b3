"""What the kernel counts for an interface (Documentation/ABI/testing/sysfs-class-net-statistics).

For each file that is read the driver gathers all of its counters. So all interfaces are looked at together
first (/proc/net/dev), which says too whether any other file has to be read.
"""

from __future__ import annotations

import os
from typing import NamedTuple

_LOSSES = (
    "rx_missed_errors",
    "rx_fifo_errors",
    "rx_over_errors",
    "rx_dropped",
    "rx_crc_errors",
    "rx_length_errors",
)


_LOST = slice(2, 6)
"""Errors, dropped and missed, fifo, damaged and over (columns of /proc/net/dev)."""

_LONGEST = 1 << 16


class CardLosses(NamedTuple):
    """Packets that the card or its driver lost, and frames that the card refused; see `ring.losses`."""

    missed: int = 0
    fifo: int = 0
    over: int = 0
    dropped: int = 0
    crc: int = 0
    length: int = 0


class Row(NamedTuple):
    """Received since the interface was made; `lost` is another one as soon as any count of CardLosses is."""

    octets: int
    packets: int
    lost: tuple[bytes, ...]


def parse_table(text: bytes) -> dict[str, Row]:
    """The interfaces in /proc/net/dev, which has sums of what is lost (net/core/net-procfs.c); what is not a
    line of one is left out."""
    found = {}
    for line in text.splitlines():
        name, colon, told = line.rpartition(b":")  # a name may have one, too
        values = told.split()
        if colon and len(values) > _LOST.stop:
            found[os.fsdecode(name.strip())] = Row(int(values[0]), int(values[1]), tuple(values[_LOST]))
    return found


class InterfaceTable:
    """All interfaces of the network namespace in which it was made. Raises OSError if there is no table."""

    def __init__(self) -> None:
        self._file = os.open("/proc/self/net/dev", os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> dict[str, Row]:
        """By their names; empty if that cannot be read just now."""
        text = b""
        try:
            while part := os.pread(self._file, _LONGEST, len(text)):
                text += part
        except OSError:
            return {}
        return parse_table(text)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)


class InterfaceCounters:
    """Files kept open. What cannot be read, as the interface is gone, down or lacks it, is 0 or False."""

    def __init__(self, name: str) -> None:
        self._losses = [_open(name, f"statistics/{counter}") for counter in _LOSSES]
        self._bytes = _open(name, "statistics/rx_bytes")
        self._packets = _open(name, "statistics/rx_packets")
        self._carrier = _open(name, "carrier")

    def losses(self) -> CardLosses:
        """What was lost since the interface was made."""
        return CardLosses(*(int(_read(descriptor) or 0) for descriptor in self._losses))

    def bytes(self) -> int:
        """Bytes received since the interface was made."""
        return int(_read(self._bytes) or 0)

    def packets(self) -> int:
        """Packets received since the interface was made."""
        return int(_read(self._packets) or 0)

    def link_up(self) -> bool:
        """Whether the link has a carrier."""
        return _read(self._carrier) == b"1\n"

    def close(self) -> None:
        """Closes the files."""
        for descriptor in (*self._losses, self._bytes, self._packets, self._carrier):
            if descriptor is not None:
                os.close(descriptor)
        self._losses = []
        self._bytes = self._packets = self._carrier = None


def packets_received(name: str) -> int:
    """Packets that an interface has received since it was made; 0 if it does not say."""
    descriptor = _open(name, "statistics/rx_packets")
    if descriptor is None:
        return 0
    try:
        return int(_read(descriptor) or 0)
    finally:
        os.close(descriptor)


def _open(name: str, attribute: str) -> int | None:
    try:
        return os.open(f"/sys/class/net/{name}/{attribute}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _read(descriptor: int | None) -> bytes:
    if descriptor is None:
        return b""
    try:
        return os.pread(descriptor, 64, 0)
    except OSError:
        return b""
