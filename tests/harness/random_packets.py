"""Packets and filters of all kinds, by chance: few values, so that they meet often."""

import ipaddress
import random
from collections.abc import Callable, Sequence

from allegro.filters.fields import Field, Kind, Operator, operators
from allegro.filters.tree import NONE, And, Bpf, Compare, Mac, Network, Not, Or, Ports, Tree
from tests.harness import layers
from tests.harness.layers import ethernet, ipv4, ipv6, labels, sctp, tcp, udp, vxlan

V4 = ("10.0.0.1", "10.0.1.2", "192.0.2.1", "10.255.0.3")
V6 = ("2001:db8::1", "2001:db8::2", "2001:db8:1::1", "fe80::1")
PORTS = (22, 53, 80, 443, 4789, 50000)
VLANS = (0, 1, 7, 100, 4095)
TAG_TYPES = (0x8100, 0x8100, 0x88A8, 0x9100)
LABELS = (3, 16, 100, 1048575)
VNIS = (1, 5000, 0xFFFFFF)
PROTOCOLS = (1, 6, 17, 47, 50, 58, 132)
CODE_POINTS = (0, 10, 46, 63)
INTERFACES = ("port1", "port2", "Port2", "ö port")
EXPRESSIONS = (
    "ip", "tcp port 80", "vlan", "vlan 7 and ip", "len > 100", "udp[4:2] > 20", "ip6 and udp", "arp or icmp",
    "ip[6:2] & 0x1fff != 0", "net 10.0.0.0/16", "ether[12:2] = 0x88a8", "mpls 100", "portrange 50-90",
    "host 2001:db8::1", "ip[len - 70] < 90", "sctp", "",
)  # fmt: skip

_NUMBERS = {
    Field.VLAN: VLANS,
    Field.OUTER_VLAN: VLANS,
    Field.INNER_VLAN: VLANS,
    Field.MPLS: LABELS,
    Field.VXLAN: VNIS,
    Field.L4_PROTOCOL: PROTOCOLS,
    Field.DSCP: CODE_POINTS,
    Field.LENGTH: (60, 64, 90, 200),
}

Chance = random.Random


def frame(chance: Chance) -> bytes:
    """As it is on the wire, with all its tags; at times some bytes are wrong, or the end is missing."""
    tags = tuple(
        (chance.choice(TAG_TYPES), chance.getrandbits(4) << 12 | chance.choice(VLANS))
        for _ in range(chance.choice((0, 0, 1, 1, 2, 2, 3)))
    )
    ether_type, payload = chance.choice((_ip, _ip, _ip, _mpls, _other))(chance)
    data = bytearray(ethernet(ether_type, payload, tags=tags))
    if chance.random() < 0.3:
        data[:12] = chance.choice((bytes(12), b"\xff" * 6 + data[6:12], data[6:12] + data[:6]))
    while chance.random() < 0.2:
        data[chance.randrange(len(data))] = chance.getrandbits(8)
    if chance.random() < 0.3:
        del data[chance.randrange(1, len(data) + 1) :]
    return bytes(data)


def _ip(chance: Chance) -> tuple[int, bytes]:
    return chance.choice((_ipv4, _ipv6))(chance)


def _ipv4(chance: Chance) -> tuple[int, bytes]:
    protocol, payload = _transport(chance)
    more, offset = chance.choice(((False, 0),) * 4 + ((True, 0), (True, 3), (False, 185)))
    options = bytes(chance.choice((0, 0, 0, 4, 40)))
    source, destination = chance.choice(V4), chance.choice(V4)
    dscp = chance.choice(CODE_POINTS)
    packet = ipv4(
        protocol, payload, source=source, destination=destination, dscp=dscp, options=options, more=more,
        offset=offset,
    )  # fmt: skip
    return 0x0800, packet


def _ipv6(chance: Chance) -> tuple[int, bytes]:
    following, payload = _transport(chance)
    for _ in range(chance.choice((0, 0, 0, 1, 1, 2, 3, 7, 8, 9))):
        kind = chance.choice((0, 43, 44, 51, 60))
        if kind == 44:
            cut = chance.choice((0, 1, 0x09, 8, 0x5C8))
            header = bytes((following, 0)) + cut.to_bytes(2, "big") + bytes(4)
        else:
            more = chance.choice((0, 0, 1, 2))
            header = bytes((following, more)) + bytes(6 + more * (4 if kind == 51 else 8))
        following, payload = kind, header + payload
    packet = ipv6(
        following, payload, source=chance.choice(V6), destination=chance.choice(V6),
        dscp=chance.choice(CODE_POINTS),
    )  # fmt: skip
    return 0x86DD, packet


def _transport(chance: Chance) -> tuple[int, bytes]:
    protocol = chance.choice((*PROTOCOLS, 6, 17))
    source, destination = chance.choice(PORTS), chance.choice(PORTS)
    rest = bytes(chance.choice((0, 10, 80)))
    match protocol:
        case 6:
            return 6, tcp(source, destination, rest)
        case 17:
            return 17, udp(source, destination, vxlan(chance.choice(VNIS)) + rest)
        case 132:
            return 132, sctp(source, destination)
    return protocol, rest


def _mpls(chance: Chance) -> tuple[int, bytes]:
    stack = [chance.choice(LABELS) for _ in range(chance.choice((1, 1, 2, 3, 8, 9)))]
    return chance.choice((0x8847, 0x8848)), labels(*stack) + chance.choice((_ip, _other))(chance)[1]


def _other(chance: Chance) -> tuple[int, bytes]:
    return chance.choice((0x0806, 0x88CC, 0x0026)), bytes(chance.randrange(60))


def tree(chance: Chance, depth: int = 3, *, groups: Sequence[str] = ()) -> Tree:
    """A filter; with conditions on groups if there are any."""
    if depth == 0 or chance.random() < 0.3:
        return Bpf(chance.choice(EXPRESSIONS)) if chance.random() < 0.1 else _comparison(chance, groups)
    match chance.choice(("and", "or", "not")):
        case "not":
            return Not(tree(chance, depth - 1, groups=groups))
        case word:
            terms = tuple(tree(chance, depth - 1, groups=groups) for _ in range(chance.choice((2, 2, 3))))
            return And(terms) if word == "and" else Or(terms)


def _comparison(chance: Chance, groups: Sequence[str]) -> Compare:
    field = chance.choice([each for each in Field if groups or each is not Field.GROUP])
    operator = chance.choice(sorted(operators(field), key=lambda each: each.value))
    equality = operator in (Operator.EQUAL, Operator.NOT_EQUAL, Operator.EXACTLY)
    if field.type.optional and equality and chance.random() < 0.15:
        return Compare(field, operator, NONE)
    return Compare(field, operator, _VALUES[field.type.kind](chance, field, operator, groups))


def _network(chance: Chance, *_: object) -> Network:
    version, addresses, bits = chance.choice(((4, V4, 32), (6, V6, 128)))
    prefix = chance.choice((0, 8, 16, 31, 32) if version == 4 else (0, 32, 48, 127, 128))
    address = int.from_bytes(_packed(chance.choice(addresses)), "big")
    return Network(version, address >> bits - prefix << bits - prefix, prefix)


def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def _mac(chance: Chance, _field: Field, operator: Operator, _: object) -> Mac:
    size = chance.choice((8, 24, 40)) if operator is Operator.LIKE else 48
    address = chance.choice((layers.SOURCE, layers.DESTINATION, 0, (1 << 48) - 1))
    mask = ((1 << size) - 1) << 48 - size
    return Mac(address & mask, mask)


def _number(chance: Chance, field: Field, *_: object) -> int:
    value = chance.choice(_NUMBERS.get(field, PORTS)) + chance.choice((0, 0, 1, -1))
    return min(field.type.largest, max(0, value))


def _ports(chance: Chance, *_: object) -> Ports:
    ranges, first = [], 0
    for _round in range(chance.choice((1, 2, 3))):
        first = chance.randrange(first, first + 20000)
        last = chance.randrange(first, first + 1000)
        ranges.append((first, last))
        first = last + 2
    return Ports((*ranges, (65534, 65535)))


def _name(chance: Chance, field: Field, operator: Operator, groups: Sequence[str]) -> str:
    name = chance.choice(tuple(groups) if field is Field.GROUP else (*INTERFACES, "PORT1", "absent"))
    return name[-2:] if operator is Operator.LIKE else name


_VALUES: dict[Kind, Callable[[Chance, Field, Operator, Sequence[str]], Network | Mac | int | Ports | str]] = {
    Kind.NETWORK: _network,
    Kind.MAC: _mac,
    Kind.NUMBER: _number,
    Kind.PORTS: _ports,
    Kind.NAME: _name,
}
