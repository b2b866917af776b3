"""Which packets of a file pass a filter: the matcher of the extraction, which knows blocks of the kernel.

So packets of a file are put into such a block, as linux/if_packet.h has it (TPACKET_V3); their number takes
the place of their time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence

from allegro.capture import _packets
from allegro.capture.ring.record import FIRST_PACKET_OFFSET, PRIVATE_OFFSET
from allegro.filters.program import for_interface
from allegro.packets.capture_blocks import Packet

_NS = 1_000_000_000
_LATEST_NS = (1 << 63) - 1
_TPACKET_V3 = 2
_TP_STATUS_USER = 1
_MAC_OFFSET = 82
"""Where the kernel puts an Ethernet frame behind its header, with its tag in it."""


class PacketSieve:
    """A filter, by its program (`allegro.filters.program`)."""

    def __init__(self, program: bytes) -> None:
        self._program = program
        self._ready: dict[str, _packets.Rows] = {}

    def passing(self, packets: Sequence[Packet]) -> Iterator[Packet]:
        """Those that pass, in their order."""
        by_interface: dict[str, list[int]] = {}
        for number, packet in enumerate(packets):
            by_interface.setdefault(packet.interface, []).append(number)
        found: set[int] = set()
        for interface, numbers in by_interface.items():
            block = _block((number, packets[number]) for number in numbers)
            index, _ = _packets.scan_all(block, [(0, len(block), 0, _LATEST_NS)])
            _, (passed,) = _packets.match(block, index, 0, _LATEST_NS, 0, self._rows(interface))
            found.update(number for number, _, _ in struct.iter_unpack("<QII", passed))
        return (packets[number] for number in sorted(found))

    def _rows(self, interface: str) -> _packets.Rows:
        if interface not in self._ready:
            self._ready[interface] = _packets.rows([for_interface(self._program, interface)])
        return self._ready[interface]


def _block(packets: Iterable[tuple[int, Packet]]) -> bytes:
    parts: list[bytes] = []
    places: list[int] = []
    numbers: list[int] = []
    end = FIRST_PACKET_OFFSET
    for number, packet in packets:
        frame = packet.raw[packet.frame]
        size = _MAC_OFFSET + len(frame) + 7 & -8
        places.append(size)
        numbers.append(number)
        header = struct.pack(
            *("<IIIIIIHHIIHH", size, *divmod(number, _NS), len(frame), max(packet.length, len(frame))),
            *(_TP_STATUS_USER, _MAC_OFFSET, _MAC_OFFSET + 14, 0, 0, 0, 0),
        )
        parts.append(header.ljust(_MAC_OFFSET, b"\0") + frame.ljust(size - _MAC_OFFSET, b"\0"))
        end += size
    parts[-1] = bytes(4) + parts[-1][4:]  # the last one has no next
    head = struct.pack(
        *("<IIIIIIQIIII", _TPACKET_V3, PRIVATE_OFFSET, 1, len(parts), FIRST_PACKET_OFFSET, end, 1),
        *(*divmod(numbers[0], _NS), *divmod(numbers[-1], _NS)),
    )
    return head.ljust(FIRST_PACKET_OFFSET, b"\0") + b"".join(parts)
