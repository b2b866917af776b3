"""The key of a frame, read byte by byte: slow and obvious, to judge faster readers by.

IEEE 802.1Q, RFC 3032 (MPLS), 791 (IPv4), 8200 (IPv6), 4302 (AH), 7348 (VXLAN).
"""

from dataclasses import replace

from allegro.filters.key import MOST_EXTENSION_HEADERS, MOST_LABELS, MOST_TAGS, TAGS, Fragment, PacketKey

IPV4, IPV6, MPLS = 0x0800, 0x86DD, (0x8847, 0x8848)
UDP, WITH_PORTS = 17, (6, 17, 132)
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 43, 44, 51, 60
VXLAN_PORT = 4789


class _CutError(Exception):
    """The frame ends before what is looked for."""


class _Bytes:
    """A frame from a position on."""

    def __init__(self, frame: bytes) -> None:
        self.frame = frame
        self.at = 0

    def number(self, offset: int, size: int) -> int:
        start = self.at + offset
        if start + size > len(self.frame):
            raise _CutError
        return int.from_bytes(self.frame[start : start + size], "big")

    def skip(self, size: int) -> None:
        self.at += size


def key_of(frame: bytes, *, interface: str = "", length: int | None = None) -> PacketKey:
    """The key of a frame with all its tags, as far as its bytes go. `length`: on the wire, if it was cut."""
    key = PacketKey(len(frame) if length is None else length, interface)
    rest = _Bytes(frame)
    try:
        rest.number(0, 14)
        key = replace(key, destination_mac=rest.number(0, 6), source_mac=rest.number(6, 6))
        ether_type = rest.number(12, 2)
        rest.skip(14)
        while ether_type in TAGS and len(key.vlans) < MOST_TAGS:
            tag = rest.number(0, 2)
            following = rest.number(2, 2)
            key = replace(key, vlans=(*key.vlans, tag & 0xFFF))
            ether_type = following
            rest.skip(4)
        if ether_type in MPLS:
            key, ether_type = _labels(key, rest)
    except _CutError:
        return key
    if ether_type == IPV4:
        return _ipv4(key, rest)
    if ether_type == IPV6:
        return _ipv6(key, rest)
    return key


def _labels(key: PacketKey, rest: _Bytes) -> tuple[PacketKey, int]:
    """All labels, and the EtherType that would stand before what follows (0: unknown)."""
    bottom = False
    try:
        while not bottom and len(key.labels) < MOST_LABELS:
            entry = rest.number(0, 4)
            key = replace(key, labels=(*key.labels, entry >> 12))
            bottom = bool(entry & 0x100)
            rest.skip(4)
        following = rest.number(0, 1) >> 4
    except _CutError:
        return key, 0
    return key, {4: IPV4, 6: IPV6}.get(following, 0) if bottom else 0


def _ipv4(key: PacketKey, rest: _Bytes) -> PacketKey:
    try:
        first = rest.number(0, 1)
        rest.number(0, 20)
    except _CutError:
        return key
    size = (first & 15) * 4
    if first >> 4 != 4 or size < 20:
        return key
    cut = rest.number(6, 2)
    more, offset = bool(cut & 0x2000), cut & 0x1FFF
    key = replace(
        key,
        version=4,
        source=rest.number(12, 4),
        destination=rest.number(16, 4),
        dscp=rest.number(1, 1) >> 2,
        protocol=rest.number(9, 1),
        fragment=Fragment.LATER if offset else Fragment.FIRST if more else Fragment.NONE,
    )
    rest.skip(size)
    return _ports(key, rest)


def _ipv6(key: PacketKey, rest: _Bytes) -> PacketKey:
    try:
        first = rest.number(0, 4)
        rest.number(0, 40)
    except _CutError:
        return key
    if first >> 28 != 6:
        return key
    key = replace(
        key,
        version=6,
        source=rest.number(8, 16),
        destination=rest.number(24, 16),
        dscp=first >> 22 & 63,
    )
    following = rest.number(6, 1)
    rest.skip(40)
    try:
        for _ in range(MOST_EXTENSION_HEADERS):
            if following in (HOP_BY_HOP, ROUTING, DESTINATION):
                size = 8 + rest.number(1, 1) * 8
            elif following == AUTHENTICATION:
                size = 8 + rest.number(1, 1) * 4
            elif following == FRAGMENT:
                size = 8
                rest.number(0, size)
                cut = rest.number(2, 2)
                if cut & 0xFFF8:
                    return replace(key, fragment=Fragment.LATER, protocol=rest.number(0, 1))
                if cut & 1:
                    key = replace(key, fragment=Fragment.FIRST)
            else:
                break
            rest.number(0, size)
            following = rest.number(0, 1)
            rest.skip(size)
    except _CutError:
        return key
    if following in (HOP_BY_HOP, ROUTING, DESTINATION, AUTHENTICATION, FRAGMENT):
        return key  # more of them than are looked at
    return _ports(replace(key, protocol=following), rest)


def _ports(key: PacketKey, rest: _Bytes) -> PacketKey:
    if key.protocol not in WITH_PORTS or key.fragment is Fragment.LATER:
        return key
    try:
        key = replace(key, source_port=rest.number(0, 2), destination_port=rest.number(2, 2))
        if key.protocol == UDP and key.destination_port == VXLAN_PORT and rest.number(8, 8) >> 56 & 0x08:
            key = replace(key, vni=rest.number(12, 3))
    except _CutError:
        pass
    return key
