"""What a filter means, as plainly as it can be said: slow, and what all faster programs must agree with."""

from collections.abc import Callable

from allegro.filters.fields import Field, Operator
from allegro.filters.key import PacketKey
from allegro.filters.tree import (
    NONE,
    And,
    Bpf,
    Compare,
    Groups,
    Mac,
    Network,
    Not,
    Or,
    Ports,
    Tree,
    name_matches,
)

TCP, UDP, SCTP = 6, 17, 132


def matches(
    tree: Tree, key: PacketKey, groups: Groups = (), bpf: Callable[[str], bool] = lambda _: False
) -> bool:
    """Whether the packet passes; `bpf` answers for an expression of pcap-filter on the same packet."""
    match tree:
        case And(terms):
            return all(matches(term, key, groups, bpf) for term in terms)
        case Or(terms):
            return any(matches(term, key, groups, bpf) for term in terms)
        case Not(term):
            return not matches(term, key, groups, bpf)
        case Bpf(expression):
            return bpf(expression)
        case Compare(field, operator, value):
            return _compared(field, operator, value, values_of(field, key, groups, bpf), key.version)


def values_of(
    field: Field, key: PacketKey, groups: Groups = (), bpf: Callable[[str], bool] = lambda _: False
) -> list[int | str]:
    """What the packet has in this field: nothing, one value, or several."""
    found: list[int | str | None]
    match field:
        case Field.IP:
            found = [key.source, key.destination]
        case Field.SOURCE_IP:
            found = [key.source]
        case Field.DESTINATION_IP:
            found = [key.destination]
        case Field.MAC:
            found = [key.source_mac, key.destination_mac]
        case Field.SOURCE_MAC:
            found = [key.source_mac]
        case Field.DESTINATION_MAC:
            found = [key.destination_mac]
        case Field.PORT | Field.PORT_RANGE:
            found = [key.source_port, key.destination_port]
        case Field.TCP_PORT:
            found = [key.source_port, key.destination_port] if key.protocol == TCP else []
        case Field.UDP_PORT:
            found = [key.source_port, key.destination_port] if key.protocol == UDP else []
        case Field.VLAN:
            found = list(key.vlans)
        case Field.OUTER_VLAN:
            found = list(key.vlans[:1])
        case Field.INNER_VLAN:
            found = list(key.vlans[1:2])
        case Field.MPLS:
            found = list(key.labels)
        case Field.VXLAN:
            found = [key.vni]
        case Field.L4_PROTOCOL:
            found = [key.protocol]
        case Field.DSCP:
            found = [key.dscp]
        case Field.LENGTH:
            found = [key.length]
        case Field.INTERFACE:
            found = [key.interface]
        case Field.GROUP:
            found = [next((name for name, tree in groups if matches(tree, key, (), bpf)), None)]
    return [value for value in found if value is not None]


def _compared(
    field: Field, operator: Operator, value: object, found: list[int | str], version: int | None
) -> bool:
    if operator is Operator.NOT_EQUAL:
        return not _compared(field, Operator.EQUAL, value, found, version)
    if value is NONE:
        return not found
    verdicts = [_one(operator, value, one, version) for one in found]
    return bool(verdicts) and all(verdicts) if operator is Operator.EXACTLY else any(verdicts)


def _one(operator: Operator, value: object, one: int | str, version: int | None) -> bool:
    match value, one:
        case Network(), int():
            return version is not None and value.holds(version, one)
        case Mac(address, mask), int():
            return one & mask == address
        case Ports(ranges), int():
            return any(first <= one <= last for first, last in ranges)
        case int(), int():
            return _in_order(operator, one, value)
        case str(), str():
            return name_matches(operator, value, one)
    raise TypeError(f"{one!r} cannot be compared with {value!r}")


def _in_order(operator: Operator, one: int, value: int) -> bool:
    match operator:
        case Operator.LESS:
            return one < value
        case Operator.AT_MOST:
            return one <= value
        case Operator.MORE:
            return one > value
        case Operator.AT_LEAST:
            return one >= value
        case _:
            return one == value
