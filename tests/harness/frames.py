"""Ethernet frames to send through the device: numbered, so that each can be found again."""

import struct
from collections.abc import Iterator

_HEADER = 14 + 20 + 8  # Ethernet, IPv4, UDP
_MARK = b"ALLEGRO-BENCH"


def checksum(data: bytes) -> int:
    """Internet checksum (RFC 1071) of `data`."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp_frame(
    number: int,
    *,
    size: int = 128,
    vlans: tuple[tuple[int, int], ...] = (),
    source: str = "192.0.2.1",
    destination: str = "192.0.2.2",
    series: int = 0,
) -> bytes:
    """Return a valid IPv4/UDP frame of `size` bytes (without tags and checksum) with series and number in it.

    `vlans`: (TPID, VLAN id) from the outermost in. `size` 72..1514.
    """
    if not 72 <= size <= 1514:
        raise ValueError("size must be 72 to 1514 bytes")
    body = (_MARK + struct.pack("!IQ", series, number)).ljust(size - _HEADER, b"\x5a")
    addresses = bytes(int(part) for part in f"{source}.{destination}".split("."))
    head = struct.pack("!BBHHHBBH", 0x45, 0, size - 14, number & 0xFFFF, 0x4000, 64, 17, 0)
    head = head[:10] + struct.pack("!H", checksum(head + addresses)) + addresses
    length = size - 34
    pseudo = addresses + struct.pack("!BBH", 0, 17, length)
    udp = struct.pack("!HHHH", 40000, 40001, length, 0)
    udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp + body) or 0xFFFF)
    tags = b"".join(struct.pack("!HH", tpid, vlan) for tpid, vlan in vlans)
    return bytes.fromhex("02a11e000002 02a11e000001") + tags + b"\x08\x00" + head + udp + body


def series(count: int, *, size: int = 128, number: int = 0) -> Iterator[bytes]:
    """Return frames 0..count-1 of series `number`."""
    return (udp_frame(i, size=size, series=number) for i in range(count))


def number_of(frame: bytes) -> tuple[int, int] | None:
    """Return (series, number) of a frame of ours, with or without VLAN tags; None for any other."""
    position = frame.find(_MARK)
    if position < 0:
        return None
    found: tuple[int, int] = struct.unpack_from("!IQ", frame, position + len(_MARK))
    return found
