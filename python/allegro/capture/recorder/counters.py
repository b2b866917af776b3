"""What the kernel counts for an interface (Documentation/ABI/testing/sysfs-class-net-statistics)."""

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


class CardLosses(NamedTuple):
    """Packets that the card or its driver lost, and frames that the card refused; see `ring.losses`."""

    missed: int = 0
    fifo: int = 0
    over: int = 0
    dropped: int = 0
    crc: int = 0
    length: int = 0


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
