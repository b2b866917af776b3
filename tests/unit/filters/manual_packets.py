"""The packets of the examples in the manual, by their letters."""

from tests.harness.layers import ethernet, ipv4, ipv6, labels, sctp, tcp, udp, vxlan

HERE, THERE = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")
CLIENT, SERVER = "192.0.2.10", "198.51.100.1"


def _between(frame: bytes, size: int, *, source: bytes = HERE, destination: bytes = THERE) -> bytes:
    """With these addresses, filled with zeros to `size` bytes."""
    return (destination + source + frame[12:]).ljust(size, b"\0")


def _phone(protocol: int, payload: bytes, *, dscp: int = 0, offset: int = 0) -> bytes:
    return ipv4(protocol, payload, source="10.1.2.3", destination="10.1.2.4", dscp=dscp, offset=offset)


_ARP = bytes.fromhex("0001080006040001 001b213a4f05 c0000201 000000000000 c0000202")
_QUESTION = ipv6(17, udp(50000, 53), source="2001:db8::1", destination="2001:db8::53")
_ASKED = ipv4(6, tcp(50000, 443), source=CLIENT, destination=SERVER)
_ANSWER = ipv4(6, tcp(443, 50000), source=SERVER, destination=CLIENT)
_PING = ipv4(1, bytes([8]) + bytes(7), source=CLIENT, destination=SERVER)
_SCTP = ipv4(132, sctp(50000, 5000), source="203.0.113.1", destination="203.0.113.2")

PACKETS: dict[str, tuple[str, bytes]] = {
    "A": ("port1", _between(ethernet(0x0800, _ASKED), 60)),
    "B": ("port2", _between(ethernet(0x0800, _ANSWER), 1514, source=THERE, destination=HERE)),
    "C": (
        "port1",
        _between(ethernet(0x0800, _phone(17, udp(16384, 16384), dscp=46), tags=((0x8100, 7),)), 218),
    ),
    "D": ("port1", _between(ethernet(0x86DD, _QUESTION, tags=((0x88A8, 100), (0x8100, 7))), 100)),
    "E": ("port1", b"\xff" * 6 + bytes.fromhex("001b213a4f05") + ethernet(0x0806, _ARP)[12:]),
    "F": ("port1", _between(ethernet(0x0800, _phone(17, bytes(20), offset=185)), 60)),
    "G": ("port1", _between(ethernet(0x8847, labels(100, 16) + _PING), 50)),
    "H": ("port1", _between(ethernet(0x0800, _phone(17, udp(50000, 4789, vxlan(5000)))), 100)),
    "I": ("port1", _between(ethernet(0x0800, _SCTP, tags=((0x8100, 0xA000),)), 64)),
}
"""Letter: port, frame."""
