"""What a file of packets looks like: format, how much of each packet it keeps, its limit. No I/O."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal

Format = Literal["pcapng", "pcap"]

MIB = 1 << 20


@dataclass(frozen=True)
class Shape:
    """`packet_length`: so many bytes are kept of a packet at most, VLAN tags counted; 0: all of it.
    `size_limit_mib`: the file has no more MiB (of 2^20 bytes); 0: as many as there are.

    pcap is the classic format, here with nanoseconds: it knows no ports, and holds no words on itself.
    """

    format: Format = "pcapng"
    packet_length: int = 0
    size_limit_mib: int = 0

    @property
    def classic(self) -> bool:
        """Whether it is a pcap file."""
        return self.format == "pcap"

    @property
    def size_limit(self) -> int:
        """Bytes; 0: no limit."""
        return self.size_limit_mib * MIB

    @property
    def suffix(self) -> str:
        """With which its name ends."""
        return f".{self.format}"


WHOLE = Shape()


@dataclass(frozen=True)
class ShapeWishes:
    """What is asked for instead of what the settings say; None: as they say."""

    format: Format | None = None
    packet_length: int | None = None
    size_limit_mib: int | None = None

    def over(self, shape: Shape) -> Shape:
        """The shape as it is wished."""
        return replace(shape, **{name: value for name, value in asdict(self).items() if value is not None})


NO_WISHES = ShapeWishes()
