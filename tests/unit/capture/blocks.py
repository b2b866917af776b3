"""Makes TPACKET_V3 blocks as the kernel does (linux/if_packet.h), for tests."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from allegro.capture import _packets
from allegro.capture.ring import record as blocks

NS = 1_000_000_000
VLAN_VALID = 1 << 4
VLAN_TPID_VALID = 1 << 6
HEADER_LENGTH = 48
MAC_OFFSET = 82
"""Where the kernel puts an Ethernet frame: behind its header, aligned for what follows the MAC header."""


@dataclass(frozen=True)
class Frame:
    """A received packet. `tci`: a VLAN tag that the kernel took out; `wire`: full length (0: not cut);
    `status`: further bits of tp_status."""

    time_ns: int
    data: bytes
    tci: int | None = None
    tpid: int | None = 0x8100
    wire: int = 0
    status: int = 0

    @property
    def sent(self) -> bytes:
        """The frame as it was on the wire."""
        if self.tci is None:
            return self.data
        return self.data[:12] + struct.pack(">HH", self.tpid or 0x8100, self.tci) + self.data[12:]


def block(frames: Sequence[Frame], *, size: int = 1 << 20) -> bytearray:
    """A finished block of `size` bytes with the private area that the recorder asks for."""
    image = bytearray(size)
    offset = blocks.FIRST_PACKET_OFFSET
    for number, frame in enumerate(frames):
        length = (MAC_OFFSET + len(frame.data) + 7) & -8
        status = 1 | frame.status
        if frame.tci is not None:
            status |= VLAN_VALID | (VLAN_TPID_VALID if frame.tpid is not None else 0)
        wire = frame.wire or len(frame.data)
        struct.pack_into(
            "<IIIIIIHHIIHH",
            image,
            offset,
            length if number + 1 < len(frames) else 0,
            *divmod(frame.time_ns, NS),
            len(frame.data),
            wire,
            status,
            MAC_OFFSET,
            MAC_OFFSET + 14,
            0,
            frame.tci or 0,
            frame.tpid or 0,
            0,
        )
        image[offset + MAC_OFFSET : offset + MAC_OFFSET + len(frame.data)] = frame.data
        offset += length
    first = frames[0].time_ns if frames else 0
    last = frames[-1].time_ns if frames else 0
    struct.pack_into(
        "<IIIIIIQIIII",
        image,
        0,
        2,
        blocks.PRIVATE_OFFSET,
        1,
        len(frames),
        blocks.FIRST_PACKET_OFFSET,
        offset,
        1,
        *divmod(first, NS),
        *divmod(last, NS),
    )
    return image


def is_sound(image: bytes | bytearray | memoryview, earliest_ns: int = 0, latest_ns: int = 2**64 - 1) -> bool:
    """Whether a block holds what it says, and its packets are of this time."""
    _, damaged = _packets.scan_all(image, [(0, len(image), earliest_ns, latest_ns)])
    return not damaged


def index_of(image: bytes | bytearray | memoryview) -> bytes:
    """The index of the packets of a sound block."""
    index, damaged = _packets.scan_all(image, [(0, len(image), 0, 2**64 - 1)])
    assert not damaged
    return index
