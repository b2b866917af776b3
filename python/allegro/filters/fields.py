"""What a filter can ask of a packet: the fields, the kinds of their values, the operators."""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What values a field has."""

    NETWORK = "an address or a subnet"
    MAC = "a MAC address"
    NUMBER = "a number"
    PORTS = "port numbers and ranges"
    NAME = "a name"


@dataclass(frozen=True)
class FieldType:
    """How a field is written (`name`), and what it holds.

    `largest`: of numbers, which begin at 0. `several`: a packet can have more than one value: those of sender
    and receiver, or of each tag. `optional`: there are packets without; `none` stands for that.
    """

    name: str
    kind: Kind
    largest: int = 0
    several: bool = False
    optional: bool = True


PORT_MAX = 65535
VLAN_MAX = 4095
LABEL_MAX = (1 << 20) - 1  # RFC 3032
VNI_MAX = (1 << 24) - 1  # RFC 7348
LENGTH_MAX = (1 << 32) - 1  # of the length of a packet on the wire in pcapng
DSCP_MAX = 63  # RFC 2474
PROTOCOL_MAX = 255


class Field(Enum):
    """The fields; what a packet's values of each are says `reference`."""

    IP = FieldType("ip", Kind.NETWORK, several=True)
    SOURCE_IP = FieldType("srcIp", Kind.NETWORK)
    DESTINATION_IP = FieldType("dstIp", Kind.NETWORK)
    MAC = FieldType("mac", Kind.MAC, several=True, optional=False)
    SOURCE_MAC = FieldType("srcMac", Kind.MAC, optional=False)
    DESTINATION_MAC = FieldType("dstMac", Kind.MAC, optional=False)
    PORT = FieldType("port", Kind.NUMBER, PORT_MAX, several=True)
    TCP_PORT = FieldType("tcpPort", Kind.NUMBER, PORT_MAX, several=True)
    UDP_PORT = FieldType("udpPort", Kind.NUMBER, PORT_MAX, several=True)
    PORT_RANGE = FieldType("portrange", Kind.PORTS, PORT_MAX, several=True)
    VLAN = FieldType("vlan", Kind.NUMBER, VLAN_MAX, several=True)
    OUTER_VLAN = FieldType("outerVlan", Kind.NUMBER, VLAN_MAX)
    INNER_VLAN = FieldType("innerVlan", Kind.NUMBER, VLAN_MAX)
    MPLS = FieldType("mpls", Kind.NUMBER, LABEL_MAX, several=True)
    VXLAN = FieldType("vxlan", Kind.NUMBER, VNI_MAX)
    L4_PROTOCOL = FieldType("l4Protocol", Kind.NUMBER, PROTOCOL_MAX)
    DSCP = FieldType("dscp", Kind.NUMBER, DSCP_MAX)
    LENGTH = FieldType("length", Kind.NUMBER, LENGTH_MAX, optional=False)
    INTERFACE = FieldType("interface", Kind.NAME, optional=False)
    GROUP = FieldType("group", Kind.NAME)

    @property
    def type(self) -> FieldType:
        """Name and kind."""
        return self.value


class Operator(Enum):
    """How a value is compared; the value is how canonical text writes it.

    Of the values that a packet has in a field: EQUAL, the orders and LIKE ask whether one of them is so,
    EXACTLY whether there is one and all are equal. NOT_EQUAL is exactly "not EQUAL", so it is true for a
    packet that has no value. LIKE: the name contains the text, the MAC address begins with these bytes.
    Names are equal if they differ in nothing but upper and lower case; EXACTLY looks at that, too.
    """

    EQUAL = "=="
    NOT_EQUAL = "!="
    EXACTLY = "==="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    LIKE = "~"


ORDERS = frozenset({Operator.LESS, Operator.AT_MOST, Operator.MORE, Operator.AT_LEAST})
_EQUALITY = frozenset({Operator.EQUAL, Operator.NOT_EQUAL, Operator.EXACTLY})


def operators(field: Field) -> frozenset[Operator]:
    """What can be asked of the values of a field."""
    if field.type.kind is Kind.NUMBER:
        return _EQUALITY | ORDERS
    if field.type.kind in (Kind.NAME, Kind.MAC):
        return _EQUALITY | {Operator.LIKE}
    return _EQUALITY
