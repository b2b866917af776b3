"""Small frames put together from their headers, to be read by filters."""

import ipaddress
import struct

DESTINATION, SOURCE = 0x02A11E00000A, 0x02A11E000009
HERE, THERE = "192.0.2.1", "192.0.2.2"


def ethernet(ether_type: int, payload: bytes = b"", *, tags: tuple[tuple[int, int], ...] = ()) -> bytes:
    """`tags`: (TPID, tag control information) from the outermost in."""
    head = DESTINATION.to_bytes(6, "big") + SOURCE.to_bytes(6, "big")
    return head + b"".join(struct.pack("!HH", *tag) for tag in tags) + struct.pack("!H", ether_type) + payload


def ipv4(
    protocol: int,
    payload: bytes = b"",
    *,
    source: str = HERE,
    destination: str = THERE,
    dscp: int = 0,
    options: bytes = b"",
    more: bool = False,
    offset: int = 0,
) -> bytes:
    """An IPv4 packet; `offset` of its fragment in units of 8 bytes. The checksum is left out."""
    size = 20 + len(options)
    return (
        struct.pack(
            "!BBHHHBBH",
            0x40 | size // 4,
            dscp << 2,
            size + len(payload),
            7,
            more << 13 | offset,
            64,
            protocol,
            0,
        )
        + ipaddress.IPv4Address(source).packed
        + ipaddress.IPv4Address(destination).packed
        + options
        + payload
    )


def ipv6(
    following: int,
    payload: bytes = b"",
    *,
    source: str = "2001:db8::1",
    destination: str = "2001:db8::2",
    dscp: int = 0,
) -> bytes:
    """An IPv6 packet; extension headers are part of the payload."""
    return (
        struct.pack("!IHBB", 6 << 28 | dscp << 22, len(payload), following, 64)
        + ipaddress.IPv6Address(source).packed
        + ipaddress.IPv6Address(destination).packed
        + payload
    )


def tcp(source: int, destination: int, payload: bytes = b"") -> bytes:
    return struct.pack("!HHIIBBHHH", source, destination, 0, 0, 5 << 4, 0x10, 0, 0, 0) + payload


def udp(source: int, destination: int, payload: bytes = b"") -> bytes:
    return struct.pack("!HHHH", source, destination, 8 + len(payload), 0) + payload


def sctp(source: int, destination: int) -> bytes:
    return struct.pack("!HHII", source, destination, 1, 0)


def vxlan(vni: int, payload: bytes = b"") -> bytes:
    return struct.pack("!II", 0x08000000, vni << 8) + payload


def labels(*numbers: int) -> bytes:
    """An MPLS stack, its bottom marked."""
    entries = [number << 12 | 64 for number in numbers]
    entries[-1] |= 0x100
    return struct.pack(f"!{len(entries)}I", *entries)
