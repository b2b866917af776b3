"""What a kernel's program reads of a packet before the tests of its rules, just as `capture/_key.c` does.

It is put into the machine's memory, `Slot`. A load behind the end of a packet would end the program and
discard the packet: so every load stands behind a look at the length. No I/O.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum

from allegro.filters import classic_bpf as bpf
from allegro.filters.classic_bpf import Assembler, Label
from allegro.filters.key import MOST_EXTENSION_HEADERS, MOST_LABELS, TAGS
from allegro.filters.program import MAX, Number
from allegro.filters.reference import SCTP, TCP, UDP
from allegro.filters.slicing import TAG_LENGTH, TAG_OFFSET

ABSENT = MAX
"""The packet has no such value. Only a length could be so large, and that is always there."""

IPV4, IPV6, MPLS = 0x0800, 0x86DD, (0x8847, 0x8848)
VXLAN_PORT = 4789


class Slot(IntEnum):
    """Words of the machine's memory; it has 16."""

    LENGTH = 0
    OUTER_VLAN = 1
    INNER_VLAN = 2
    VERSION = 3
    HEADER = 4  # where the IP header begins
    DSCP = 5
    PROTOCOL = 6
    SOURCE_PORT = 7
    DESTINATION_PORT = 8
    VNI = 9
    LABELS = 10  # how many
    FIRST_LABEL = 11  # where it stands
    FOLLOWING = 12  # protocol of what follows on an IPv6 header
    SIZE = 13


SLOTS = {
    Number.LENGTH: Slot.LENGTH,
    Number.OUTER_VLAN: Slot.OUTER_VLAN,
    Number.INNER_VLAN: Slot.INNER_VLAN,
    Number.IP_VERSION: Slot.VERSION,
    Number.DSCP: Slot.DSCP,
    Number.PROTOCOL: Slot.PROTOCOL,
    Number.SOURCE_PORT: Slot.SOURCE_PORT,
    Number.DESTINATION_PORT: Slot.DESTINATION_PORT,
    Number.VNI: Slot.VNI,
}
"""Where a number of the packet stands, ABSENT if it has none. Labels are looked up in the packet."""

_ZERO_FIRST = (Slot.HEADER, Slot.LABELS, Slot.FIRST_LABEL, Slot.FOLLOWING, Slot.SIZE)


class PacketReader:
    """Writes the beginning of a program: it reads these numbers; with `addresses` also where IP begins."""

    def __init__(self, assembler: Assembler, numbers: set[int], *, addresses: bool) -> None:
        self._asm = assembler
        self._numbers = numbers
        self._with_ports = bool(numbers & {Number.SOURCE_PORT, Number.DESTINATION_PORT, Number.VNI})
        self._with_protocol = self._with_ports or Number.PROTOCOL in numbers
        self._with_ip = addresses or self._with_protocol or bool(numbers & {Number.IP_VERSION, Number.DSCP})
        self._with_network = self._with_ip or Number.MPLS in numbers

    def write(self) -> None:
        """What follows knows all that `Slot` holds of what was asked for."""
        asm, done = self._asm, Label()
        numbers = self._numbers
        if Number.LENGTH in numbers:
            asm.put(bpf.LOAD_WORD, bpf.VLAN_TAG_PRESENT)
            asm.put(bpf.SHIFT_LEFT, 2)  # times TAG_LENGTH
            asm.put(bpf.A_TO_X)
            asm.put(bpf.LOAD_LENGTH)
            asm.put(bpf.ADD_X)
            asm.put(bpf.STORE, Slot.LENGTH)
        absent = [slot for number, slot in SLOTS.items() if number in numbers]
        if self._with_ip:
            absent.append(Slot.VERSION)
        if self._with_protocol:
            absent.append(Slot.PROTOCOL)
        if self._with_ports:
            absent += [Slot.SOURCE_PORT, Slot.DESTINATION_PORT]
        if not self._with_network and not numbers & {Number.OUTER_VLAN, Number.INNER_VLAN}:
            return
        self._fill(ABSENT, set(absent) - {Slot.LENGTH})
        if self._with_network:
            self._fill(0, _ZERO_FIRST)
        self._tags(done)
        asm.place(done)

    def _fill(self, value: int, slots: Collection[Slot]) -> None:
        if slots:
            self._asm.put(bpf.LOAD_NUMBER, value)
        for slot in sorted(slots):
            self._asm.put(bpf.STORE, slot)

    def _tags(self, done: Label) -> None:
        """From the EtherType behind the addresses on; the first two tags, then what is behind them."""
        asm = self._asm
        in_frame, network = Label(), Label()
        asm.put(bpf.LOAD_WORD, bpf.VLAN_TAG_PRESENT)
        asm.test(bpf.EQUAL, 0, yes=in_frame)
        asm.put(bpf.LOAD_WORD, bpf.VLAN_TAG)
        self._store_id(Number.OUTER_VLAN, Slot.OUTER_VLAN)
        self._tag(TAG_OFFSET, Number.INNER_VLAN, Slot.INNER_VLAN, network, done)
        self._behind(TAG_OFFSET + TAG_LENGTH, network)
        asm.place(in_frame)
        self._tag(TAG_OFFSET, Number.OUTER_VLAN, Slot.OUTER_VLAN, network, done)
        self._tag(TAG_OFFSET + TAG_LENGTH, Number.INNER_VLAN, Slot.INNER_VLAN, network, done)
        self._behind(TAG_OFFSET + 2 * TAG_LENGTH, network)
        asm.place(network)  # A: the EtherType, X: where it begins
        if self._with_network:
            self._network_layer(done)

    def _tag(self, place: int, number: Number, slot: Slot, network: Label, done: Label) -> None:
        """If there is a tag at `place` it is read, else what is there is of the layer above."""
        asm, tag, none = self._asm, Label(), Label()
        asm.put(bpf.LOAD_HALF, place)
        for ether_type in sorted(TAGS):
            asm.test(bpf.EQUAL, ether_type, yes=tag)
        asm.place(none)
        self._behind(place, network)
        asm.place(tag)
        asm.put(bpf.LOAD_LENGTH)
        asm.test(bpf.AT_LEAST, place + TAG_LENGTH + 2, no=done)
        asm.put(bpf.LOAD_HALF, place + 2)
        self._store_id(number, slot)

    def _store_id(self, number: Number, slot: Slot) -> None:
        if number in self._numbers:
            self._asm.put(bpf.AND, 0xFFF)
            self._asm.put(bpf.STORE, slot)

    def _behind(self, place: int, network: Label) -> None:
        """Goes on with the EtherType at `place`."""
        self._asm.put(bpf.LOAD_NUMBER, place + 2)
        self._asm.put(bpf.A_TO_X)
        self._asm.put(bpf.LOAD_HALF, place)
        self._asm.go(network)

    def _network_layer(self, done: Label) -> None:
        """A: EtherType, X: where what it announces begins."""
        asm = self._asm
        ipv4, ipv6, mpls = Label(), Label(), Label()
        if self._with_ip:
            asm.test(bpf.EQUAL, IPV4, yes=ipv4)
            asm.test(bpf.EQUAL, IPV6, yes=ipv6)
        asm.test(bpf.EQUAL, MPLS[0], yes=mpls)
        asm.test(bpf.EQUAL, MPLS[1], no=done)
        asm.place(mpls)
        self._label_stack(ipv4, ipv6, done)
        if not self._with_ip:
            return
        transport = Label()
        asm.place(ipv4)
        self._ipv4(transport, done)
        asm.go(done)
        asm.place(ipv6)
        self._ipv6(transport, done)
        asm.go(done)
        asm.place(transport)
        if self._with_ports:
            self._transport(done)

    def _need(self, size: int, done: Label) -> None:
        """Goes on only if the packet has so many bytes from X on. X never lies behind its end."""
        self._asm.put(bpf.LOAD_LENGTH)
        self._asm.put(bpf.SUBTRACT_X)
        self._asm.test(bpf.AT_LEAST, size, no=done)

    def _advance(self, done: Label) -> None:
        """X goes on by A bytes, if the packet has them."""
        asm = self._asm
        asm.put(bpf.ADD_X)
        asm.put(bpf.A_TO_X)
        asm.put(bpf.LOAD_LENGTH)
        asm.test(bpf.AT_LEAST_X, no=done)

    def _label_stack(self, ipv4: Label, ipv6: Label, done: Label) -> None:
        asm, bottom = self._asm, Label()
        asm.put(bpf.STORE_X, Slot.FIRST_LABEL)
        for number in range(MOST_LABELS):
            self._need(4 * (number + 1), done)
            asm.put(bpf.LOAD_NUMBER, number + 1)
            asm.put(bpf.STORE, Slot.LABELS)
            asm.put(bpf.LOAD_WORD_X, 4 * number)
            asm.test(bpf.ANY_BIT, 0x100, yes=bottom)  # RFC 3032: bottom of stack
        asm.go(done)
        asm.place(bottom)
        if not self._with_ip:
            return
        asm.put(bpf.LOAD_MEMORY, Slot.LABELS)
        asm.put(bpf.SHIFT_LEFT, 2)
        self._advance(done)
        self._need(1, done)
        asm.put(bpf.LOAD_BYTE_X, 0)
        asm.put(bpf.SHIFT_RIGHT, 4)
        asm.test(bpf.EQUAL, 4, yes=ipv4)
        asm.test(bpf.EQUAL, 6, yes=ipv6, no=done)

    def _ip(self, version: int, size: int, done: Label) -> None:
        asm = self._asm
        self._need(size, done)
        asm.put(bpf.LOAD_BYTE_X, 0)
        asm.put(bpf.SHIFT_RIGHT, 4)
        asm.test(bpf.EQUAL, version, no=done)
        if version == 4:
            asm.put(bpf.LOAD_BYTE_X, 0)
            asm.put(bpf.AND, 15)
            asm.test(bpf.AT_LEAST, 5, no=done)
        asm.put(bpf.LOAD_NUMBER, version)
        asm.put(bpf.STORE, Slot.VERSION)
        asm.put(bpf.STORE_X, Slot.HEADER)

    def _ipv4(self, transport: Label, done: Label) -> None:
        asm = self._asm
        self._ip(4, 20, done)
        if Number.DSCP in self._numbers:
            asm.put(bpf.LOAD_BYTE_X, 1)
            asm.put(bpf.SHIFT_RIGHT, 2)
            asm.put(bpf.STORE, Slot.DSCP)
        if self._with_protocol:
            asm.put(bpf.LOAD_BYTE_X, 9)
            asm.put(bpf.STORE, Slot.PROTOCOL)
        if self._with_ports:
            asm.put(bpf.LOAD_HALF_X, 6)
            asm.test(bpf.ANY_BIT, 0x1FFF, yes=done)  # a later fragment
            asm.put(bpf.LOAD_BYTE_X, 0)
            asm.put(bpf.AND, 15)
            asm.put(bpf.SHIFT_LEFT, 2)
            self._advance(done)
            asm.go(transport)

    def _ipv6(self, transport: Label, done: Label) -> None:
        asm = self._asm
        self._ip(6, 40, done)
        if Number.DSCP in self._numbers:
            asm.put(bpf.LOAD_HALF_X, 0)
            asm.put(bpf.SHIFT_RIGHT, 6)
            asm.put(bpf.AND, 0x3F)
            asm.put(bpf.STORE, Slot.DSCP)
        if not self._with_protocol:
            return
        upper = Label()
        asm.put(bpf.LOAD_BYTE_X, 6)
        asm.put(bpf.STORE, Slot.FOLLOWING)
        asm.put(bpf.LOAD_NUMBER, 40)
        self._advance(done)
        for _ in range(MOST_EXTENSION_HEADERS):
            self._extension(upper, done)
        asm.put(bpf.LOAD_MEMORY, Slot.FOLLOWING)
        for protocol in (0, 43, 44, 51, 60):
            asm.test(bpf.EQUAL, protocol, yes=done)
        asm.place(upper)
        asm.put(bpf.LOAD_MEMORY, Slot.FOLLOWING)
        asm.put(bpf.STORE, Slot.PROTOCOL)
        if self._with_ports:
            asm.go(transport)

    def _extension(self, upper: Label, done: Label) -> None:
        """One extension header (RFC 8200, section 4; RFC 4302), if one follows."""
        asm = self._asm
        options, authentication, fragment, skip = Label(), Label(), Label(), Label()
        asm.put(bpf.LOAD_MEMORY, Slot.FOLLOWING)
        asm.test(bpf.EQUAL, 44, yes=fragment)
        asm.test(bpf.EQUAL, 51, yes=authentication)
        for protocol in (0, 43):
            asm.test(bpf.EQUAL, protocol, yes=options)
        asm.test(bpf.EQUAL, 60, no=upper)
        asm.place(options)
        self._need(8, done)
        asm.put(bpf.LOAD_BYTE_X, 1)
        asm.put(bpf.ADD, 1)
        asm.put(bpf.SHIFT_LEFT, 3)
        asm.go(skip)
        asm.place(authentication)
        self._need(8, done)
        asm.put(bpf.LOAD_BYTE_X, 1)
        asm.put(bpf.ADD, 2)
        asm.put(bpf.SHIFT_LEFT, 2)
        asm.go(skip)
        asm.place(fragment)
        self._need(8, done)
        first = Label()
        asm.put(bpf.LOAD_HALF_X, 2)
        asm.test(bpf.ANY_BIT, 0xFFF8, no=first)
        asm.put(bpf.LOAD_BYTE_X, 0)  # of a later fragment the protocol is known, and nothing more
        asm.put(bpf.STORE, Slot.PROTOCOL)
        asm.go(done)
        asm.place(first)
        asm.put(bpf.LOAD_NUMBER, 8)
        asm.place(skip)
        asm.put(bpf.STORE, Slot.SIZE)
        asm.put(bpf.LOAD_BYTE_X, 0)
        asm.put(bpf.STORE, Slot.FOLLOWING)
        asm.put(bpf.LOAD_MEMORY, Slot.SIZE)
        self._advance(done)

    def _transport(self, done: Label) -> None:
        """X: where the header of layer 4 begins."""
        asm, ports = self._asm, Label()
        asm.put(bpf.LOAD_MEMORY, Slot.PROTOCOL)
        asm.test(bpf.EQUAL, TCP, yes=ports)
        asm.test(bpf.EQUAL, UDP, yes=ports)
        asm.test(bpf.EQUAL, SCTP, no=done)
        asm.place(ports)
        self._need(4, done)
        asm.put(bpf.LOAD_HALF_X, 0)
        asm.put(bpf.STORE, Slot.SOURCE_PORT)
        asm.put(bpf.LOAD_HALF_X, 2)
        asm.put(bpf.STORE, Slot.DESTINATION_PORT)
        if Number.VNI not in self._numbers:
            return
        asm.test(bpf.EQUAL, VXLAN_PORT, no=done)
        asm.put(bpf.LOAD_MEMORY, Slot.PROTOCOL)
        asm.test(bpf.EQUAL, UDP, no=done)
        self._need(16, done)
        asm.put(bpf.LOAD_BYTE_X, 8)
        asm.test(bpf.ANY_BIT, 0x08, no=done)  # RFC 7348: the number is valid
        asm.put(bpf.LOAD_WORD_X, 12)
        asm.put(bpf.SHIFT_RIGHT, 8)
        asm.put(bpf.STORE, Slot.VNI)
