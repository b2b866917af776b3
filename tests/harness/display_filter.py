"""What a filter is as a display filter of Wireshark (wireshark-filter(4)), for packets without tunnels."""

import ipaddress
from collections.abc import Callable

from allegro.filters.fields import PORT_MAX, Field, Operator
from allegro.filters.tree import NONE, And, Compare, Mac, Network, Not, Or, Ports, Tree
from allegro.filters.values import quoted

_SIDES = {
    Field.IP: ("ip.addr", "ipv6.addr"),
    Field.SOURCE_IP: ("ip.src", "ipv6.src"),
    Field.DESTINATION_IP: ("ip.dst", "ipv6.dst"),
}
_NEXT_HEADERS = (
    "ip.proto",
    "ipv6.nxt",
    "ipv6.hopopts.nxt",
    "ipv6.routing.nxt",
    "ipv6.dstopts.nxt",
    "ipv6.fraghdr.nxt",
    "ah.next_header",
)
_EXTENSIONS = (0, 43, 44, 51, 60)
_NAMES = {
    Field.MAC: ("eth.addr",),
    Field.SOURCE_MAC: ("eth.src",),
    Field.DESTINATION_MAC: ("eth.dst",),
    Field.PORT: ("tcp.port", "udp.port", "sctp.port"),
    Field.PORT_RANGE: ("tcp.port", "udp.port", "sctp.port"),
    Field.TCP_PORT: ("tcp.port",),
    Field.UDP_PORT: ("udp.port",),
    Field.VLAN: ("vlan.id", "ieee8021ad.id"),
    Field.MPLS: ("mpls.label",),
    Field.VXLAN: ("vxlan.vni",),
    Field.DSCP: ("ip.dsfield.dscp", "ipv6.tclass.dscp"),
    Field.LENGTH: ("frame.len",),
    Field.INTERFACE: ("frame.interface_name",),
    Field.L4_PROTOCOL: (),
}


def display_filter(tree: Tree) -> str:
    """The same in Wireshark's words. Raises ValueError for what it has no word for (group, bpf)."""
    match tree:
        case And(terms):
            return " && ".join(f"({display_filter(term)})" for term in terms)
        case Or(terms):
            return " || ".join(f"({display_filter(term)})" for term in terms)
        case Not(term):
            return f"!({display_filter(term)})"
        case Compare(_, Operator.NOT_EQUAL, value):
            return f"!({display_filter(Compare(tree.field, Operator.EQUAL, value))})"
        case Compare(field, operator, value):
            return _compared(field, operator, value)
    raise ValueError(f"Wireshark has no word for {tree}")


def _compared(field: Field, operator: Operator, value: object) -> str:
    match field:
        case Field.OUTER_VLAN:
            return _places(("ieee8021ad.id#1", "ieee8021ad"), ("vlan.id#1", "!ieee8021ad"))(operator, value)
        case Field.INNER_VLAN:
            return _places(
                ("vlan.id#1", "ieee8021ad && !(ieee8021ad.id#2)"),
                ("ieee8021ad.id#2", "ieee8021ad"),
                ("vlan.id#2", "!ieee8021ad"),
            )(operator, value)
        case Field.IP | Field.SOURCE_IP | Field.DESTINATION_IP if isinstance(value, Network):
            names: tuple[str, ...] = (_SIDES[field][value.version != 4],)
        case _:
            names = (_SIDES | _NAMES)[field]
    if field is Field.L4_PROTOCOL:
        return _protocol(operator, value)
    if value is NONE:
        return f"!({' || '.join(names)})"
    if operator is Operator.EXACTLY:
        return _exactly(names, value)
    return " || ".join(f"({_one(name, operator, value)})" for name in names)


def _protocol(operator: Operator, value: object) -> str:
    """Every header names the next one; those of extension headers are no answer."""
    found = []
    for name in _NEXT_HEADERS:
        last = "ip" if name == "ip.proto" else f"!({name} in {{{', '.join(map(str, _EXTENSIONS))}}})"
        asked = name if value is NONE else _one(name, operator, value)
        found.append(f"({asked} && {last})")
    return f"{'!' if value is NONE else ''}({' || '.join(found)})"


def _places(*choices: tuple[str, str]) -> Callable[[Operator, object], str]:
    def made(operator: Operator, value: object) -> str:
        if value is NONE:
            return f"!({' || '.join(f'({name} && {where})' for name, where in choices)})"
        return " || ".join(f"({_one(name, operator, value)} && {where})" for name, where in choices)

    return made


def _exactly(names: tuple[str, ...], value: object) -> str:
    """One of the fields is there, and no value of any differs."""
    differs = " || ".join(_differs(name, value) for name in names)
    return f"({' || '.join(names)}) && !({differs})"


def _differs(name: str, value: object) -> str:
    if isinstance(value, Ports):
        edges = [-1, *(edge for each in value.ranges for edge in each), PORT_MAX + 1]
        gaps = [(last + 1, first - 1) for last, first in zip(edges[::2], edges[1::2], strict=True)]
        return f"{name} in {{{_ranges(tuple(gap for gap in gaps if gap[0] <= gap[1]))}}}"
    return f"{name} !== {_value(name, value)}"


def _one(name: str, operator: Operator, value: object) -> str:
    if isinstance(value, Ports):
        return f"{name} in {{{_ranges(value.ranges)}}}"
    if isinstance(value, Mac) and operator is Operator.LIKE:
        size = value.mask.bit_count() // 8
        return f"{name}[0:{size}] == {value.address.to_bytes(6, 'big')[:size].hex(':')}"
    if isinstance(value, str):
        wanted = quoted(value.lower() if operator is not Operator.EXACTLY else value)
        word = "contains" if operator is Operator.LIKE else "=="
        return f"lower({name}) {word} {wanted}" if operator is not Operator.EXACTLY else f"{name} == {wanted}"
    return f"{name} {'==' if operator is Operator.EXACTLY else operator.value} {_value(name, value)}"


def _ranges(ranges: tuple[tuple[int, int], ...]) -> str:
    return ", ".join(str(first) if first == last else f"{first}..{last}" for first, last in ranges)


def _value(name: str, value: object) -> str:
    match value:
        case Network(4, address, prefix):
            return f"{ipaddress.IPv4Address(address)}/{prefix}"
        case Network(6, address, prefix):
            return f"{ipaddress.IPv6Address(address)}/{prefix}"
        case Mac(address, _):
            return address.to_bytes(6, "big").hex(":")
        case str():
            return quoted(value)
        case int():
            return str(value)
    raise ValueError(f"{name} has no value {value!r}")
