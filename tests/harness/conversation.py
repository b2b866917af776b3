"""Frames of a TCP connection between two hosts, for what follows streams."""

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address

CLIENT, SERVER = "192.0.2.1", "192.0.2.80"
SAID, ANSWERED = b"GET /one HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\nhello"


def conversation(port: int = 40000, *, said: bytes = SAID, answered: bytes = ANSWERED) -> Iterator[bytes]:
    """SYN, SYN and ACK, a request, its answer; the client's port tells one connection from another."""
    here, there = (CLIENT, port), (SERVER, 80)
    yield segment(here, there, 100, 0, 0x02)
    yield segment(there, here, 500, 101, 0x12)
    yield segment(here, there, 101, 501, 0x18, said)
    yield segment(there, here, 501, 101 + len(said), 0x18, answered)


def segment(
    source: tuple[str, int],
    destination: tuple[str, int],
    sequence: int,
    acknowledged: int,
    flags: int,
    data: bytes = b"",
) -> bytes:
    """An Ethernet frame with a TCP segment (RFC 9293); checksums are left out, as many cards do."""
    tcp = struct.pack(
        "!HHIIBBHHH", source[1], destination[1], sequence, acknowledged, 0x50, flags, 8192, 0, 0
    )
    ip = struct.pack(
        *("!BBHHHBBH4s4s", 0x45, 0, 40 + len(data), 1, 0, 64, 6, 0),
        *(IPv4Address(host).packed for host, _ in (source, destination)),
    )
    return bytes.fromhex("0200000000010200000000020800") + ip + tcp + data
