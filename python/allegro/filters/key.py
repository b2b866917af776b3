"""What of a packet a filter looks at."""

from dataclasses import dataclass
from enum import Enum

TAGS = frozenset({0x8100, 0x88A8, 0x9100})
"""EtherTypes of a VLAN tag: IEEE 802.1Q, 802.1ad, and the one that older switches put outside."""

MOST_TAGS = 2
MOST_LABELS = 8
MOST_EXTENSION_HEADERS = 8
"""What lies behind more of these is not looked at: the packet has none of it."""


class Fragment(Enum):
    """Part of a packet that was cut by IP. A later one has no ports."""

    NONE = 0
    FIRST = 1
    LATER = 2


@dataclass(frozen=True)
class PacketKey:
    """A packet in what filters ask. None: it has no such thing, or it is cut off before its last byte.

    length            bytes on the wire with all tags, without checksum
    interface         name of the port where it came in
    destination_mac   48 bits; both are there if 14 bytes of the frame are
    vlans             ids of tags (EtherTypes TAGS) from the outermost in, at most MOST_TAGS; a priority tag
                      counts, with id 0. A third tag is like any unknown EtherType.
    labels            MPLS labels (EtherTypes 0x8847, 0x8848) from the outermost in, at most MOST_LABELS.
                      What lies behind the bottom of the stack is IP if it begins with the nibble 4 or 6.
    version, …        4 or 6, source and destination of the outermost IP header, if it has at least 20 (with a
                      length of header of 5 or more) or 40 bytes. Not of ARP.
    dscp              upper six bits of type of service or traffic class
    protocol          of IPv4 the protocol; of IPv6 what follows the extension headers: hop-by-hop options,
                      routing, destination options, fragment, authentication (51), at most
                      MOST_EXTENSION_HEADERS. Of a later fragment what its fragment header says. IPv4 has it
                      without its options, IPv6 not if an extension header is cut off.
    fragment          of IPv6 by the fragment header; offset 0 with no more to come: NONE
    ports             of TCP, UDP and SCTP if the first four bytes of the header are there and the packet is
                      no later fragment. The IP header's total length is not looked at.
    vni               VXLAN (RFC 7348): UDP to port 4789, eight bytes behind its header, flag I (0x08) set
    """

    length: int
    interface: str = ""
    destination_mac: int | None = None
    source_mac: int | None = None
    vlans: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()
    version: int | None = None
    source: int | None = None
    destination: int | None = None
    dscp: int | None = None
    protocol: int | None = None
    fragment: Fragment = Fragment.NONE
    source_port: int | None = None
    destination_port: int | None = None
    vni: int | None = None
