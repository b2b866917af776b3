"""Ethernet frames of all kinds, as they occur on real links, to be passed on unchanged.

What no bridge passes is apart: pause frames (IEEE 802.3 annex 31B), frames with zero or a group address as
their sender, and frames to the MAC address of the port itself.
"""

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from tests.harness.frames import checksum

SMALLEST, LARGEST = 60, 9014  # bytes without checksum: 46 and 9000 behind the Ethernet header
SIZES = (60, 61, 64, 65, 127, 128, 256, 511, 576, 1000, 1280, 1499, 1500, 1513, 1514, 1518, 1522, 1526, 2000)
JUMBO_SIZES = (4000, 4096, 8000, 8192, 9000, LARGEST)

_SENDER = bytes.fromhex("02a11e000009")
_HOST = bytes.fromhex("02a11e00000a")
_ALL = b"\xff" * 6


@dataclass(frozen=True)
class Kind:
    """Addresses, everything between them and the payload, and how long such a frame can be."""

    name: str
    destination: bytes
    head: bytes
    largest: int = LARGEST
    sender: bytes = _SENDER

    @property
    def start(self) -> bytes:
        """What a frame of this kind begins with."""
        return self.destination + self.sender + self.head


def _group(last: int) -> bytes:
    return bytes.fromhex("0180c20000") + bytes([last])


def _type(number: int) -> bytes:
    return struct.pack("!H", number)


def _ip4(protocol: int, source: str, destination: str, *, flags: int = 0x4000, options: bytes = b"") -> bytes:
    addresses = bytes(int(part) for part in f"{source}.{destination}".split("."))
    first = 0x40 | (20 + len(options)) // 4
    head = struct.pack("!BBHHHBBH", first, 0xB8, 46, 7, flags, 64, protocol, 0)
    sum_ = checksum(head + addresses + options)
    return _type(0x0800) + head[:10] + struct.pack("!H", sum_) + addresses + options


def _ip6(next_header: int, destination: str = "20010db8000000000000000000000002", hops: int = 64) -> bytes:
    source = bytes.fromhex("fe80000000000000000000000000000a")
    head = struct.pack("!IHBB", 0x6B800001, 6, next_header, hops)
    return _type(0x86DD) + head + source + bytes.fromhex(destination)


def _arp(operation: int, sender: str, target: str) -> bytes:
    def packed(address: str) -> bytes:
        return bytes(int(part) for part in address.split("."))

    return (
        _type(0x0806)
        + struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
        + _SENDER
        + packed(sender)
        + bytes(6)
        + packed(target)
    )


def _tag(tpid: int, vlan: int, priority: int = 0) -> bytes:
    return struct.pack("!HH", tpid, priority << 13 | vlan)


def _multicast(address: str) -> bytes:
    return bytes.fromhex("01005e") + bytes(int(part) for part in address.split("."))[1:]


_UDP4 = _ip4(17, "192.0.2.1", "192.0.2.2")
_UDP = struct.pack("!HHHH", 40000, 40001, 26, 0)
_DHCP = struct.pack("!HHHH", 68, 67, 26, 0)
_PAUSE = bytes.fromhex("88080001ffff")

KINDS: tuple[Kind, ...] = (
    # what bridges usually keep to themselves (IEEE 802.1Q table 8-1; 01 is the pause frame)
    Kind("STP", _group(0x00), bytes.fromhex("0026424203000002023c"), 1514),
    Kind("LACP", _group(0x02), bytes.fromhex("88090101")),
    Kind("marker protocol", _group(0x02), bytes.fromhex("88090201")),
    Kind("Ethernet OAM", _group(0x02), bytes.fromhex("880903")),
    Kind("EAPOL", _group(0x03), bytes.fromhex("888e01010000")),
    Kind("EAPOL to a host", _HOST, bytes.fromhex("888e02000005")),
    *(
        Kind(f"reserved group {last:X}", _group(last), _type(0x88B5))
        for last in range(0x04, 0x10)
        if last != 14
    ),
    Kind("LLDP", _group(0x0E), bytes.fromhex("88cc02070402a11e00000904040106010078")),
    Kind("PTP by 802.1AS", _group(0x0E), bytes.fromhex("88f71002")),
    Kind("PTP", bytes.fromhex("011b19000000"), bytes.fromhex("88f70002")),
    Kind("all LANs bridge group", _group(0x10), _type(0x88B5)),
    Kind("GMRP", _group(0x20), bytes.fromhex("0026424203"), 1514),
    Kind("MVRP", _group(0x21), bytes.fromhex("88f500")),
    Kind("CDP", bytes.fromhex("01000ccccccc"), bytes.fromhex("0040aaaa0300000c2000"), 1514),
    Kind("PVST+", bytes.fromhex("01000ccccccd"), bytes.fromhex("0040aaaa0300000c010b"), 1514),
    Kind("MAC control that is no pause", _HOST, bytes.fromhex("88080101")),
    Kind("pause to a host", _HOST, _PAUSE),
    # addresses and names
    Kind("ARP question", _ALL, _arp(1, "192.0.2.1", "192.0.2.2")),
    Kind("ARP probe", _ALL, _arp(1, "0.0.0.0", "10.0.2.15")),
    Kind("ARP answer", _HOST, _arp(2, "192.0.2.1", "192.0.2.2")),
    Kind("DHCP discover", _ALL, _ip4(17, "0.0.0.0", "255.255.255.255") + _DHCP),
    Kind("mDNS", _multicast("224.0.0.251"), _ip4(17, "192.0.2.1", "224.0.0.251") + _UDP),
    Kind("LLMNR", _multicast("224.0.0.252"), _ip4(17, "192.0.2.1", "224.0.0.252") + _UDP),
    # groups: a bridge with snooping would look at these
    Kind(
        "IGMP report",
        _multicast("239.1.2.3"),
        _ip4(2, "192.0.2.1", "239.1.2.3", options=bytes.fromhex("94040000")) + bytes.fromhex("1600"),
    ),
    Kind("IGMP question", _multicast("224.0.0.1"), _ip4(2, "192.0.2.1", "224.0.0.1") + bytes.fromhex("1164")),
    Kind("multicast to nobody", _multicast("239.9.9.9"), _ip4(17, "192.0.2.1", "239.9.9.9") + _UDP),
    Kind("MLD report", bytes.fromhex("333300000016"), _ip6(0, "ff020000000000000000000000000016", 1)),
    Kind("neighbour solicitation", bytes.fromhex("3333ff000002"), _ip6(58, hops=255) + bytes.fromhex("8700")),
    Kind("router advertisement", bytes.fromhex("333300000001"), _ip6(58, hops=255) + bytes.fromhex("8600")),
    # IP
    Kind("UDP", _HOST, _UDP4 + _UDP),
    Kind("TCP", _HOST, _ip4(6, "192.0.2.1", "192.0.2.2") + bytes(20)),
    Kind("ICMP", _HOST, _ip4(1, "192.0.2.1", "192.0.2.2") + bytes.fromhex("0800")),
    Kind("first fragment", _HOST, _ip4(17, "192.0.2.1", "192.0.2.2", flags=0x2000)),
    Kind("last fragment", _HOST, _ip4(17, "192.0.2.1", "192.0.2.2", flags=0x00B9)),
    Kind("wrong IP checksum", _HOST, _UDP4[:12] + b"\xde\xad" + _UDP4[14:]),
    Kind("cut IP head", _HOST, bytes.fromhex("0800450000")),
    Kind("UDP to the management address", _HOST, _ip4(17, "10.0.2.2", "10.0.2.15") + _UDP),
    Kind("IPv6 TCP", _HOST, _ip6(6)),
    Kind("IPv6 fragment", _HOST, _ip6(44)),
    Kind("ESP", _HOST, _ip4(50, "192.0.2.1", "192.0.2.2")),
    Kind("GRE", _HOST, _ip4(47, "192.0.2.1", "192.0.2.2")),
    # tags
    Kind("VLAN", _HOST, _tag(0x8100, 7) + _UDP4 + _UDP),
    Kind("VLAN with priority", _HOST, _tag(0x8100, 4094, 5) + _UDP4 + _UDP),
    Kind("priority tag", _HOST, _tag(0x8100, 0, 7) + _UDP4 + _UDP),
    Kind("VLAN with drop eligible", _HOST, _tag(0x8100, 0x1000 | 5, 3) + _UDP4 + _UDP),
    Kind("802.1ad", _HOST, _tag(0x88A8, 100, 2) + _tag(0x8100, 7, 1) + _UDP4 + _UDP),
    Kind("two 802.1Q tags", _HOST, _tag(0x8100, 100) + _tag(0x8100, 7) + _UDP4 + _UDP),
    Kind("three tags", _HOST, _tag(0x88A8, 1) + _tag(0x8100, 2) + _tag(0x8100, 3) + _UDP4 + _UDP),
    Kind("old QinQ", _HOST, _tag(0x9100, 100) + _tag(0x8100, 7) + _UDP4 + _UDP),
    Kind("tagged broadcast", _ALL, _tag(0x8100, 7) + _arp(1, "192.0.2.1", "192.0.2.2")),
    Kind("MPLS", _HOST, _type(0x8847) + bytes.fromhex("0001013f") + _UDP4[2:]),
    Kind("MPLS, two labels", _HOST, _type(0x8847) + bytes.fromhex("0001003f0001013f")),
    # others
    Kind("PPPoE discovery", _ALL, bytes.fromhex("886311090000")),
    Kind("PPPoE session", _HOST, bytes.fromhex("886411000001")),
    Kind("MACsec", _HOST, bytes.fromhex("88e52c00")),
    Kind("Profinet", bytes.fromhex("010ecf000000"), bytes.fromhex("8892fefe")),
    Kind("EtherCAT", _ALL, bytes.fromhex("88a40e10")),
    Kind("GOOSE", bytes.fromhex("010ccd010001"), bytes.fromhex("88b80001")),
    Kind("wake on LAN", _ALL, bytes.fromhex("0842ffffffffffff")),
    Kind("AVTP", bytes.fromhex("91e0f0000001"), bytes.fromhex("22f0")),
    Kind("LLC", _HOST, bytes.fromhex("0100f0f003"), 1514),
    Kind("SNAP", _HOST, bytes.fromhex("0100aaaa030000000800"), 1514),
    Kind("raw 802.3 (IPX)", _ALL, bytes.fromhex("0100ffff0100"), 1514),
    Kind("loopback test", _HOST, bytes.fromhex("90000000010001")),
    Kind("experimental", _HOST, _type(0x88B5)),
    Kind("unknown type", _HOST, _type(0xFEED)),
)


def from_ports(*ports: bytes) -> tuple[Kind, ...]:
    """With the MAC addresses of the device's own measuring ports as sender, which nobody else should use."""
    return tuple(
        kind
        for number, port in enumerate(ports, 1)
        for kind in (
            Kind(f"from port {number}", _HOST, _UDP4 + _UDP, sender=port),
            Kind(f"from port {number} to all", _ALL, _arp(1, "192.0.2.1", "192.0.2.2"), sender=port),
        )
    )


def beyond_a_bridge(*ports: bytes) -> tuple[Kind, ...]:
    """What a wire passes and a bridge does not; `ports`: the MAC addresses of its own ports."""
    tagged = _tag(0x8100, 7, 5) + _UDP4 + _UDP
    senders = {"nobody": bytes(6), "a group": _multicast("224.0.0.5"), "all": _ALL}
    return (
        Kind("pause", _group(0x01), _PAUSE),
        Kind("pause by priority", _group(0x01), bytes.fromhex("880801010000")),
        Kind("reserved group 1", _group(0x01), _type(0x88B5)),
        *(Kind(f"from {name}", _HOST, _UDP4 + _UDP, sender=sender) for name, sender in senders.items()),
        *(Kind(f"from {name}, tagged", _HOST, tagged, sender=sender) for name, sender in senders.items()),
        *(Kind(f"to port {number}", port, _UDP4 + _UDP) for number, port in enumerate(ports, 1)),
        *(Kind(f"to port {number}, tagged", port, tagged) for number, port in enumerate(ports, 1)),
    )


def frames(count: int, seed: int, kinds: Sequence[Kind] = KINDS) -> list[bytes]:
    """`count` frames of all kinds and sizes, no two alike, in an order that depends on `seed`."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        size = chance.choice(SIZES + JUMBO_SIZES)
        start = kind.start + struct.pack("!IH", number, seed)
        filling = chance.choice((b"\x00", b"\xff", b"\x5a", b""))
        rest = max(min(size, kind.largest), SMALLEST) - len(start)
        made.append(start + (filling * rest if filling else chance.randbytes(max(rest, 0))))
    chance.shuffle(made)
    return made
