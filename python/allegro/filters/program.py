"""A checked filter as a flat program, which `capture/_program.c` runs over the keys of packets.

Format, in the byte order of this machine: a header (magic, number of tests, bytes of constants), the tests,
the constants. A test asks one thing of a packet and says which test is next if it is so, and which if not:
always a later one, ACCEPT or REJECT, so that every program ends. What its `count` constants from `offset` on
are depends on the operation: (low, high) pairs, address and mask, MAC address and mask, BPF instructions.

What depends on the port where a packet came in is left open (NAME), and closed by `for_interface`. No I/O.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from allegro.errors import InvalidInput
from allegro.filters.fields import Field, Operator
from allegro.filters.reference import TCP, UDP
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

MAGIC = b"AlFp1\0\0\0"
HEADER = struct.Struct("=8sII")
TEST = struct.Struct("=BBHHHI")  # operation, field, count, next if so, next if not, offset
RANGE = struct.Struct("=II")
INSTRUCTION_SIZE = 8  # struct sock_filter, linux/filter.h

ACCEPT, REJECT = 0xFFFF, 0xFFFE
MOST_TESTS = 4096
MOST_CONSTANTS = 0xFFFF  # of one test
MAX = 0xFFFFFFFF


class Operation(IntEnum):
    """What a test asks; the numbers are those of `_program.c`, which does not know NAME."""

    YES = 0
    NUMBER = 1
    SOURCE = 2
    DESTINATION = 3
    SOURCE_MAC = 4
    DESTINATION_MAC = 5
    BPF = 6
    NAME = 255


class Number(IntEnum):
    """Numbers of a key; those of `enum field` in `_key.h`."""

    LENGTH = 0
    OUTER_VLAN = 1
    INNER_VLAN = 2
    MPLS = 3
    IP_VERSION = 4
    DSCP = 5
    PROTOCOL = 6
    SOURCE_PORT = 7
    DESTINATION_PORT = 8
    VNI = 9


_NAMES = (Operator.EQUAL, Operator.EXACTLY, Operator.LIKE)
_PORTS = (Number.SOURCE_PORT, Number.DESTINATION_PORT)
_NUMBERS = {
    Field.OUTER_VLAN: Number.OUTER_VLAN,
    Field.INNER_VLAN: Number.INNER_VLAN,
    Field.VXLAN: Number.VNI,
    Field.L4_PROTOCOL: Number.PROTOCOL,
    Field.DSCP: Number.DSCP,
    Field.LENGTH: Number.LENGTH,
}
_SIDES = {
    Field.IP: (Operation.SOURCE, Operation.DESTINATION),
    Field.SOURCE_IP: (Operation.SOURCE,),
    Field.DESTINATION_IP: (Operation.DESTINATION,),
    Field.MAC: (Operation.SOURCE_MAC, Operation.DESTINATION_MAC),
    Field.SOURCE_MAC: (Operation.SOURCE_MAC,),
    Field.DESTINATION_MAC: (Operation.DESTINATION_MAC,),
}

Ranges = Sequence[tuple[int, int]]
ANYTHING: Ranges = ((0, MAX),)


@dataclass(frozen=True)
class _Test:
    operation: Operation
    field: int
    count: int
    constants: bytes


@dataclass(frozen=True)
class _All:
    terms: tuple[_Node, ...]


@dataclass(frozen=True)
class _Any:
    terms: tuple[_Node, ...]


@dataclass(frozen=True)
class _No:
    term: _Node


@dataclass(frozen=True)
class _First:
    """The first condition that holds decides; none: no."""

    cases: tuple[tuple[_Node, bool], ...]


_Node = _Test | _All | _Any | _No | _First


def compiled(tree: Tree, groups: Groups = (), compile_bpf: Callable[[str], bytes] = lambda _: b"") -> bytes:
    """The program of a tree. `compile_bpf` gives the instructions of an expression of pcap-filter.

    Raises InvalidInput for a filter that is too large, and what `compile_bpf` raises.
    """
    writer = _Writer()
    writer.write(_Translation(groups, compile_bpf).node(tree))
    return writer.program()


def for_interface(program: bytes, interface: str) -> bytes:
    """The program for packets of one port: what asks for its name is answered."""
    _, count, _ = HEADER.unpack_from(program)
    tests = [TEST.unpack_from(program, HEADER.size + number * TEST.size) for number in range(count)]
    constants = program[HEADER.size + count * TEST.size :]
    closed = bytearray()
    for operation, field, size, yes, no, offset in tests:
        if operation == Operation.NAME:
            wanted = constants[offset : offset + size].decode()
            target = yes if name_matches(_NAMES[field], wanted, interface) else no
            closed += TEST.pack(Operation.YES, 0, 0, target, target, 0)
        else:
            closed += TEST.pack(operation, field, size, yes, no, offset)
    return program[: HEADER.size] + bytes(closed) + constants


class _Translation:
    """What the values of a field are, in terms of tests; `reference` says the same of a key."""

    def __init__(self, groups: Groups, compile_bpf: Callable[[str], bytes]) -> None:
        self._groups = groups
        self._compile_bpf = compile_bpf

    def node(self, tree: Tree) -> _Node:
        match tree:
            case And(terms):
                return _All(tuple(self.node(term) for term in terms))
            case Or(terms):
                return _Any(tuple(self.node(term) for term in terms))
            case Not(term):
                return _No(self.node(term))
            case Bpf(expression):
                code = self._compile_bpf(expression)
                return _Test(Operation.BPF, 0, len(code) // INSTRUCTION_SIZE, code)
            case Compare(field, Operator.NOT_EQUAL, value):
                return _No(self.node(Compare(field, Operator.EQUAL, value)))
            case Compare(field, operator, value):
                return self._compared(field, operator, value)

    def _compared(self, field: Field, operator: Operator, value: object) -> _Node:
        exactly = operator is Operator.EXACTLY
        match value:
            case str() if field is Field.GROUP:
                return self._group(operator, value)
            case str():
                text = value.encode()
                return _Test(Operation.NAME, _NAMES.index(operator), len(text), text)
            case Network():
                return _sides([_network(side, value) for side in _SIDES[field]], exactly)
            case Mac():
                return _sides([_mac(side, value) for side in _SIDES[field]], exactly)
            case Ports(ranges):
                return _numbers(field, ranges, exactly)
            case int():
                return _numbers(field, _ranges(operator, value), exactly)
        assert value is NONE  # noqa: S101 (there is no other kind of value)
        return _No(self._present(field))

    def _present(self, field: Field) -> _Node:
        if field in (Field.IP, Field.SOURCE_IP, Field.DESTINATION_IP):
            return _number(Number.IP_VERSION, ANYTHING)
        if field is Field.GROUP:
            return _Any(tuple(self.node(tree) for _, tree in self._groups))
        return _numbers(field, ANYTHING, False)

    def _group(self, operator: Operator, wanted: str) -> _Node:
        """A packet belongs to the first group that it fits."""
        cases = [(self.node(tree), name_matches(operator, wanted, name)) for name, tree in self._groups]
        while cases and not cases[-1][1]:
            cases.pop()
        return _First(tuple(cases))


def _ranges(operator: Operator, value: int) -> Ranges:
    match operator:
        case Operator.LESS:
            return [(0, value - 1)] if value else []
        case Operator.AT_MOST:
            return [(0, value)]
        case Operator.MORE:
            return [(value + 1, MAX)] if value < MAX else []
        case Operator.AT_LEAST:
            return [(value, MAX)]
        case _:
            return [(value, value)]


def _numbers(field: Field, ranges: Ranges, exactly: bool) -> _Node:
    match field:
        case Field.PORT | Field.PORT_RANGE:
            return _sides([_number(port, ranges) for port in _PORTS], exactly)
        case Field.TCP_PORT | Field.UDP_PORT:
            protocol = TCP if field is Field.TCP_PORT else UDP
            ports = _numbers(Field.PORT, ranges, exactly)
            return _All((_number(Number.PROTOCOL, [(protocol, protocol)]), ports))
        case Field.VLAN:
            outer, inner = _number(Number.OUTER_VLAN, ranges), _number(Number.INNER_VLAN, ranges)
            if not exactly:
                return _Any((outer, inner))
            return _All((outer, _Any((inner, _No(_number(Number.INNER_VLAN, ANYTHING))))))
        case Field.MPLS if exactly:
            others = _No(_number(Number.MPLS, _outside(ranges)))
            return _All((_number(Number.MPLS, ANYTHING), others))
        case Field.MPLS:
            return _number(Number.MPLS, ranges)
    return _number(_NUMBERS[field], ranges)


def _sides(nodes: Sequence[_Node], exactly: bool) -> _Node:
    return _All(tuple(nodes)) if exactly else _Any(tuple(nodes))


def _number(field: Number, ranges: Ranges) -> _Test:
    constants = b"".join(RANGE.pack(*each) for each in ranges)
    return _Test(Operation.NUMBER, field, len(ranges), constants)


def _network(side: Operation, network: Network) -> _Test:
    ones = (1 << network.bits) - 1
    mask = ones >> network.bits - network.prefix << network.bits - network.prefix
    size = network.bits // 8
    constants = network.address.to_bytes(size, "big") + mask.to_bytes(size, "big")
    return _Test(side, network.version, 1, constants)


def _mac(side: Operation, mac: Mac) -> _Test:
    return _Test(side, 0, 1, mac.address.to_bytes(6, "big") + mac.mask.to_bytes(6, "big"))


def _outside(ranges: Ranges) -> Ranges:
    """All other numbers; `ranges` are in order and apart from each other."""
    starts = [0, *(high + 1 for _, high in ranges)]
    ends = [*(low - 1 for low, _ in ranges), MAX]
    return [(low, high) for low, high in zip(starts, ends, strict=True) if low <= high]


class _Label:
    """A place in the program that is known later."""

    def __init__(self, number: int = -1) -> None:
        self.number = number


class _Writer:
    def __init__(self) -> None:
        self._tests: list[tuple[_Test, _Label, _Label, int]] = []
        self._constants = bytearray()
        self._places: dict[bytes, int] = {}

    def write(self, node: _Node) -> None:
        self._write(node, _Label(ACCEPT), _Label(REJECT))

    def program(self) -> bytes:
        tests = b"".join(
            TEST.pack(test.operation, test.field, test.count, yes.number, no.number, offset)
            for test, yes, no, offset in self._tests
        )
        return HEADER.pack(MAGIC, len(self._tests), len(self._constants)) + tests + bytes(self._constants)

    def _write(self, node: _Node, yes: _Label, no: _Label) -> None:
        """Each node begins where the program ends so far, and makes one test at least."""
        match node:
            case _Test():
                self._put(node, yes, no)
            case _No(term):
                self._write(term, no, yes)
            case _All(terms) if terms:
                self._write_terms(terms, yes, no, ends_with=no)
            case _Any(terms) if terms:
                self._write_terms(terms, yes, no, ends_with=yes)
            case _First(cases):
                for condition, verdict in cases:
                    further = _Label()
                    self._write(condition, yes if verdict else no, further)
                    further.number = len(self._tests)
                self._put(_Test(Operation.YES, 0, 0, b""), no, no)
            case _All():
                self._put(_Test(Operation.YES, 0, 0, b""), yes, yes)
            case _Any():
                self._put(_Test(Operation.YES, 0, 0, b""), no, no)

    def _write_terms(self, terms: Sequence[_Node], yes: _Label, no: _Label, *, ends_with: _Label) -> None:
        for term in terms[:-1]:
            further = _Label()
            self._write(term, *((further, no) if ends_with is no else (yes, further)))
            further.number = len(self._tests)
        self._write(terms[-1], yes, no)

    def _put(self, test: _Test, yes: _Label, no: _Label) -> None:
        if len(self._tests) == MOST_TESTS:
            raise InvalidInput(
                f"The filter is too large: it comes to more than {MOST_TESTS} tests of each packet.",
                remedy="Use subnets and ranges instead of single values.",
            )
        if test.count > MOST_CONSTANTS:
            raise InvalidInput("A value of the filter is too long.")
        offset = self._places.setdefault(test.constants, len(self._constants))
        if offset == len(self._constants):
            self._constants += test.constants
        self._tests.append((test, yes, no, offset))
